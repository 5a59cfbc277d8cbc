"""The caller's own account."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from tests.conftest import PASSWORD, client_of
from users.models import ApiToken, User
from videos import storage
from videos.models import Video
from videos.services.uploads import upload_create
from videos.services.videos import media_sweep

pytestmark = pytest.mark.django_db
GIB = 1024**3
NEW_PASSWORD = "another long sentence"


class TestMe:
    def test_has_tier_usage_and_limits(self, alice: User, alices_client: APIClient) -> None:
        Video.objects.create(owner=alice, name="one", size=1000)
        upload_create(owner=alice, length=500)
        me = alices_client.get("/api/v1/me").json()

        assert (me["id"], me["username"], me["email"]) == (alice.pk, "alice", "alice@example.org")
        assert me["tier"] == "free"
        assert me["usage"] == {"storage_bytes": 1500, "reserved_bytes": 0, "videos": 1}
        assert me["limits"] == {
            "storage_bytes": 10 * GIB, "max_file_bytes": 10 * GIB, "concurrent_jobs": 2,
        }  # fmt: skip

    def test_overrides_replace_the_tiers_limits(self, alice: User, alices_client: APIClient) -> None:
        User.objects.filter(pk=alice.pk).update(storage_bytes_override=5, concurrent_jobs_override=7)
        limits = alices_client.get("/api/v1/me").json()["limits"]

        assert (limits["storage_bytes"], limits["concurrent_jobs"]) == (5, 7)

    def test_changes_name_and_address(self, alices_client: APIClient) -> None:
        body = {"username": "alicia", "email": "alicia@example.org"}
        response = alices_client.patch("/api/v1/me", body, format="json")

        assert response.status_code == 200
        assert (response.json()["username"], response.json()["email"]) == ("alicia", "alicia@example.org")

    def test_does_not_take_anothers_name_nor_another_tier(self, alices_client: APIClient, bob: User) -> None:
        taken = alices_client.patch("/api/v1/me", {"username": "Bob"}, format="json")
        assert taken.json()["errors"][0] == {
            "pointer": "/username", "code": "username_taken", "detail": "This user name is taken.",
        }  # fmt: skip
        assert alices_client.patch("/api/v1/me", {"tier": "pro"}, format="json").json()["tier"] == "free"

    def test_delete_removes_rows_and_frees_files(self, alice: User, alices_client: APIClient) -> None:
        video = Video.objects.create(owner=alice, name="one", size=3)
        storage.source_path(video.pk).parent.mkdir(parents=True)
        storage.source_path(video.pk).write_bytes(b"123")

        assert alices_client.delete("/api/v1/me").status_code == 204
        assert not User.objects.filter(pk=alice.pk).exists()
        assert not Video.objects.exists()
        assert alices_client.get("/api/v1/me").status_code == 401
        assert media_sweep(untouched_for=-settings.UPLOAD_LIFETIME) == 1
        assert not storage.source_path(video.pk).exists()


class TestPassword:
    def change(self, client: APIClient, current: str, new: str) -> Any:
        body = {"current_password": current, "new_password": new}
        return client.post("/api/v1/me/password", body, format="json")

    def test_ends_every_other_way_in(self, alice: User) -> None:
        this, other, browser = client_of(alice), client_of(alice), APIClient()
        browser.login(username="alice", password=PASSWORD)
        assert browser.get("/api/v1/me").status_code == 200

        assert self.change(this, PASSWORD, NEW_PASSWORD).status_code == 204
        alice.refresh_from_db()
        assert alice.check_password(NEW_PASSWORD)
        assert this.get("/api/v1/me").status_code == 200
        assert other.get("/api/v1/me").status_code == 401
        assert browser.get("/api/v1/me").status_code == 401

    def test_a_browser_stays_signed_in(self, alice: User) -> None:
        token, browser = client_of(alice), APIClient()
        browser.login(username="alice", password=PASSWORD)

        assert self.change(browser, PASSWORD, NEW_PASSWORD).status_code == 204
        assert browser.get("/api/v1/me").status_code == 200
        assert token.get("/api/v1/me").status_code == 401
        assert [session["current"] for session in browser.get("/api/v1/sessions").json()["data"]] == [True]

    def test_refuses_wrong_and_weak_ones(self, alices_client: APIClient) -> None:
        wrong = self.change(alices_client, "not it", NEW_PASSWORD).json()
        assert (wrong["code"], wrong["errors"][0]["pointer"]) == ("wrong_password", "/current_password")
        weak = self.change(alices_client, PASSWORD, "12345678").json()
        assert (weak["code"], weak["errors"][0]["pointer"]) == ("weak_password", "/new_password")
        assert alices_client.get("/api/v1/me").status_code == 200


class TestSessions:
    def test_lists_browsers_and_tokens(self, alice: User, bobs_client: APIClient) -> None:
        browser, token = APIClient(), client_of(alice)
        browser.login(username="alice", password=PASSWORD)
        browser.get("/api/v1/me", HTTP_USER_AGENT="Firefox", HTTP_X_FORWARDED_FOR="203.0.113.9")
        found = token.get("/api/v1/sessions").json()["data"]

        assert {(s["kind"], s["name"], s["ip"], s["current"]) for s in found} == {
            ("browser", "Firefox", "203.0.113.9", False),
            ("token", "test", None, True),
        }
        assert {s["id"].partition("_")[0] for s in found} == {"ses", "tok"}
        assert str(browser.session.session_key) not in str(found)
        assert len(bobs_client.get("/api/v1/sessions").json()["data"]) == 1

    def test_ends_one(self, alice: User) -> None:
        browser, token, doomed = APIClient(), client_of(alice), client_of(alice)
        browser.login(username="alice", password=PASSWORD)
        browser.get("/api/v1/me")
        doomed_id = ApiToken.objects.order_by("-created").first().public_id
        browser_id = next(
            s["id"] for s in token.get("/api/v1/sessions").json()["data"] if s["kind"] == "browser"
        )

        for session_id, client in ((doomed_id, doomed), (browser_id, browser)):
            assert client.get("/api/v1/me").status_code == 200
            assert token.delete(f"/api/v1/sessions/{session_id}").status_code == 204
            assert client.get("/api/v1/me").status_code == 401
            assert token.delete(f"/api/v1/sessions/{session_id}").status_code == 404
        assert token.get("/api/v1/me").status_code == 200

    def test_not_those_of_others(self, alices_client: APIClient, bobs_client: APIClient) -> None:
        alices = alices_client.get("/api/v1/sessions").json()["data"][0]["id"]

        assert bobs_client.delete(f"/api/v1/sessions/{alices}").status_code == 404
        assert bobs_client.delete("/api/v1/sessions/nonsense").status_code == 404
        assert alices_client.get("/api/v1/me").status_code == 200

    def test_a_named_token_of_ninety_days(self, alices_client: APIClient) -> None:
        made = alices_client.post("/api/v1/tokens", {"name": "Nightly import"}, format="json").json()

        assert (made["name"], made["scope"]) == ("Nightly import", "write")
        assert made["token"].startswith("vp_")
        token = ApiToken.objects.get(public_id=made["id"])
        assert made["token"] not in (token.digest, token.token_key)
        assert token.expiry is not None
        assert (token.expiry - token.created).days in {89, 90}

    @pytest.mark.parametrize(
        "wrong", [{"name": ""}, {"name": "x", "scope": "admin"}, {"name": "x", "expires_in_days": 0}]
    )
    def test_refuses_nonsense_tokens(self, alices_client: APIClient, wrong: dict[str, object]) -> None:
        response = alices_client.post("/api/v1/tokens", wrong, format="json")
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/v1/auth/logout"),
        ("post", "/api/v1/auth/logout-all"),
        ("get", "/api/v1/me"),
        ("patch", "/api/v1/me"),
        ("delete", "/api/v1/me"),
        ("post", "/api/v1/me/password"),
        ("get", "/api/v1/sessions"),
        ("delete", "/api/v1/sessions/ses_0"),
        ("post", "/api/v1/tokens"),
    ],
)
def test_nothing_without_credentials(anonymous: APIClient, method: str, path: str) -> None:
    response = getattr(anonymous, method)(path)

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/problem+json"
