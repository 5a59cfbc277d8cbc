"""The page of one's pictures and subtitles, and the admin's list of everybody's."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.pages.conftest import browser_of
from users.models import User
from videos import storage
from videos.assets_views import PAGE_SIZE
from videos.models import Asset
from videos.services.assets import asset_take

SRT = b"1\n00:00:00,000 --> 00:00:01,000\nHello\n"
FILES = "/files/"


@pytest.fixture
def asset(alice: User) -> Asset:
    return asset_take(owner=alice, pieces=[SRT], filename="Tom & Jerry.srt")


def picture(owner: User, name: str) -> Asset:
    info = {"video": [{"width": 60, "height": 40}]}
    return Asset.objects.create(owner=owner, kind="picture", filename=name, size=1, media_info=info)


def test_an_empty_page_says_where_they_come_from(browser: Client) -> None:
    assert "No small files yet" in browser.get(FILES).content.decode()
    assert f'href="{FILES}"' in browser.get("/account/").content.decode()


def test_they_are_listed_and_deleted_by_their_owner(
    browser: Client,
    strangers_browser: Client,
    alice: User,
    asset: Asset,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    picture(alice, "logo.png")
    page = browser.get(FILES).content.decode()
    assert "Tom &amp; Jerry.srt" in page
    assert "60 × 40" in page
    assert f"/api/v1/assets/{asset.pk}/file" in page
    assert "Jerry" not in strangers_browser.get(FILES).content.decode()
    delete = f"{FILES}{asset.pk}/delete/"
    assert strangers_browser.post(delete).status_code == 404
    assert browser.get(delete).status_code == 405
    kept = storage.asset_path(asset.pk)
    assert kept.is_file()
    with django_capture_on_commit_callbacks(execute=True):
        page = browser.post(delete, follow=True).content.decode()
    assert "is deleted." in page
    assert not kept.exists()
    assert list(Asset.objects.values_list("filename", flat=True)) == ["logo.png"]
    assert browser.post(delete).status_code == 404


def test_many_come_in_pages(browser: Client, alice: User) -> None:
    for number in range(PAGE_SIZE + 1):
        picture(alice, f"logo {number}.png")
    page = browser.get(FILES).context["page"]
    assert len(page.rows) == PAGE_SIZE
    rest = browser.get(FILES, {"after": page.next})
    assert [row.filename for row in rest.context["page"].rows] == ["logo 0.png"]
    Asset.objects.filter(filename="logo 0.png").delete()
    assert "Nothing here any more" in browser.get(FILES, {"after": page.next}).content.decode()


def test_administrators_find_and_delete_them(
    carol: User,
    alice: User,
    asset: Asset,
    media: Path,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    root = browser_of(carol)
    lost = picture(alice, "lost.png")
    place = "/admin/videos/asset/"
    for query, found in (("q=ali", {asset, lost}), ("q=bob", set()), ("file=missing", {lost})):
        assert set(root.get(f"{place}?{query}").context["cl"].result_list) == found, query
    assert f"owner={alice.pk}" in root.get(f"/admin/users/user/{alice.pk}/change/").content.decode()
    page = root.get(f"{place}{asset.pk}/change/").content.decode()
    assert "Delete this asset for good" in page
    body = {"action": "delete_files", "_selected_action": [asset.pk], "_page_of": asset.pk}
    with django_capture_on_commit_callbacks(execute=True):
        page = root.post(place, body, follow=True).content.decode()
    assert "1 asset was deleted." in page
    assert list(Asset.objects.all()) == [lost]
    assert not storage.asset_path(asset.pk).exists()
    assert LogEntry.objects.get(object_id=asset.pk).get_change_message() == "Deleted."
