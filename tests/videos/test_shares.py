"""Share links: what visitors get, how downloads are counted, and who can try how often."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from problems import Problem
from tests.videos.cast import output_of, processing_video, published, ready_video, sent_from, stream_artifact
from users.models import User
from videos.models import ShareLink, ShareVisit, Video
from videos.services import shares as services
from videos.services.shares import share_create, visit_note, visits_purge
from videos.services.videos import video_restore, video_trash

pytestmark = pytest.mark.django_db
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1"


@pytest.fixture
def video(alice: User, tmp_path: Path) -> Video:
    picture = tmp_path / "thumbnail.jpg"
    picture.write_bytes(b"jpeg")
    return ready_video(alice, thumbnail=picture)


def place(share: ShareLink, rest: str = "") -> str:
    return f"/s/{share.token}/{rest}"


class TestApi:
    def test_makes_lists_changes_and_ends(self, alices_client: APIClient, video: Video) -> None:
        made = alices_client.post(
            f"/api/v1/videos/{video.pk}/shares",
            {"title": "  Summer\u202e ", "password": "open sesame", "max_downloads": 3},
            format="json",
        )
        assert made.status_code == 201, made.json()
        share = made.json()
        assert share["title"] == "Summer"
        assert (share["state"], share["has_password"], share["downloads_left"]) == ("open", True, 3)
        assert "open sesame" not in made.content.decode()
        token = share["url"].rstrip("/").rpartition("/")[2]
        assert len(token) == 32, "24 random bytes"
        for address in ("/api/v1/shares", f"/api/v1/videos/{video.pk}/shares"):
            assert [one["id"] for one in alices_client.get(address).json()["data"]] == [share["id"]]

        one = f"/api/v1/shares/{share['id']}"
        changed = alices_client.patch(one, {"password": "", "allow_download": False}, format="json").json()
        assert (changed["has_password"], changed["allow_download"], changed["title"]) == (
            False,
            False,
            "Summer",
        )
        assert alices_client.post(f"{one}/revoke").json()["state"] == "revoked"
        refused = alices_client.patch(one, {"title": "again"}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (409, "share_revoked")
        assert alices_client.delete(one).status_code == 204
        assert alices_client.get(one).status_code == 404

    @pytest.mark.parametrize(
        "wish",
        [
            {"password": "abc"},
            {"password": "x" * 257},
            {"max_downloads": 0},
            {"max_downloads": 10**12},
            {"expires_at": "2001-01-01T00:00:00Z"},
            {"expires_at": "soon"},
            {"title": "x" * 256},
            {"title": None},
        ],
    )
    def test_refuses_nonsense_and_changes_nothing(
        self, alices_client: APIClient, video: Video, wish: dict[str, Any]
    ) -> None:
        answer = alices_client.post(f"/api/v1/videos/{video.pk}/shares", wish, format="json")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert not ShareLink.objects.exists()

    def test_shares_only_results_of_the_video(
        self, alice: User, bob: User, alices_client: APIClient, video: Video, tmp_path: Path
    ) -> None:
        others = output_of(ready_video(bob), tmp_path)
        elsewhere = output_of(ready_video(alice), tmp_path)
        for output_id in (others.pk, elsewhere.pk, "out_0", "nonsense"):
            answer = alices_client.post(
                f"/api/v1/videos/{video.pk}/shares", {"output": output_id}, format="json"
            )
            assert answer.status_code == 404, output_id

    def test_needs_a_ready_video_and_has_a_bound(
        self, alice: User, alices_client: APIClient, video: Video, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fresh = processing_video(alice)
        answer = alices_client.post(f"/api/v1/videos/{fresh.pk}/shares", {}, format="json")
        assert answer.json()["code"] == "video_not_ready"
        monkeypatch.setattr(services, "MOST_SHARES", 1)
        share_create(video=video)
        answer = alices_client.post(f"/api/v1/videos/{video.pk}/shares", {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_shares")


class TestVisitors:
    def test_see_the_title_and_nothing_else_of_the_owner(
        self, client: Client, alice: User, video: Video
    ) -> None:
        Video.objects.filter(pk=video.pk).update(name="Private name", original_filename="IMG_0007.mov")
        share = share_create(video=video, title="For you")
        page = client.get(place(share))
        text = page.content.decode()
        assert "For you" in text
        assert not any(word in text for word in ("Private name", "IMG_0007", alice.username, video.pk))
        assert page.headers["X-Robots-Tag"].startswith("noindex")
        assert 'name="robots"' in text
        media = client.get(place(share, "media"))
        assert sent_from(media) == f"/videos/{video.pk}/source"
        assert media.headers["Content-Disposition"] == 'inline; filename="For you.mp4"'
        assert media.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"

    def test_a_link_without_a_title_is_called_nothing(self, client: Client, video: Video) -> None:
        share = share_create(video=video)
        assert "Shared video" in client.get(place(share)).content.decode()
        assert (
            client.get(place(share, "media")).headers["Content-Disposition"] == 'inline; filename="video.mp4"'
        )

    def test_a_shared_stream_leads_to_its_own_files_only(
        self, client: Client, video: Video, tmp_path: Path
    ) -> None:
        stream = published(video, "hls", stream_artifact(tmp_path))
        share = share_create(video=video, output=stream)
        master = client.get(place(share, "media"))
        assert sent_from(master) == f"/outputs/{stream.pk}/file"
        part = client.get(place(share, "files/180p.mp4"))
        assert sent_from(part) == f"/outputs/{stream.pk}/files/180p.mp4"
        for name in ("file", "..%2ffile", "other.mp4", "source"):
            assert client.get(place(share, f"files/{name}")).status_code == 404, name
        assert client.get(place(share, "poster")).status_code == 404, "it may show what was cut away"
        assert client.get(place(share, "download")).status_code == 403, "a playlist is no file to keep"

    def test_the_trash_closes_links_and_restoring_opens_them(self, client: Client, video: Video) -> None:
        share = share_create(video=video)
        video_trash(video=video)
        assert client.get(place(share)).status_code == 404
        video_restore(video=video)
        assert client.get(place(share)).status_code == 200

    def test_an_expired_link_says_so(self, client: Client, video: Video) -> None:
        share = share_create(video=video, expires_at=timezone.now() + timedelta(hours=1))
        assert client.get(place(share)).status_code == 200
        ShareLink.objects.filter(pk=share.pk).update(expires_at=timezone.now())
        gone = client.get(place(share))
        assert gone.status_code == 410
        assert "Link expired" in gone.content.decode()
        assert gone.headers["Cache-Control"] == "no-store"


class TestPassword:
    def test_opens_page_and_bytes_for_this_link_only(self, client: Client, video: Video) -> None:
        share = share_create(video=video, title="Behind", password="open sesame")
        other = share_create(video=video, password="open sesame")
        door = client.get(place(share)).content.decode()
        assert "password" in door
        assert "Behind" not in door, "the title is behind the door too"
        assert client.get(place(share, "media")).status_code == 403
        wrong = client.post(place(share), {"password": "open sesamee"})
        assert wrong.status_code == 200
        assert "This is not the password" in wrong.content.decode()

        opened = client.post(place(share), {"password": "open sesame"})
        assert (opened.status_code, opened.headers["Location"]) == (303, place(share))
        cookie = opened.cookies["videoproc_share"]
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (place(share), True, "Lax")
        assert client.get(place(share, "media")).status_code == 200
        assert client.get(place(other, "media")).status_code == 403

    def test_a_new_password_locks_again(self, client: Client, video: Video) -> None:
        share = share_create(video=video, password="open sesame")
        client.post(place(share), {"password": "open sesame"})
        assert client.get(place(share, "media")).status_code == 200
        services.share_update(share=share, changes={"password": "another"})
        assert client.get(place(share, "media")).status_code == 403

    def test_tries_are_counted_by_network_and_in_all(
        self, client: Client, video: Video, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "TRIES_OF_ONE", 2)
        monkeypatch.setattr(services, "TRIES_OF_ALL", 5)
        share = share_create(video=video, password="open sesame")

        def tried(password: str, address: str) -> int:
            # Only what the edge adds last counts; the rest is what the client says of itself.
            forwarded = f"6.6.6.6, {address}"
            return client.post(
                place(share), {"password": password}, headers={"X-Forwarded-For": forwarded}
            ).status_code

        assert [tried("wrong", f"192.0.2.{last}") for last in (1, 77, 99)] == [200, 200, 429]
        assert tried("open sesame", "192.0.2.5") == 429, "the right one neither, meanwhile"
        assert tried("open sesame", "198.51.100.1") == 303, "others are not locked out"
        assert [tried("wrong", f"203.0.{third}.1") for third in range(4)] == [200, 200, 200, 429]
        assert tried("wrong", "2001:db8::1") == 429
        assert share.visits.filter(kind="password").count() == 4


class TestDownloads:
    def test_are_counted_once_and_can_be_resumed(self, client: Client, video: Video) -> None:
        share = share_create(video=video, title="Keep", max_downloads=1)
        assert client.head(place(share, "download")).status_code == 200
        taken = client.get(place(share, "download"))
        assert taken.status_code == 303
        for _ in range(3):
            answer = client.get(taken.headers["Location"], headers={"Range": "bytes=5-"})
            assert sent_from(answer) == f"/videos/{video.pk}/source"
            assert answer.headers["Content-Disposition"] == 'attachment; filename="Keep.mp4"'
        share.refresh_from_db()
        assert (share.downloads, share.downloads_left) == (1, 0)
        assert client.get(place(share, "download")).status_code == 403
        assert "All downloads of this link were taken" in client.get(place(share)).content.decode()

    def test_need_a_pass_of_this_link(self, client: Client, video: Video) -> None:
        share, other = share_create(video=video), share_create(video=video)
        pass_ = client.get(place(other, "download")).headers["Location"].partition("?")[2]
        for query in ("", "pass=", "pass=x:y:z", pass_, pass_[:-1]):
            assert client.get(f"{place(share, 'file')}?{query}").status_code == 403, query

    def test_stop_when_the_owner_changes_their_mind(self, client: Client, video: Video) -> None:
        share = share_create(video=video)
        address = client.get(place(share, "download")).headers["Location"]
        services.share_update(share=share, changes={"allow_download": False})
        assert client.get(address).status_code == 403
        services.share_update(share=share, changes={"allow_download": True})
        assert client.get(address).status_code == 200
        services.share_revoke(share=share)
        assert client.get(address).status_code == 404

    @pytest.mark.django_db(transaction=True)
    def test_visitors_at_once_never_share_the_last_one(self, video: Video) -> None:
        share = share_create(video=video, max_downloads=3)
        numbers: list[int] = []
        refused: list[str] = []
        begin = threading.Barrier(8)

        def take() -> None:
            begin.wait()
            try:
                numbers.append(services.download_take(share=ShareLink.objects.get(pk=share.pk)))
            except Problem as problem:
                refused.append(problem.code)
            finally:
                connection.close()

        visitors = [threading.Thread(target=take) for _ in range(8)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        share.refresh_from_db()
        assert (len(numbers), share.downloads) == (3, 3)
        assert refused == ["share_no_download"] * 5


class TestLog:
    def test_tells_who_came_without_telling_who_they_are(
        self, client: Client, alices_client: APIClient, video: Video
    ) -> None:
        share = share_create(video=video)
        for _ in range(3):
            client.get(place(share), headers={"X-Forwarded-For": "192.0.2.77", "User-Agent": PHONE})
        client.get(place(share, "media"), headers={"X-Forwarded-For": "192.0.2.77"})
        for _ in range(2):
            client.get(place(share, "download"), headers={"X-Forwarded-For": "2001:db8:1:2::3"})
        lines = alices_client.get(f"/api/v1/shares/{share.pk}/visits").json()["data"]
        assert [(line["kind"], line["network"]) for line in lines] == [
            ("download", "2001:db8:1::/48"),
            ("download", "2001:db8:1::/48"),
            ("page", "192.0.2.0/24"),
        ]
        assert lines[-1]["agent"] == PHONE
        share.refresh_from_db()
        assert (share.views, share.downloads) == (1, 2), "a page loaded again is the same visit"

    def test_does_not_count_its_owner(self, alice: User, client: Client, video: Video) -> None:
        share = share_create(video=video)
        client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
        assert client.get(place(share)).status_code == 200
        assert not share.visits.exists()

    def test_is_kept_for_ninety_days(self, video: Video) -> None:
        share = share_create(video=video)
        for _ in range(3):
            visit_note(share=share, kind=ShareVisit.Kind.DOWNLOAD, address="nonsense", agent="a\nb" * 200)
        old = ShareVisit.objects.order_by("pk").first()
        assert old is not None
        assert (old.address, len(old.agent), "\n" in old.agent) == ("", 200, False)
        ShareVisit.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=91))
        assert visits_purge(batch=1) == 1
        assert ShareVisit.objects.count() == 2
