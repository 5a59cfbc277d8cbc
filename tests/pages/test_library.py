"""The library, a video's page, and the upload page."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.pages.conftest import MakeJob, video_make
from users.models import User
from videos.models import DURATION_OR_NONE, Operation, Output, Upload, Video
from videos.views import PAGE_SIZE

LIBRARY = "/videos/"


def place(*values: object) -> str:
    """What an address says of a page behind a row with these values."""
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _names(client: Client, query: str = "") -> list[str]:
    page = client.get(LIBRARY + query).context["page"]
    return [video.name for video in page.rows]


def test_an_empty_library_offers_the_first_steps(browser: Client) -> None:
    page = browser.get(LIBRARY).content.decode()
    assert "Your library is empty" in page
    assert reverse("sample") in page


def test_nothing_found_differs_from_an_empty_library(browser: Client, video: Video) -> None:
    page = browser.get(LIBRARY, {"q": "unknown"}).content.decode()
    assert "Nothing matches" in page
    assert "Your library is empty" not in page


def test_search_filter_and_order_come_from_the_address(browser: Client, alice: User, bob: User) -> None:
    video_make(alice, name="Beach at noon", size=10)
    video_make(alice, name="Alps", size=30)
    video_make(alice, name="beach at night", size=20, status="failed", error_code="not_a_video")
    video_make(bob, name="Beach of Bob")
    assert _names(browser) == ["beach at night", "Alps", "Beach at noon"]
    assert _names(browser, "?q=BEACH") == ["beach at night", "Beach at noon"]
    assert _names(browser, "?q=noon beach") == ["Beach at noon"]
    assert _names(browser, "?q=beach&status=ready") == ["Beach at noon"]
    assert _names(browser, "?sort=largest") == ["Alps", "beach at night", "Beach at noon"]
    assert _names(browser, "?sort=oldest") == ["Beach at noon", "Alps", "beach at night"]


@pytest.mark.parametrize(
    "query",
    [
        "?sort=password",
        "?status=x",
        "?q=%00",
        "?page=7",
        "?after=",
        "?after=x",
        "?before=%00",
        "?after=W10",
        "?after=" + place("vid_x"),
        "?after=" + place(None),
        "?after=" + place("vid_" + "0" * 32, 1),
        "?sort=largest&before=" + place("big", "vid_" + "0" * 32),
        "?after=" + place([[1]]),
        "?sort=largest&after=" + place(10**30, "vid_" + "0" * 32),
        "?sort=name&after=" + place("\ud800", "x"),
        "?sort=longest&after=" + place(float("nan"), "vid_" + "0" * 32),
        "?after=" + "W" * 5000,
    ],
)
def test_nonsense_in_the_query_shows_the_library(browser: Client, video: Video, query: str) -> None:
    response = browser.get(LIBRARY + query)
    assert response.status_code == 200


def test_the_library_has_pages(browser: Client, alice: User) -> None:
    for number in range(PAGE_SIZE + 1):
        video_make(alice, name=f"clip {number}")
    first = browser.get(LIBRARY, {"q": "clip"})
    page = first.context["page"]
    assert (len(page.rows), page.previous) == (PAGE_SIZE, None)
    assert f"?q=clip&amp;after={page.next}" in first.content.decode()
    assert _names(browser, f"?q=clip&after={page.next}") == ["clip 0"]


@pytest.mark.parametrize("sort", ["newest", "oldest", "name", "largest", "longest"])
def test_pages_miss_no_row_and_repeat_none(browser: Client, alice: User, sort: str) -> None:
    """Forwards and back, where many are equal."""
    for number in range(2 * PAGE_SIZE + 3):
        video_make(alice, name="abc"[number % 3], size=number % 2, duration=(None, 0.0, 2.5)[number % 3])
    page = browser.get(LIBRARY, {"sort": sort}).context["page"]
    pages = [page]
    while page.next is not None:
        page = browser.get(LIBRARY, {"sort": sort, "after": page.next}).context["page"]
        pages.append(page)
    forwards = [[video.pk for video in page.rows] for page in pages]
    assert [len(rows) for rows in forwards] == [PAGE_SIZE, PAGE_SIZE, 3]
    everything = [key for rows in forwards for key in rows]
    order = {"newest": ("-id",), "oldest": ("id",), "name": ("name", "id"), "largest": ("-size", "-id")}
    by = order.get(sort, (DURATION_OR_NONE.desc(), "-id"))
    assert everything == list(Video.objects.order_by(*by).values_list("pk", flat=True))
    back = []
    while page.previous is not None:
        page = browser.get(LIBRARY, {"sort": sort, "before": page.previous}).context["page"]
        back.append([video.pk for video in page.rows])
    assert back == forwards[-2::-1]


def test_names_are_text_never_markup(browser: Client, alice: User) -> None:
    evil = video_make(alice, name="<script>alert(1)</script>")
    for address in (LIBRARY, reverse("video", kwargs={"video_id": evil.id}), "/"):
        page = browser.get(address).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_the_video_page_tells_what_is_in_the_file(browser: Client, video: Video) -> None:
    page = browser.get(reverse("video", kwargs={"video_id": video.id})).content.decode()
    assert "H.264 High, 1920×1080, 29.97 frames per second" in page
    assert "AAC, stereo, 48 kHz" in page
    assert "<video controls" in page
    assert "now 1920" in page, "the resize form hints at the present width"


def test_a_file_browsers_cannot_play_says_so(browser: Client, alice: User) -> None:
    media = video_make(alice).media_info
    assert media is not None
    film = video_make(alice, media_info={**media, "container": "mkv"}, container="mkv")
    page = browser.get(reverse("video", kwargs={"video_id": film.id})).content.decode()
    assert "Browsers do not play MKV files." in page
    assert "<video" not in page


def test_a_refused_file_says_what_happened_and_what_to_do(browser: Client, alice: User) -> None:
    broken = video_make(
        alice, status="failed", error_code="input_truncated", error_message="The file is incomplete.", size=0
    )
    page = browser.get(reverse("video", kwargs={"video_id": broken.id})).content.decode()
    assert "Incomplete file" in page
    assert "The file is incomplete." in page
    assert "Upload or export it again." in page
    assert "Make something from it" not in page


def test_results_can_be_played_and_downloaded(browser: Client, video: Video, make_job: MakeJob) -> None:
    job = make_job(video, "completed")
    assert job.operation is not None
    output = Output.objects.create(
        operation=job.operation,
        role="resize",
        filename="Holiday - resize.mp4",
        content_type="video/mp4",
        size=1_000_000,
        sha256="1" * 64,
        media_info=video.media_info,
        verification={
            "report": [{"name": "duration", "passed": True, "expected": "3 s", "actual": "3.000 s"}]
        },
    )
    page = browser.get(reverse("video", kwargs={"video_id": video.id})).content.decode()
    assert "Checked before it was shown: 1 thing" in page
    assert "<li>Duration: 3.000 s</li>" in page
    assert f"/api/v1/outputs/{output.id}/file" in page
    assert "75 % smaller" in page


def test_a_stream_is_played_and_not_offered_as_one_file(
    browser: Client, video: Video, make_job: MakeJob
) -> None:
    job = make_job(video, "completed")
    assert job.operation is not None
    output = Output.objects.create(
        operation=job.operation,
        role="stream",
        filename="Holiday - hls.m3u8",
        content_type="application/vnd.apple.mpegurl",
        size=1_000_000,
        sha256="1" * 64,
        media_info=video.media_info,
        verification={"report": []},
        members=[{"name": "720p.mp4", "content_type": "video/mp4", "size": 1, "sha256": "1" * 64}],
    )
    page = browser.get(reverse("video", kwargs={"video_id": video.id})).content.decode()
    assert f'data-stream="/api/v1/outputs/{output.id}/file?inline=1"' in page
    assert f'href="/api/v1/outputs/{output.id}/file" download' not in page
    assert "A stream of 2 files" in page


def test_a_video_is_renamed(browser: Client, video: Video) -> None:
    address = reverse("video-rename", kwargs={"video_id": video.id})
    assert browser.post(address, {"name": "  Summer\n2026 "}).status_code == 302
    video.refresh_from_db()
    assert video.name == "Summer 2026"
    refused = browser.post(address, {"name": "\u200b"}).content.decode()
    assert "There is a problem" in refused
    video.refresh_from_db()
    assert video.name == "Summer 2026"


def test_a_deleted_video_is_gone_from_every_page(browser: Client, video: Video) -> None:
    assert browser.post(reverse("video-delete", kwargs={"video_id": video.id})).status_code == 302
    assert _names(browser) == []
    assert browser.get(reverse("video", kwargs={"video_id": video.id})).status_code == 404
    assert not Operation.objects.filter(video=video).exists()


def test_the_upload_page_shows_limits_before_choosing(browser: Client, alice: User, video: Video) -> None:
    User.objects.filter(pk=alice.pk).update(
        storage_bytes_override=5_000_000, max_file_bytes_override=3_000_000
    )
    response = browser.get("/upload/")
    assert response.context["storage_left"] == 1_000_000
    assert response.context["max_file_size"] == 1_000_000
    assert 'data-max-file-size="1000000"' in response.content.decode()
    assert response.cookies["videoproc_csrf"].value


def test_a_full_storage_says_so_instead_of_a_drop_area(browser: Client, alice: User, video: Video) -> None:
    User.objects.filter(pk=alice.pk).update(storage_bytes_override=1)
    page = browser.get("/upload/").content.decode()
    assert "Your storage is full" in page
    assert 'id="uploader"' not in page


def test_unfinished_uploads_are_listed_and_discarded(browser: Client, alice: User) -> None:
    later = timezone.now() + timedelta(days=1)
    upload = Upload.objects.create(owner=alice, filename="film.mov", length=100, offset=63, expires_at=later)
    assert "film.mov" in browser.get("/upload/").content.decode()
    assert browser.post(reverse("upload-discard", kwargs={"upload_id": upload.id})).status_code == 302
    assert not Upload.objects.filter(pk=upload.pk).exists()
    assert "film.mov" not in browser.get("/upload/").content.decode()
