"""The trash: out of every list, back with its results, and away for good."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from tests.pages.conftest import browser_of
from tests.videos.cast import output_of, ready_video
from users.models import User
from videos import storage
from videos.models import Operation, Output, Reservation, Video
from videos.selectors import storage_reserved, storage_usage
from videos.services.reservations import operation_hold
from videos.services.videos import video_trash
from videos.storage_map import storage_map
from videos.templatetags.storage import days_left

pytestmark = pytest.mark.django_db
VIDEOS = "/api/v1/videos"


@pytest.fixture
def browser(alice: User) -> Client:
    return browser_of(alice)


def trashed(owner: User) -> Video:
    video = ready_video(owner)
    video_trash(video=video)
    return video


class TestApi:
    def test_what_is_in_it_is_nowhere_else_and_comes_back(
        self, alice: User, alices_client: APIClient, bobs_client: APIClient, tmp_path: Path
    ) -> None:
        kept, gone = ready_video(alice), ready_video(alice)
        output = output_of(gone, tmp_path)
        assert alices_client.delete(f"{VIDEOS}/{gone.pk}").status_code == 204

        def listed(query: str = "") -> list[str]:
            return [one["id"] for one in alices_client.get(f"{VIDEOS}{query}").json()["data"]]

        assert (listed(), listed("?trashed=true")) == ([kept.pk], [gone.pk])
        assert alices_client.get(f"{VIDEOS}/{gone.pk}").status_code == 404
        assert alices_client.get(f"/api/v1/outputs/{output.pk}/file").status_code == 404
        assert bobs_client.post(f"{VIDEOS}/{gone.pk}/restore").status_code == 404
        assert bobs_client.delete(f"{VIDEOS}/{gone.pk}?permanently=true").status_code == 404

        back = alices_client.post(f"{VIDEOS}/{gone.pk}/restore")
        assert (back.status_code, back.json()["deleted_at"]) == (200, None)
        assert set(listed()) == {kept.pk, gone.pk}
        assert alices_client.get(f"/api/v1/outputs/{output.pk}/file").status_code == 200
        assert alices_client.post(f"{VIDEOS}/{gone.pk}/restore").status_code == 404, (
            "it is not there any more"
        )

    def test_for_good_is_only_from_there(
        self,
        alice: User,
        alices_client: APIClient,
        tmp_path: Path,
        django_capture_on_commit_callbacks: object,
    ) -> None:
        video = ready_video(alice)
        output = output_of(video, tmp_path)
        address = f"{VIDEOS}/{video.pk}?permanently=true"
        assert alices_client.delete(address).status_code == 404
        video_trash(video=video)
        assert alices_client.delete(address).status_code == 204
        assert not Video.objects.filter(pk=video.pk).exists()
        assert not storage.source_path(video.pk).exists()
        assert not storage.output_path(output.pk).exists()

    def test_coming_back_needs_room(self, alice: User, alices_client: APIClient, tmp_path: Path) -> None:
        video = ready_video(alice)
        output_of(video, tmp_path)
        size = storage_usage(alice)
        video_trash(video=video)
        alice.storage_bytes_override = size - 1
        alice.save()
        refused = alices_client.post(f"{VIDEOS}/{video.pk}/restore")
        assert (refused.status_code, refused.json()["code"]) == (413, "quota_exceeded")
        told = refused.json()
        assert (told["needed"], told["used"], told["reserved"], told["limit"]) == (size, 0, 0, size - 1)
        assert storage_usage(alice) == 0
        alice.storage_bytes_override = size
        alice.save()
        assert alices_client.post(f"{VIDEOS}/{video.pk}/restore").status_code == 200
        assert storage_usage(alice) == size


class TestPages:
    def test_deleting_offers_to_undo(self, alice: User, browser: Client) -> None:
        video = ready_video(alice)
        page = browser.post(reverse("video-delete", args=[video.pk]), follow=True).content.decode()
        assert "is in the trash" in page
        assert f'<input type="hidden" name="video" value="{video.pk}">' in page
        undone = browser.post(reverse("trash-restore"), {"video": video.pk})
        assert undone.headers["Location"] == reverse("video", args=[video.pk])
        video.refresh_from_db()
        assert video.deleted_at is None

    def test_shows_how_long_things_stay(self, alice: User, bob: User, browser: Client) -> None:
        video = trashed(alice)
        Video.objects.filter(pk=video.pk).update(
            name="Almost gone", deleted_at=timezone.now() - timedelta(days=5, hours=1)
        )
        others = trashed(bob)
        page = browser.get(reverse("trash")).content.decode()
        assert "Almost gone" in page
        assert "<strong>2 days</strong> left" in page
        assert others.pk not in page

    def test_several_go_and_come_back_at_once(self, alice: User, bob: User, browser: Client) -> None:
        mine = [ready_video(alice).pk for _ in range(2)]
        page = browser.post(reverse("library-selection"), {"action": "trash", "video": mine}, follow=True)
        assert "2 videos are in the trash" in page.content.decode()
        assert Video.objects.filter(deleted_at=None).count() == 0
        assert browser.post(reverse("trash-restore"), {"video": mine}).status_code == 302
        assert Video.objects.filter(deleted_at=None).count() == 2
        stranger = browser_of(bob)
        for name in ("library-selection", "trash-restore", "trash-delete"):
            refused = stranger.post(reverse(name), {"action": "trash", "video": mine})
            assert refused.status_code == 404, name
        assert Video.objects.filter(deleted_at=None).count() == 2

    def test_empties_only_ones_own(self, alice: User, bob: User, browser: Client) -> None:
        mine, others = trashed(alice), trashed(bob)
        kept = ready_video(alice)
        assert browser.post(reverse("trash-empty"), follow=True).status_code == 200
        assert set(Video.objects.values_list("pk", flat=True)) == {others.pk, kept.pk}
        assert not storage.source_path(mine.pk).exists()
        assert storage.source_path(others.pk).exists()

    def test_one_goes_for_good(self, alice: User, browser: Client) -> None:
        first, second = trashed(alice), trashed(alice)
        browser.post(reverse("trash-delete"), {"video": first.pk})
        assert list(Video.objects.values_list("pk", flat=True)) == [second.pk]

    def test_what_cannot_come_back_says_why(self, alice: User, browser: Client) -> None:
        video = trashed(alice)
        alice.storage_bytes_override = 0
        alice.save()
        page = browser.post(reverse("trash-restore"), {"video": video.pk}, follow=True).content.decode()
        assert "stays in the trash" in page
        video.refresh_from_db()
        assert video.deleted_at is not None


def test_days_left_are_whole_and_never_negative(alice: User) -> None:
    video = trashed(alice)
    video.refresh_from_db()
    assert days_left(video, 7) == 7
    video.deleted_at = timezone.now() - timedelta(days=30)
    assert days_left(video, 7) == 0


def test_the_map_of_the_storage_adds_up(
    alice: User, bob: User, alices_client: APIClient, browser: Client, tmp_path: Path
) -> None:
    video = ready_video(alice)
    result = output_of(video, tmp_path)
    gone = ready_video(alice)
    output_of(gone, tmp_path)
    video_trash(video=gone)
    output_of(ready_video(bob), tmp_path)
    waits = Operation.objects.create(video=video, type="gif", parameters={}, fingerprint="9")
    operation_hold(operation=waits, expected=1000)
    found = storage_map(alice)
    assert found.used == storage_usage(alice) == video.size + result.size
    assert (found.reserved, found.trash.count, found.trash.bytes) == (1000, 1, gone.size + result.size)
    assert [(one.type, one.count, one.bytes) for one in found.results] == [("resize", 1, result.size)]
    assert [(one.id, one.result_bytes) for one in found.largest] == [(video.pk, result.size)]
    told = alices_client.get("/api/v1/me/storage").json()
    assert (told["used"], told["reserved"]) == (found.used, 1000)
    assert told["largest"][0]["id"] == video.pk
    assert alices_client.get("/api/v1/me").json()["usage"] == {
        "storage_bytes": found.used,
        "reserved_bytes": 1000,
        "videos": 1,
    }
    page = browser.get(reverse("storage")).content.decode()
    assert "Largest videos" in page
    assert "map-originals" in page
    assert Output.objects.filter(operation__video=video).count() == 1
    assert storage_reserved(bob) == 0
    assert Reservation.objects.count() == 1
