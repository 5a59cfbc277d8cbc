"""The upload page's imports from web addresses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.pages.conftest import video_make
from users.models import User
from videos.models import Upload, UrlImport

URL = "https://films.example.org/holiday.mp4"


def import_make(
    owner: User, status: str, *, upload: dict[str, Any] | None = None, **fields: Any
) -> UrlImport:
    later = timezone.now() + timedelta(days=7)
    made = Upload.objects.create(owner=owner, filename="holiday.mp4", expires_at=later, **(upload or {}))
    return UrlImport.objects.create(owner=owner, upload=made, url=URL, status=status, **fields)


def test_an_address_is_asked_for_and_shown(browser: Client, alice: User) -> None:
    page = browser.get("/upload/").content.decode()
    assert reverse("import-new") in page
    assert 'id="imports"' in page

    asked = browser.post(reverse("import-new"), {"url": URL, "name": "Summer"})
    assert asked.status_code == 302
    row = UrlImport.objects.select_related("upload").get()
    assert (row.owner, row.url, row.upload.title, row.status) == (alice, URL, "Summer", "waiting")
    fragment = browser.get(reverse("imports")).content.decode()
    assert "Summer" in fragment
    assert "every 2s" in fragment
    # It has a place of its own, not among the uploads that somebody must go on with.
    assert "Choose the same file again" not in browser.get("/upload/").content.decode()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://films.example.org/x.mp4", "must begin with https://"),
        ("https://127.0.0.1/x.mp4", "does not lead to the public internet"),
        ("", "This field is required"),
    ],
)
def test_an_address_that_cannot_be_is_explained(browser: Client, url: str, words: str) -> None:
    page = browser.post(reverse("import-new"), {"url": url})
    assert page.status_code == 200
    assert words in page.content.decode()
    assert not Upload.objects.exists()


def test_a_failure_says_why_and_offers_another_try(browser: Client, alice: User) -> None:
    row = import_make(alice, "failed", error_code="import_refused", error_message="It answered 404.")
    page = browser.get("/upload/").content.decode()
    assert "It answered 404." in page
    assert "every 2s" not in page

    assert browser.post(reverse("import-again", kwargs={"import_id": row.pk})).status_code == 302
    assert UrlImport.objects.get().status == "waiting"
    assert browser.post(reverse("import-again", kwargs={"import_id": row.pk})).status_code == 302


def test_a_finished_one_leads_to_its_video(browser: Client, alice: User) -> None:
    video = video_make(alice)
    import_make(alice, "done", upload={"length": 5, "offset": 5, "video": video})
    assert reverse("video", kwargs={"video_id": video.pk}) in browser.get(reverse("imports")).content.decode()


def test_cancelling_and_what_strangers_see(browser: Client, strangers_browser: Client, alice: User) -> None:
    row = import_make(alice, "waiting", upload={"length": 100, "offset": 40})
    again, cancel = (
        reverse("import-again", kwargs={"import_id": row.pk}),
        reverse("upload-discard", kwargs={"upload_id": row.upload_id}),
    )
    assert URL not in strangers_browser.get(reverse("imports")).content.decode()
    assert [strangers_browser.post(address).status_code for address in (again, cancel)] == [404, 404]

    assert browser.post(cancel).status_code == 302
    assert not UrlImport.objects.exists()
