"""Presets in the admin: the site's are made there, and the engine judges them there too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from users.models import User
from videos.models import Preset
from videos.services.presets import preset_create

pytestmark = pytest.mark.django_db
HERE = "/admin/videos/preset"
GOOD = {
    "name": "Cinema",
    "description": "",
    "purpose": "watching",
    "position": "5",
    "type": "resize",
    "parameters": '{"short_side": 1080}',
    "enabled": "on",
}


def test_an_operator_makes_changes_and_deletes(staff: Callable[[str], Client]) -> None:
    operator = staff("Operator")
    assert operator.post(f"{HERE}/add/", GOOD).status_code == 302
    made = Preset.objects.get(name="Cinema")
    assert made.owner is None
    assert made.parameters["fit"] == "contain", "normalised"
    assert operator.post(f"{HERE}/{made.pk}/change/", {**GOOD, "name": "cinema"}).status_code == 302
    assert operator.post(f"{HERE}/{made.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Preset.objects.filter(pk=made.pk).exists()
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"parameters": '{"short_side": 1}'}, "parameters", "short_side: Must be at least 16."),
        ({"parameters": "[1]"}, "parameters", "Must be a JSON object."),
        ({"parameters": "{"}, "parameters", "Enter a valid JSON."),
        ({"type": "paint"}, "type", "Select a valid choice"),
        ({"name": "ARCHIVE"}, "name", "There is such a preset already"),
        ({"type": "join", "parameters": '{"after": ["vid_%s"]}' % ("0" * 32)}, "parameters", "one user"),
    ],
)
def test_bad_ones_are_refused(root: Client, change: dict[str, str], field: str, words: str) -> None:
    before = Preset.objects.count()
    answer: Any = root.post(f"{HERE}/add/", {**GOOD, **change})
    assert answer.status_code == 200
    assert words in str(answer.context["adminform"].form.errors[field])
    assert Preset.objects.count() == before


def test_support_only_looks(staff: Callable[[str], Client], alice: User) -> None:
    support = staff("Support")
    own = preset_create(owner=alice, name="Archive", type="mute", parameters={})
    page = support.get(f"{HERE}/{own.pk}/change/")
    assert page.status_code == 200
    assert "_save" not in page.content.decode()
    assert support.post(f"{HERE}/{own.pk}/change/", GOOD).status_code == 403
    for query, names in (("alice", {"Archive"}), (own.pk, {"Archive"}), ("web", {"Web 1080p"})):
        found = support.get(f"{HERE}/?q={query}").context["cl"].result_list
        assert {preset.name for preset in found} == names
