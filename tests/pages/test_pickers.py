"""Operation forms that choose a video or a small file, also without scripts."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobs.pickers import MOST_OFFERED
from tests.pages.conftest import video_make
from users.models import User
from videos.models import Asset, Operation, Video
from videos.services.assets import asset_take

SRT = b"1\n00:00:00,000 --> 00:00:01,000\nHi\n"
HTMX = {"HX-Request": "true"}


def address(video: Video, type_: str, name: str = "operation-create") -> str:
    return reverse(name, kwargs={"video_id": video.id, "type_": type_})


def page(browser: Client, video: Video) -> str:
    return browser.get(reverse("video", kwargs={"video_id": video.id})).content.decode()


def words(owner: User, name: str = "talk.srt") -> Asset:
    return asset_take(owner=owner, pieces=[SRT], filename=name)


def sent(name: str = "talk.srt", content: bytes = SRT) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_ones_own_videos_and_files_are_offered(browser: Client, alice: User, bob: User, video: Video) -> None:
    outro = video_make(alice, name="<b>Outro</b>")
    video_make(alice, name="Still inspected", status="processing")
    theirs = video_make(bob, name="Bob's")
    file = words(alice)
    shown = page(browser, video)
    assert f'<option value="{outro.id}">&lt;b&gt;Outro&lt;/b&gt; (1:15)</option>' in shown
    assert f'<option value="{file.id}">talk.srt</option>' in shown
    assert theirs.id not in shown
    assert "Still inspected" not in shown
    assert 'name="subtitles-file-upload"' in shown
    assert shown.count('name="join-after"') == 5


def test_long_lists_have_an_end_and_cost_no_more(browser: Client, alice: User, video: Video) -> None:
    page(browser, video)
    with CaptureQueriesContext(connection) as few:
        page(browser, video)
    for number in range(MOST_OFFERED + 5):
        video_make(alice, name=f"clip {number}")
    with CaptureQueriesContext(connection) as many:
        shown = page(browser, video)
    assert len(many) == len(few)
    assert "clip 5 (" in shown
    assert "clip 4 (" not in shown


def test_videos_are_joined_in_the_order_chosen(browser: Client, alice: User, video: Video) -> None:
    one, two = video_make(alice, name="One"), video_make(alice, name="Two")
    response = browser.post(address(video, "join"), {"join-before": ["", two.id, "", one.id, ""]})
    assert response.status_code == 302
    assert Operation.objects.get().parameters["before"] == [two.id, one.id]
    assert "Before another video, another video" in page(browser, video)


def test_a_refused_order_is_kept(browser: Client, alice: User, video: Video) -> None:
    one = video_make(alice, name="One")
    gone = "vid_" + "0" * 32
    response = browser.post(address(video, "join"), {"join-after": [gone, one.id]}, headers=HTMX)
    shown = response.content.decode()
    assert f"There is no video {gone} of yours." in shown
    assert shown.index(f'<option value="{gone}" selected>') < shown.index(
        f'<option value="{one.id}" selected>'
    )


@pytest.mark.parametrize("scripted", [True, False])
def test_a_file_is_sent_with_the_form(browser: Client, alice: User, video: Video, scripted: bool) -> None:
    data = {"subtitles-action": "burn", "subtitles-size": "6", "subtitles-file-upload": sent()}
    response = browser.post(address(video, "subtitles"), data, headers=HTMX if scripted else {})
    assert response.status_code == (200 if scripted else 302)
    asset = Asset.objects.get(owner=alice)
    assert (asset.kind, asset.filename) == ("subtitles", "talk.srt")
    assert Operation.objects.get().parameters == {"action": "burn", "file": asset.id, "size": 6}


def test_a_file_that_is_refused_is_told_beside_its_field(browser: Client, video: Video) -> None:
    data = {"watermark-image-upload": sent("logo.svg", b"<svg/>"), "watermark-text": ""}
    response = browser.post(address(video, "watermark"), data)
    assert response.status_code == 200
    assert 'id="id_watermark-image_error"' in response.content.decode()
    assert "no picture and no file of subtitles" in response.content.decode()
    assert not Asset.objects.exists()
    assert not Operation.objects.exists()


def test_a_file_stays_chosen_where_something_else_is_wrong(browser: Client, video: Video) -> None:
    data = {"subtitles-action": "burn", "subtitles-size": "99", "subtitles-file-upload": sent()}
    response = browser.post(address(video, "subtitles"), data, headers=HTMX)
    assert f'<option value="{Asset.objects.get().id}" selected>' in response.content.decode()
    assert not Operation.objects.exists()


def test_a_file_of_the_wrong_kind_does_not_fit(browser: Client, video: Video) -> None:
    data = {"watermark-image-upload": sent()}
    response = browser.post(address(video, "watermark"), data, headers=HTMX)
    assert "holds no still picture" in response.content.decode()


def test_a_strangers_video_takes_no_files(strangers_browser: Client, video: Video) -> None:
    response = strangers_browser.post(address(video, "subtitles"), {"subtitles-file-upload": sent()})
    assert response.status_code == 404
    assert not Asset.objects.exists()


def test_the_preview_waits_for_the_file(browser: Client, video: Video) -> None:
    data = {"watermark-image": "", "watermark-image-upload": "[object File]"}
    response = browser.post(address(video, "watermark", "operation-plan"), data, headers=HTMX)
    assert "Start sends the file first" in response.content.decode()
