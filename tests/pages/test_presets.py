"""Presets on the page of a video, and the pages to keep them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from jobs.models import Job
from tests.pages.conftest import MakeJob
from users.models import User
from videos.models import Operation, Preset, Video
from videos.services.presets import preset_create

HTMX = {"HX-Request": "true"}


@pytest.fixture
def own(alice: User) -> Preset:
    return preset_create(owner=alice, name="<b>Mine</b>", type="resize", parameters={"width": 640})


def test_the_video_page_offers_them_by_purpose(browser: Client, video: Video, own: Preset) -> None:
    page = browser.get(f"/videos/{video.id}/").content.decode()
    places = [
        page.index(words) for words in ("Watching", "Phone 720p", "Sharing", "GIF preview", "&lt;b&gt;")
    ]
    assert places == sorted(places)
    assert "<b>Mine" not in page
    Preset.objects.filter(pk=own.pk).update(enabled=False)
    assert own.id not in browser.get(f"/videos/{video.id}/").content.decode()


def test_the_plan_comes_before_the_start(browser: Client, video: Video, own: Preset) -> None:
    address = f"/videos/{video.id}/presets/"
    plan = browser.post(address + "plan/", {"preset": own.id}, headers=HTMX).content.decode()
    assert "From 1920x1080 to 640x360" in plan
    assert "Choose a preset." in browser.post(address + "plan/", headers=HTMX).content.decode()
    assert not Operation.objects.exists()

    answer = browser.post(address, {"preset": own.id}, headers=HTMX)
    page = answer.content.decode()
    assert 'id="preset-form"' in page
    assert 'hx-swap-oob="true"' in page
    assert "It is started." in answer["HX-Trigger"]
    assert Job.objects.count() == 1
    # Without JavaScript, and equal: the same operation.
    answer = browser.post(address, {"preset": own.id}, follow=True)
    assert answer.redirect_chain == [(f"/videos/{video.id}/", 302)]
    assert "exactly this before" in answer.content.decode()
    assert Job.objects.count() == 1


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_cannot_be_started_says_why(
    browser: Client, video: Video, own: Preset, headers: dict[str, str]
) -> None:
    Preset.objects.filter(pk=own.pk).update(parameters={"width": 640, "gone": 1})
    for preset_id, words in (
        ("", "Choose a preset."),
        ("x", "There is no such preset."),
        (own.id, "There is no such parameter."),
    ):
        page = browser.post(f"/videos/{video.id}/presets/", {"preset": preset_id}, headers=headers)
        assert page.status_code == 200
        assert words in page.content.decode()
        assert "There is a problem" in page.content.decode()
    assert "checked" in page.content.decode()
    assert not Operation.objects.exists()


def test_a_filled_form_is_saved(browser: Client, video: Video, alice: User) -> None:
    address = f"/videos/{video.id}/operations/resize/preset/"
    refused = browser.post(address, {"resize-width": "x"}).content.decode()
    assert "Must be a whole number." in refused
    assert not Preset.objects.filter(owner=alice).exists()

    answer = browser.post(address, {"resize-width": "320"}, headers=HTMX)
    target = answer["HX-Redirect"]
    assert browser.post(address, {"resize-width": "320"})["Location"] == target
    page = browser.get(target)
    assert "320" in page.content.decode()
    hidden = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    taken = browser.post(target, {**hidden, "name": "", "purpose": "other"})
    assert "There is a problem" in taken.content.decode()
    done = browser.post(target, {**hidden, "name": "Tiny", "purpose": "sharing"})
    assert done["Location"] == f"/videos/{video.id}/"
    made = Preset.objects.get(owner=alice)
    assert (made.name, made.purpose, made.parameters["width"]) == ("Tiny", "sharing", 320)
    again = browser.post(target, {**hidden, "name": "TINY", "purpose": "other"})
    assert "There is a preset “TINY” already." in again.content.decode()


def test_what_was_made_is_saved(
    browser: Client, strangers_browser: Client, video: Video, make_job: MakeJob
) -> None:
    job = make_job(video, "completed")
    assert job.operation is not None
    target = f"/presets/new/?operation={job.operation.id}"
    assert target in browser.get(f"/videos/{video.id}/").content.decode()
    assert "Resize" in browser.get(target).content.decode()
    assert strangers_browser.get(target).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("?type=paint", 422),
        ("?type=mute&parameters=[]", 400),
        ("?type=mute&parameters={", 400),
        ("?type=mute&parameters=" + "[" * 3000, 400),
        ("?type=resize", 422),
        ("?type=mute&video=vid_x", 404),
        ("?operation=op_x", 404),
    ],
)
def test_damaged_addresses(browser: Client, query: str, status: int) -> None:
    assert browser.get(f"/presets/new/{query}").status_code == status


def test_own_ones_are_renamed_and_deleted(
    browser: Client, strangers_browser: Client, own: Preset, alice: User
) -> None:
    page = browser.get("/presets/").content.decode()
    assert "&lt;b&gt;Mine" in page
    assert "Web 1080p" in page
    address = f"/presets/{own.id}/"
    assert "640" in browser.get(address).content.decode()
    assert strangers_browser.get(address).status_code == 404
    of_the_site = Preset.objects.filter(owner=None)[0]
    assert browser.get(f"/presets/{of_the_site.id}/").status_code == 403
    assert browser.post(f"/presets/{of_the_site.id}/delete/").status_code == 403

    body = {"name": "Better", "description": "For the shop", "purpose": "keeping"}
    assert browser.post(address, body)["Location"] == "/presets/"
    own.refresh_from_db()
    assert (own.name, own.description, own.purpose, own.parameters["width"]) == (
        "Better", "For the shop", "keeping", 640,
    )  # fmt: skip
    preset_create(owner=alice, name="Other", type="mute", parameters={})
    assert "already" in browser.post(address, {**body, "name": "other"}).content.decode()
    assert strangers_browser.post(f"{address}delete/").status_code == 404
    assert browser.post(f"{address}delete/")["Location"] == "/presets/"
    assert not Preset.objects.filter(pk=own.pk).exists()


def test_a_reader_without_any_is_told_how(browser: Client) -> None:
    assert "You have none so far." in browser.get("/presets/").content.decode()
