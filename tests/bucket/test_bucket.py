"""Files in a bucket: kept before their rows, fetched when needed, gone after their rows."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command
from storages.backends.s3 import S3Storage

from problems import Problem
from tests.bucket.seaweed import Server
from users.ids import public_id_new
from users.models import User
from videos import storage
from videos.bucket import Bucket, Stored
from videos.models import Operation, Output, Video
from videos.services.videos import media_sweep

CONTENT = b"moving pictures" * 1000
AN_HOUR = timedelta(hours=1)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def written(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def kept_source(media: Path) -> tuple[str, Path]:
    video_id = public_id_new("vid")
    target = storage.source_path(video_id)
    storage.adopt(written(media / "uploads" / "x"), target)
    return video_id, target


class TestObjects:
    def test_what_is_put_comes_back(self, bucket: Bucket, tmp_path: Path) -> None:
        assert bucket.put(written(tmp_path / "a"), "videos/a") == Stored(len(CONTENT), DIGEST)
        bucket.fetch("videos/a", tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == CONTENT
        assert bucket.digest("videos/a") == DIGEST

    def test_long_files_go_in_parts(self, bucket: Bucket, tmp_path: Path) -> None:
        content = os.urandom(1024**2) * 70
        stored = bucket.put(written(tmp_path / "a", content), "videos/a")
        assert stored == Stored(len(content), hashlib.sha256(content).hexdigest())
        bucket.fetch("videos/a", tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == content

    def test_putting_the_same_again_sends_nothing(
        self, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.put(written(tmp_path / "a"), "videos/a")
        monkeypatch.setattr(Bucket, "_objects", lambda _: pytest.fail("it was sent again"))
        bucket.put(tmp_path / "a", "videos/a")

    def test_other_bytes_under_the_name_are_found(
        self, bucket: Bucket, seaweed: Server, tmp_path: Path
    ) -> None:
        bucket.put(written(tmp_path / "a"), "videos/a")
        seaweed.client().put_object(
            Bucket="media",
            Key=bucket.address("videos/a", "GET").path.partition("?")[0].removeprefix("/media/"),
            Body=CONTENT[::-1],
            Metadata={"sha256": DIGEST},
        )
        with pytest.raises(Problem) as caught:
            bucket.fetch("videos/a", tmp_path / "b")
        assert caught.value.code == "storage_damaged"
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a"]

    def test_what_is_not_there(self, bucket: Bucket, tmp_path: Path) -> None:
        assert bucket.look("videos/none") is None
        bucket.discard("videos/none/")
        with pytest.raises(Problem) as caught:
            bucket.fetch("videos/none", tmp_path / "b")
        assert caught.value.code == "source_missing"
        with pytest.raises(Problem) as caught:
            bucket.digest("videos/none")
        assert caught.value.code == "source_missing"

    def test_an_address_is_good_for_parts_and_for_one_method(
        self, bucket: Bucket, seaweed: Server, tmp_path: Path
    ) -> None:
        bucket.put(written(tmp_path / "a"), "videos/a")
        address = bucket.address("videos/a", "GET")
        assert f"http://{address.host}" == seaweed.endpoint
        url = seaweed.endpoint + address.path
        part = requests.get(url, headers={"Range": "bytes=5-9"}, timeout=10)
        assert (part.status_code, part.content) == (206, CONTENT[5:10])
        assert requests.delete(url, timeout=10).status_code == 403
        assert requests.get(url.partition("?")[0], timeout=10).status_code == 403

    def test_a_bucket_that_is_away_is_said_to_be(self) -> None:
        nobody = {"endpoint_url": "http://127.0.0.1:1", "access_key": "a", "secret_key": "b"}
        away = Bucket(S3Storage(bucket_name="media", region_name="us-east-1", **nobody))
        with pytest.raises(Problem) as caught:
            away.look("videos/a")
        assert (caught.value.code, caught.value.retryable) == ("storage_unavailable", True)


class TestFolder:
    """The media folder is a cache of the bucket."""

    def test_what_is_adopted_is_in_both(self, bucket: Bucket, media: Path) -> None:
        video_id, target = kept_source(media)
        assert target.read_bytes() == CONTENT
        assert bucket.look(f"videos/{video_id}/source") == Stored(len(CONTENT), DIGEST)

    def test_what_is_not_here_is_fetched(self, bucket: Bucket, media: Path) -> None:
        _, target = kept_source(media)
        target.unlink()
        target.parent.rmdir()
        assert storage.is_there(target, len(CONTENT))
        assert storage.present(target).read_bytes() == CONTENT
        assert target.stat().st_mode & 0o777 == 0o640

    def test_what_is_nowhere_is_missing(self, bucket: Bucket, media: Path) -> None:
        path = storage.source_path(public_id_new("vid"))
        assert not storage.is_there(path)
        with pytest.raises(Problem) as caught:
            storage.present(path)
        assert caught.value.code == "source_missing"

    def test_what_is_discarded_is_in_neither(self, bucket: Bucket, media: Path) -> None:
        video_id, target = kept_source(media)
        storage.video_discard(video_id)
        assert not target.exists()
        assert bucket.look(f"videos/{video_id}/source") is None

    def test_room_is_made_with_what_was_not_used_for_longest(self, bucket: Bucket, media: Path) -> None:
        old, new = kept_source(media)[1], kept_source(media)[1]
        fresh = kept_source(media)[1]
        only_here = written(storage.source_path(public_id_new("vid")))
        now = time.time()
        for path, age in ((only_here, 9e5), (old, 9e4), (new, 9e3), (fresh, 9)):
            os.utime(path, (now - age, now - age))
        assert storage.cache_trim(most=3 * len(CONTENT)) == len(CONTENT)
        assert [path.exists() for path in (old, new, fresh, only_here)] == [False, True, True, True]
        assert storage.cache_trim(most=0) == len(CONTENT)
        assert [path.exists() for path in (old, new, fresh, only_here)] == [False, False, True, True]
        assert storage.present(old).read_bytes() == CONTENT

    def test_a_site_without_a_bucket_is_never_trimmed(self, media: Path) -> None:
        storage.bucket.cache_clear()
        path = written(storage.source_path(public_id_new("vid")))
        os.utime(path, (1, 1))
        if storage.bucket() is None:
            assert storage.cache_trim(most=0) == 0
            assert path.exists()

    @pytest.mark.django_db
    def test_the_sweep_finds_what_no_row_names_in_the_bucket_alone(
        self, bucket: Bucket, media: Path, alice: User
    ) -> None:
        stray, target = kept_source(media)
        target.unlink()
        target.parent.rmdir()
        known, _ = kept_source(media)
        Video.objects.create(pk=known, owner=alice, name="Known", size=len(CONTENT))
        assert media_sweep() == 0, "objects written a moment ago may still get their rows"
        assert media_sweep(untouched_for=-AN_HOUR) == 1
        assert bucket.look(f"videos/{stray}/source") is None
        assert bucket.look(f"videos/{known}/source") is not None


@pytest.mark.django_db
class TestMove:
    """`manage.py move_to_bucket`, of a site that kept its media on its disk."""

    @pytest.fixture
    def video(self, alice: User, media: Path) -> Video:
        video = Video.objects.create(
            pk=public_id_new("vid"),
            owner=alice,
            name="Lake",
            size=len(CONTENT),
            sha256=DIGEST,
        )
        written(storage.source_path(video.pk))
        operation = Operation.objects.create(video=video, type="hls", parameters={}, fingerprint="f")
        output = Output.objects.create(
            pk=public_id_new("out"), operation=operation, role="video", filename="a.m3u8", sha256="",
            content_type="application/vnd.apple.mpegurl", size=len(CONTENT) + 3, verification={},
            members=[{"name": "a.m4s", "size": len(CONTENT), "sha256": DIGEST, "content_type": "video/mp4"}],
        )  # fmt: skip
        written(storage.output_path(output.pk), b"one")
        written(storage.output_member_path(output.pk, "a.m4s"))
        return video

    def test_everything_arrives_and_a_second_run_sends_nothing(
        self,
        video: Video,
        bucket: Bucket,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        call_command("move_to_bucket", "--read-back")
        assert "3 files" in capsys.readouterr().out
        monkeypatch.setattr(Bucket, "_objects", lambda _: pytest.fail("it was sent again"))
        call_command("move_to_bucket")
        assert "3 files" in capsys.readouterr().out

    def test_what_is_damaged_on_the_disk_is_named(self, video: Video, bucket: Bucket) -> None:
        storage.source_path(video.pk).write_bytes(CONTENT[:-1])
        with pytest.raises(CommandError, match=f"videos/{video.pk}/source"):
            call_command("move_to_bucket")

    def test_what_was_damaged_in_the_bucket_is_found_by_reading_back(
        self, video: Video, bucket: Bucket, seaweed: Server
    ) -> None:
        name = f"videos/{video.pk}/source"
        call_command("move_to_bucket")
        key = bucket.address(name, "GET").path.partition("?")[0].removeprefix("/media/")
        seaweed.client().put_object(Bucket="media", Key=key, Body=CONTENT[::-1], Metadata={"sha256": DIGEST})
        with pytest.raises(CommandError, match=name):
            call_command("move_to_bucket", "--read-back")
