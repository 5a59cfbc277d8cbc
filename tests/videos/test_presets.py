"""Presets: the site's and one's own, in the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from engine import catalogue
from problems import Problem
from users.models import User
from videos import preset_selectors
from videos.models import Preset, ShippedPreset
from videos.preset_selectors import presets_offered, presets_own
from videos.services import presets as services
from videos.services.presets import preset_create
from videos.site_presets import SHIPPED, presets_ensure

pytestmark = pytest.mark.django_db
HERE = "/api/v1/presets"
SMALL: dict[str, Any] = {"name": "Small", "type": "resize", "parameters": {"width": 320}}


def post(client: APIClient, body: object) -> Any:
    return client.post(HERE, body, format="json")


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


class TestOfTheSite:
    def test_a_new_site_has_them(self, alice: User) -> None:
        assert [preset.name for preset in presets_offered(alice)] == [
            shipped.name for shipped in SHIPPED.values()
        ]

    def test_what_an_administrator_did_stays(self, alice: User) -> None:
        Preset.objects.get(name="Archive").delete()
        Preset.objects.filter(name="Streaming").update(name="Streams", parameters={"segment_seconds": 6})
        call_command("migrate", verbosity=0)
        names = {preset.name for preset in presets_offered(alice)}
        assert "Archive" not in names
        assert {"Streams"} == {name for name in names if name.startswith("Stream")}

    def test_one_that_comes_later_leaves_an_equal_name_alone(self) -> None:
        ShippedPreset.objects.filter(key="archive").delete()
        Preset.objects.filter(name="Archive").update(name="ARCHIVE", description="Ours")
        presets_ensure()
        assert Preset.objects.get(name__iexact="archive").description == "Ours"
        assert ShippedPreset.objects.count() == len(SHIPPED)

    def test_a_migration_back_works(self, transactional_db: None) -> None:
        call_command("migrate", "videos", "0003", verbosity=0)
        call_command("migrate", verbosity=0)
        assert Preset.objects.count() == len(SHIPPED)

    def test_they_are_to_use_and_not_to_change(self, alices_client: APIClient) -> None:
        preset = Preset.objects.get(name="Web 1080p")
        found = alices_client.get(f"{HERE}/{preset.id}").json()
        assert (found["site"], found["purpose"], found["type"]) == (True, "watching", "pipeline")
        for answer in (
            alices_client.patch(f"{HERE}/{preset.id}", {"name": "Mine"}, format="json"),
            alices_client.delete(f"{HERE}/{preset.id}"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        preset.refresh_from_db()
        assert preset.name == "Web 1080p"

    def test_one_that_is_switched_off_is_not_there(self, alices_client: APIClient) -> None:
        preset = Preset.objects.get(name="Web 1080p")
        Preset.objects.update(enabled=False)
        assert alices_client.get(HERE).json()["data"] == []
        assert alices_client.get(f"{HERE}/{preset.id}").status_code == 404

    def test_they_speak_of_nobodys_files(self) -> None:
        with pytest.raises(Problem) as caught:
            services.preset_parameters(owner=None, type="join", parameters={"after": ["vid_" + "0" * 32]})
        assert caught.value.code == "invalid_parameters"


class TestOnesOwn:
    def test_made_changed_and_deleted(self, alices_client: APIClient) -> None:
        made = post(alices_client, {**SMALL, "name": "  Small\none ", "purpose": "sharing"})
        assert made.status_code == 201
        preset = made.json()
        assert preset["id"].startswith("pre_")
        assert (preset["name"], preset["site"], preset["enabled"]) == ("Small one", False, True)
        read = catalogue.parameters_for("resize", {"width": 320})
        assert preset["parameters"] == catalogue.normalised(read)
        address = f"{HERE}/{preset['id']}"
        changed = alices_client.patch(
            address, {"name": "small ONE", "parameters": {"height": "90"}}, format="json"
        )
        assert changed.status_code == 200
        assert (changed.json()["name"], changed.json()["parameters"]["height"]) == ("small ONE", 90)
        assert alices_client.get(address).json() == changed.json()
        assert alices_client.delete(address).status_code == 204
        assert alices_client.get(address).status_code == 404

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"parameters": {"width": -1, "high": 1}},
             (422, "invalid_parameters", ["/parameters/width", "/parameters/high"])),
            ({"type": "pipeline", "parameters": {"steps": [{"type": "resize", "parameters": {"width": 1}}]}},
             (422, "invalid_parameters", ["/parameters/steps/0/parameters/width"])),
            ({"type": "paint"}, (422, "unknown_operation", None)),
            ({"parameters": []}, (400, "invalid_request", ["/parameters"])),
            ({"name": " "}, (400, "invalid_request", ["/name"])),
            ({"name": "\u200b"}, (400, "invalid_request", ["/name"])),
            ({"name": "x" * 81}, (400, "invalid_request", ["/name"])),
            ({"name": "TAKEN"}, (400, "invalid_request", ["/name"])),
            ({"purpose": "fun"}, (400, "invalid_request", ["/purpose"])),
            ({"owner": "me"}, (400, "invalid_request", ["/owner"])),
        ],
    )  # fmt: skip
    def test_bad_ones_are_refused(
        self,
        alices_client: APIClient,
        alice: User,
        change: dict[str, Any],
        expected: tuple[int, str, list[str] | None],
    ) -> None:
        status, code, where = expected
        preset_create(owner=alice, name="Taken", type="mute", parameters={})
        small = preset_create(owner=alice, **SMALL)
        before = Preset.objects.filter(owner=alice).values()
        kept = list(before.all())
        body = {**SMALL, "name": "Other", **change}
        for answer in (
            post(alices_client, body),
            alices_client.patch(f"{HERE}/{small.id}", change, format="json"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            if where is not None:
                assert pointers(answer) == where
        assert list(before.all()) == kept

    def test_no_body_and_no_name(self, alices_client: APIClient) -> None:
        assert post(alices_client, ["x"]).json()["code"] == "malformed_body"
        assert pointers(post(alices_client, {})) == ["/name", "/type"]

    def test_others_do_not_see_them(self, alice: User, bobs_client: APIClient) -> None:
        preset = preset_create(owner=alice, **SMALL)
        assert preset.id not in [found["id"] for found in bobs_client.get(HERE).json()["data"]]
        for answer in (
            bobs_client.get(f"{HERE}/{preset.id}"),
            bobs_client.patch(f"{HERE}/{preset.id}", {"name": "x"}, format="json"),
            bobs_client.delete(f"{HERE}/{preset.id}"),
            bobs_client.get(f"{HERE}/nonsense"),
        ):
            assert answer.status_code == 404
        assert post(bobs_client, SMALL).status_code == 201, "names are each owner's own"

    def test_listed_by_pages_in_few_queries(
        self, alice: User, alices_client: APIClient, django_assert_max_num_queries: Any
    ) -> None:
        mine = [preset_create(owner=alice, **{**SMALL, "name": f"n{number}"}).id for number in range(3)]
        with django_assert_max_num_queries(4):
            first = alices_client.get(HERE, {"limit": 3}).json()
        assert [preset["id"] for preset in first["data"]] == mine[::-1]
        assert len(alices_client.get(first["next"]).json()["data"]) == 3

    def test_there_is_a_limit(self, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "PRESETS_MAX", 1)
        preset_create(owner=alice, **SMALL)
        with pytest.raises(Problem) as caught:
            preset_create(owner=alice, **{**SMALL, "name": "Two"})
        assert (caught.value.code, caught.value.status) == ("too_many_presets", 409)
        assert [preset.name for preset in presets_own(alice)] == ["Small"]

    def test_strangers_see_nothing(self, anonymous: APIClient) -> None:
        assert anonymous.get(HERE).status_code == 401
        assert preset_selectors.PRESETS_MAX == 100
