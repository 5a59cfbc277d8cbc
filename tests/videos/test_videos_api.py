"""Videos, their files and the catalogue through the API."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from problems import Problem
from tests.videos.cast import (
    CONTENT,
    output_of,
    processing_video,
    published,
    ready_video,
    sent_from,
    stream_artifact,
)
from users.models import User
from videos import storage
from videos.models import Video
from videos.selectors import videos_for, videos_matching
from videos.services.operations import operation_get_or_create
from videos.services.videos import video_intake_fail, video_trash

pytestmark = pytest.mark.django_db
VIDEOS = "/api/v1/videos"


def names(client: APIClient, query: str = "") -> list[str]:
    response = client.get(f"{VIDEOS}{query}")
    assert response.status_code == 200, response.json()
    return [video["name"] for video in response.json()["data"]]


class TestGet:
    def test_has_the_fields_of_the_contract(
        self, alice: User, alices_client: APIClient, tmp_path: Path
    ) -> None:
        thumbnail = tmp_path / "t.jpg"
        thumbnail.write_bytes(b"x")
        video = ready_video(alice, thumbnail=thumbnail)
        output_of(video, tmp_path)
        seen = alices_client.get(f"{VIDEOS}/{video.pk}").json()

        assert (seen["id"], seen["name"], seen["status"]) == (video.pk, "clip", "ready")
        assert (seen["size"], seen["duration"], seen["container"]) == (len(CONTENT), 12.5, "mp4")
        assert (seen["width"], seen["height"], seen["original_filename"]) == (1080, 1920, "clip.mp4")
        assert len(seen["sha256"]) == 64
        assert seen["media_info"]["video"][0]["codec"] == "h264"
        assert seen["file_url"] == f"http://testserver{VIDEOS}/{video.pk}/file"
        assert seen["thumbnail_url"] == f"http://testserver{VIDEOS}/{video.pk}/thumbnail"
        assert seen["created_at"].endswith("Z")
        assert seen["error"] is None
        assert [(o["type"], o["status"]) for o in seen["operations"]] == [("resize", "completed")]

    def test_says_why_a_file_was_refused(self, alice: User, alices_client: APIClient) -> None:
        video = processing_video(alice)
        video_intake_fail(video_id=video.pk, problem=Problem("not_a_video"))
        seen = alices_client.get(f"{VIDEOS}/{video.pk}").json()

        assert (seen["status"], seen["size"], seen["file_url"]) == ("failed", 0, None)
        assert seen["error"]["code"] == "not_a_video"
        assert seen["error"]["message"] == "The file is not a video we can read."
        assert seen["error"]["hint"].startswith("Upload an mp4")


class TestList:
    @pytest.fixture(autouse=True)
    def _videos(self, alice: User, bob: User) -> None:
        for name, size, duration in (
            ("Zebra at night", 10, 3.0),
            ("cat", 30, None),
            ("Night train", 20, 9.0),
        ):
            Video.objects.create(owner=alice, name=name, size=size, duration=duration)
        Video.objects.create(owner=bob, name="night of bob", size=1)
        video_trash(video=Video.objects.create(owner=alice, name="night in the trash", size=1))

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", ["Night train", "cat", "Zebra at night"]),
            ("?search=night", ["Night train", "Zebra at night"]),
            ("?search=NIGHT+zebra", ["Zebra at night"]),
            ("?search=100%25", []),
            ("?status=ready", []),
            ("?status=processing&status=failed", ["Night train", "cat", "Zebra at night"]),
            ("?ordering=name", ["Night train", "Zebra at night", "cat"]),
            ("?ordering=-size", ["cat", "Night train", "Zebra at night"]),
            ("?ordering=duration", ["cat", "Zebra at night", "Night train"]),
            ("?ordering=created_at", ["Zebra at night", "cat", "Night train"]),
            ("?created_after=2000-01-01T00:00:00Z&created_before=2001-01-01", []),
        ],
    )
    def test_searches_filters_and_orders(
        self, alices_client: APIClient, query: str, expected: list[str]
    ) -> None:
        assert names(alices_client, query) == expected

    @pytest.mark.parametrize(
        "query", ["?ordering=password", "?status=gone", "?created_after=yesterday", "?search=a%00b"]
    )
    def test_refuses_nonsense(self, alices_client: APIClient, query: str) -> None:
        response = alices_client.get(f"{VIDEOS}{query}")
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")

    @pytest.mark.parametrize("ordering", ["", "name", "-size", "duration", "-duration", "created_at"])
    def test_pages_meet_every_video_once(self, alice: User, alices_client: APIClient, ordering: str) -> None:
        for number in range(20):
            Video.objects.create(owner=alice, name=f"twin {number % 3}", size=number % 2, duration=None)
        url: str | None = f"{VIDEOS}?limit=4&ordering={ordering}"
        seen: list[str] = []
        while url:
            page = alices_client.get(url).json()
            assert len(page["data"]) <= 4
            seen += [video["id"] for video in page["data"]]
            url = page["next"]
        assert len(seen) == len(set(seen)) == 23

    def test_a_page_has_at_most_200(self, alice: User, alices_client: APIClient) -> None:
        Video.objects.bulk_create([Video(owner=alice, name=str(n), size=1) for n in range(210)])
        assert len(names(alices_client, "?limit=1000000000")) == 200

    def test_costs_the_same_for_one_and_for_many(self, alice: User, alices_client: APIClient) -> None:
        def queries() -> int:
            with CaptureQueriesContext(
                connection,
            ) as captured:
                assert alices_client.get(VIDEOS).status_code == 200
            return len(captured)

        alices_client.get(VIDEOS)
        before = queries()
        for video in Video.objects.filter(owner=alice):
            operation_get_or_create(video=video, type="resize", parameters={}, fingerprint="1")
        assert queries() == before <= 4

    def test_search_uses_the_index(self, alice: User) -> None:
        Video.objects.bulk_create(
            [Video(owner=alice, name=f"film {n}", size=1) for n in range(20_000)], batch_size=5000
        )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE videos_video")
            cursor.execute("SET LOCAL enable_seqscan = off")
            plan = videos_matching(videos_for(alice), "film 1999").order_by().explain()
        assert "video_owner_words" in plan


class TestChange:
    def test_rename(self, alice: User, alices_client: APIClient) -> None:
        video = ready_video(alice)
        response = alices_client.patch(f"{VIDEOS}/{video.pk}", {"name": "  New\nname "}, format="json")

        assert (response.status_code, response.json()["name"]) == (200, "New name")
        assert alices_client.patch(f"{VIDEOS}/{video.pk}", {"name": ""}, format="json").status_code == 400
        assert alices_client.patch(f"{VIDEOS}/{video.pk}", {}, format="json").status_code == 400

    def test_delete(self, alice: User, alices_client: APIClient) -> None:
        video = ready_video(alice)

        assert alices_client.delete(f"{VIDEOS}/{video.pk}").status_code == 204
        assert alices_client.get(f"{VIDEOS}/{video.pk}").status_code == 404
        assert alices_client.delete(f"{VIDEOS}/{video.pk}").status_code == 404
        assert names(alices_client) == []


class TestFiles:
    def test_an_original_downloads_through_the_edge(self, alice: User, alices_client: APIClient) -> None:
        video = ready_video(alice, title='Größe "1"; x', filename="a.MOV")
        for method in (alices_client.get, alices_client.head):
            response: Any = method(f"{VIDEOS}/{video.pk}/file")
            assert response.status_code == 200
            assert sent_from(response) == f"/videos/{video.pk}/source"
            assert response["Content-Type"] == "video/mp4"
            assert response["Content-Disposition"] == (
                "attachment; filename=\"Groe _1_; x.mov\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20_1_%3B%20x.mov"
            )
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"

    def test_a_page_may_show_a_ready_one(self, alice: User, alices_client: APIClient) -> None:
        response = alices_client.get(f"{VIDEOS}/{ready_video(alice).pk}/file?inline=1")
        assert response["Content-Disposition"] == 'inline; filename="clip.mp4"'

    def test_nobody_knows_what_an_uninspected_one_is(self, alice: User, alices_client: APIClient) -> None:
        response = alices_client.get(f"{VIDEOS}/{processing_video(alice).pk}/file?inline=1")
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"].startswith("attachment")

    def test_what_is_not_there_is_404(self, alice: User, alices_client: APIClient) -> None:
        video = processing_video(alice)
        assert alices_client.get(f"{VIDEOS}/{video.pk}/thumbnail").status_code == 404
        video_intake_fail(video_id=video.pk, problem=Problem("not_a_video"))
        assert alices_client.get(f"{VIDEOS}/{video.pk}/file").status_code == 404

    def test_a_result(self, alice: User, alices_client: APIClient, tmp_path: Path) -> None:
        output = output_of(ready_video(alice), tmp_path)
        response = alices_client.get(f"/api/v1/outputs/{output.pk}/file")

        assert sent_from(response) == f"/outputs/{output.pk}/file"
        assert response["Content-Type"] == "video/mp4"
        assert response["Content-Disposition"] == 'attachment; filename="clip - resize.mp4"'
        inline = alices_client.get(f"/api/v1/outputs/{output.pk}/file?inline=1")
        assert inline["Content-Disposition"].startswith("inline")

    def test_a_stream(
        self, alice: User, alices_client: APIClient, bobs_client: APIClient, tmp_path: Path
    ) -> None:
        output = published(ready_video(alice), "hls", stream_artifact(tmp_path))
        base = f"/api/v1/outputs/{output.pk}"
        master = alices_client.get(f"{base}/file?inline=1")
        assert master["Content-Type"] == "application/vnd.apple.mpegurl"
        assert master["Content-Disposition"] == 'inline; filename="clip - hls.m3u8"'
        assert storage.output_path(output.pk).read_bytes() == b"#EXTM3U files/180p.m3u8"

        for name, content_type in (("180p.m3u8", master["Content-Type"]), ("180p.mp4", "video/mp4")):
            response = alices_client.get(f"{base}/files/{name}")
            assert sent_from(response) == f"/outputs/{output.pk}/files/{name}"
            assert response["Content-Type"] == content_type
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert bobs_client.get(f"{base}/files/{name}").status_code == 404
        for name in ("360p.mp4", "..%2Ffile", "file", "180P.MP4", "180p.mp4%00"):
            assert alices_client.get(f"{base}/files/{name}").status_code == 404, name

    def test_a_thumbnail_shows(self, alice: User, alices_client: APIClient, tmp_path: Path) -> None:
        picture = tmp_path / "t.jpg"
        picture.write_bytes(b"x")
        video = ready_video(alice, thumbnail=picture)
        response = alices_client.get(f"{VIDEOS}/{video.pk}/thumbnail")

        assert sent_from(response) == f"/videos/{video.pk}/thumbnail.jpg"
        assert (response["Content-Type"], response["Content-Disposition"]) == (
            "image/jpeg",
            'inline; filename="clip.jpg"',
        )


class TestDoor:
    ROUTES = (
        ("get", "/videos/{video}"),
        ("patch", "/videos/{video}"),
        ("delete", "/videos/{video}"),
        ("get", "/videos/{video}/file"),
        ("get", "/videos/{video}/thumbnail"),
        ("get", "/outputs/{output}/file"),
        ("get", "/outputs/{output}/files/180p.mp4"),
    )

    @pytest.mark.parametrize(("method", "route"), ROUTES)
    def test_strangers_get_401_and_others_404(
        self,
        *,
        alice: User,
        carol: User,
        anonymous: APIClient,
        bobs_client: APIClient,
        alices_client: APIClient,
        tmp_path: Path,
        method: str,
        route: str,
    ) -> None:
        picture = tmp_path / "t.jpg"
        picture.write_bytes(b"x")
        video = ready_video(alice, thumbnail=picture)
        output = output_of(video, tmp_path)
        path = "/api/v1" + route.format(video=video.pk, output=output.pk)
        body = {"name": "mine now"}

        assert getattr(anonymous, method)(path, body, format="json").status_code == 401
        staff = APIClient()
        staff.force_authenticate(carol)
        for other in (bobs_client, staff):
            response = getattr(other, method)(path, body, format="json")
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
        video.refresh_from_db()
        assert (video.name, video.deleted_at) == ("clip", None)
        for broken in (path.replace("_", "-"), path.replace("_", "_x"), path.replace(video.pk, "vid_'--")):
            if broken != path:
                assert getattr(alices_client, method)(broken, body, format="json").status_code == 404
        video_trash(video=video)
        assert getattr(alices_client, method)(path, body, format="json").status_code == 404

    @pytest.mark.parametrize("route", ["/videos", "/operations"])
    def test_lists_need_credentials(self, anonymous: APIClient, route: str) -> None:
        assert anonymous.get(f"/api/v1{route}").status_code == 401


class TestRest:
    def test_the_catalogue_has_schemas(self, alices_client: APIClient) -> None:
        entries = {entry["type"]: entry for entry in alices_client.get("/api/v1/operations").json()["data"]}

        assert {"resize", "convert", "extract_audio", "thumbnail"} <= set(entries)
        schema = entries["resize"]["parameters"]
        assert "width" in schema["properties"]
        assert schema["additionalProperties"] is False

    def test_uploading_here_means_the_edge_is_set_up_wrongly(self, alices_client: APIClient) -> None:
        response = alices_client.post(VIDEOS, data=b"x" * 100, content_type="application/octet-stream")
        assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")

    def test_created_after_and_before(self, alice: User, alices_client: APIClient) -> None:
        for days, name in ((3, "old"), (2, "middle"), (1, "new")):
            video = Video.objects.create(owner=alice, name=name, size=1)
            Video.objects.filter(pk=video.pk).update(created_at=timezone.now() - timedelta(days=days))
        moment = (timezone.now() - timedelta(days=2.5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        later = (timezone.now() - timedelta(days=1.5)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert names(alices_client, f"?created_after={moment}&created_before={later}") == ["middle"]
