"""Videos from the upload to the trash, operations and outputs, with the crashes in between."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from problems import Problem
from tests.videos.cast import (
    CONTENT,
    MEDIA,
    artifact,
    complete_upload,
    output_of,
    processing_video,
    published,
    ready_video,
    stream_artifact,
)
from users.models import User
from videos import storage
from videos.models import Operation, Output, Upload, Video
from videos.selectors import storage_usage, uploads_awaiting_video
from videos.services.operations import operation_get_or_create, operation_status_set
from videos.services.outputs import outputs_place, outputs_record, outputs_unplace
from videos.services.uploads import upload_create, upload_discard
from videos.services.videos import (
    media_sweep,
    video_create_from_upload,
    video_intake_fail,
    video_intake_restart,
    video_intake_succeed,
    video_rename,
    video_restore,
    video_trash,
    videos_purge,
)

NOW = timedelta(seconds=-5)  # as if what changed just now had been left alone for long


@pytest.mark.django_db
class TestFromUploadToVideo:
    def test_moves_the_bytes_and_makes_one_video(self, alice: User, media: Path) -> None:
        upload = complete_upload(alice, filename="C:\\films\\My film.MP4")
        video, again = (video_create_from_upload(upload=upload) for _ in range(2))

        assert video == again
        assert (video.name, video.original_filename) == ("My film", "My film.MP4")
        assert (video.status, video.size, video.owner) == ("processing", len(CONTENT), alice)
        assert storage.source_path(video.pk).read_bytes() == CONTENT
        assert not storage.upload_path(upload.pk).exists()
        assert storage.source_path(video.pk).stat().st_mode & 0o777 == 0o640

    def test_a_title_is_the_name(self, alice: User) -> None:
        assert processing_video(alice, title="  Summer\n2026 \x00").name == "Summer 2026"

    @pytest.mark.parametrize("filename", ["", "..", "/", ".", "\x00", "../../"])
    def test_there_is_always_a_name(self, alice: User, filename: str) -> None:
        assert processing_video(alice, filename=filename).name

    def test_not_before_the_last_byte(self, alice: User) -> None:
        upload = upload_create(owner=alice, length=10)
        with pytest.raises(Problem, match="stands at byte 0"):
            video_create_from_upload(upload=upload)

    def test_goes_on_after_a_crash_behind_the_move(self, alice: User) -> None:
        upload = complete_upload(alice)
        with transaction.atomic():
            lost = video_create_from_upload(upload=upload)
            transaction.set_rollback(True)  # the process dies before the commit

        assert not Video.objects.exists()
        video = video_create_from_upload(upload=upload)
        assert video.pk == lost.pk
        assert storage.source_path(video.pk).read_bytes() == CONTENT

    def test_is_found_by_the_recovery(self, alice: User) -> None:
        upload = complete_upload(alice)
        assert uploads_awaiting_video() == []
        Upload.objects.update(updated_at=timezone.now() - timedelta(minutes=2))

        assert uploads_awaiting_video() == [upload.pk]
        video_create_from_upload(upload=upload)
        assert uploads_awaiting_video() == []

    def test_discarding_in_between_frees_the_moved_bytes(
        self, alice: User, media: Path, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        upload = complete_upload(alice)
        assert upload.reserved_video_id is not None
        storage.adopt(storage.upload_path(upload.pk), storage.source_path(upload.reserved_video_id))
        with django_capture_on_commit_callbacks(execute=True):
            upload_discard(upload=upload)

        assert not list(media.rglob("*source"))


@pytest.mark.django_db
class TestIntake:
    def test_makes_a_video_ready(self, alice: User, tmp_path: Path) -> None:
        thumbnail = tmp_path / "thumbnail.jpg"
        thumbnail.write_bytes(b"picture")
        video = ready_video(alice, thumbnail=thumbnail)

        assert (video.status, video.container, video.duration) == ("ready", "mp4", 12.5)
        assert (video.width, video.height) == (1080, 1920)
        assert video.has_thumbnail
        assert storage.thumbnail_path(video.pk).read_bytes() == b"picture"
        video.refresh_from_db()
        assert type(MEDIA).model_validate(video.media_info) == MEDIA

    def test_refuses_a_video_and_frees_its_bytes_after_the_commit(
        self, alice: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        video = processing_video(alice)
        with django_capture_on_commit_callbacks(execute=True):
            failed = video_intake_fail(video_id=video.pk, problem=Problem("not_a_video"))
            assert storage.source_path(video.pk).exists()

        assert failed is not None
        assert (failed.status, failed.error_code, failed.size) == ("failed", "not_a_video", 0)
        assert not storage.source_path(video.pk).exists()
        assert storage_usage(alice) == 0

    def test_keeps_the_bytes_when_the_fault_was_ours(
        self, alice: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        video = processing_video(alice)
        with django_capture_on_commit_callbacks(execute=True):
            video_intake_fail(video_id=video.pk, problem=Problem("worker_lost"))

        assert media_sweep(untouched_for=NOW) == 0
        again = video_intake_restart(video_id=video.pk)
        assert again is not None
        assert (again.status, again.error_code) == ("processing", "")
        assert storage.source_path(video.pk).exists()

    def test_ends_once(self, alice: User) -> None:
        video = ready_video(alice)

        assert video_intake_fail(video_id=video.pk, problem=Problem("not_a_video")) is None
        assert video_intake_succeed(video_id=video.pk, media=MEDIA, sha256="", thumbnail=None) is None
        assert Video.objects.get().status == "ready"


@pytest.mark.django_db
class TestTrash:
    def test_hides_then_removes_rows_and_bytes(self, alice: User, tmp_path: Path, media: Path) -> None:
        video = ready_video(alice)
        output = output_of(video, tmp_path / "work")
        video_trash(video=video)
        assert storage_usage(alice) == 0
        assert videos_purge() == 0

        Video.objects.update(deleted_at=timezone.now() - timedelta(days=8))
        assert videos_purge() == 1
        assert not Video.objects.exists()
        assert not storage.source_path(video.pk).parent.exists()
        assert not storage.output_path(output.pk).parent.exists()

    def test_a_stream_comes_and_goes_whole(self, alice: User, tmp_path: Path, media: Path) -> None:
        video = ready_video(alice)
        before = storage_usage(alice)
        output = published(video, "hls", stream_artifact(tmp_path))
        folder = storage.output_path(output.pk).parent
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert files == {"file", "files/180p.mp4", "files/180p.m3u8"}
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o640}
        assert not (tmp_path / "stream").exists()
        assert storage_usage(alice) - before == sum((folder / name).stat().st_size for name in files)

        video_trash(video=video)
        Video.objects.update(deleted_at=timezone.now() - timedelta(days=8))
        assert videos_purge() == 1
        assert not folder.exists()

    def test_gives_back(self, alice: User) -> None:
        video = ready_video(alice)
        video_trash(video=video)
        video_restore(video=video)
        assert Video.objects.get().deleted_at is None

    @pytest.mark.parametrize("name", ["", "   ", "\n", "\x00"])
    def test_a_name_must_be_readable(self, alice: User, name: str) -> None:
        with pytest.raises(Problem, match="not valid"):
            video_rename(video=processing_video(alice), name=name)


@pytest.mark.django_db
class TestSweep:
    def test_removes_what_no_row_points_to(self, alice: User, tmp_path: Path) -> None:
        kept = ready_video(alice)
        kept_output = output_of(kept, tmp_path / "kept")
        unfinished = upload_create(owner=alice, length=10)
        moved = complete_upload(alice)
        assert moved.reserved_video_id is not None
        storage.adopt(storage.upload_path(moved.pk), storage.source_path(moved.reserved_video_id))
        lost = ready_video(alice)
        lost_output = output_of(lost, tmp_path / "lost")
        Video.objects.filter(pk=lost.pk).delete()
        placed = outputs_place(artifacts=[artifact(tmp_path / "never")])

        assert media_sweep() == 0  # all of it is young
        assert media_sweep(untouched_for=NOW) == 3
        assert storage.source_path(kept.pk).exists()
        assert storage.output_path(kept_output.pk).exists()
        assert storage.upload_path(unfinished.pk).exists()
        assert storage.source_path(moved.reserved_video_id).exists()
        assert not storage.source_path(lost.pk).exists()
        assert not storage.output_path(lost_output.pk).exists()
        assert not storage.output_path(placed[0].output_id).exists()

    def test_leaves_what_is_not_its_own(self, media: Path) -> None:
        stranger = media / "videos" / "README"
        stranger.parent.mkdir(parents=True)
        stranger.write_text("put here by an administrator")
        os.utime(stranger, (time.time() - 10**6,) * 2)

        assert media_sweep() == 0
        assert stranger.exists()


class TestOperations:
    @pytest.mark.django_db
    def test_meet_by_their_fingerprint(self, alice: User) -> None:
        video = ready_video(alice)
        first, made = operation_get_or_create(
            video=video, type="resize", parameters={"a": 1}, fingerprint="1"
        )
        again, made_again = operation_get_or_create(
            video=video, type="resize", parameters={"a": 1}, fingerprint="1"
        )
        other, made_other = operation_get_or_create(
            video=video, type="resize", parameters={"a": 2}, fingerprint="2"
        )

        assert (made, made_again, made_other) == (True, False, True)
        assert first == again != other

    @pytest.mark.django_db(transaction=True)
    def test_thirty_at_once_make_one_row(self, alice: User) -> None:
        video = ready_video(alice)
        made: list[tuple[str, bool]] = []
        barrier = threading.Barrier(30)

        def ask() -> None:
            barrier.wait()
            try:
                operation, created = operation_get_or_create(
                    video=video, type="resize", parameters={"width": 640}, fingerprint="f" * 64
                )
                made.append((operation.pk, created))
            finally:
                connection.close()

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 30
        assert len({pk for pk, _ in made}) == 1
        assert sum(created for _, created in made) == 1
        assert Operation.objects.count() == 1

    @pytest.mark.django_db
    def test_say_why_they_failed(self, alice: User) -> None:
        operation, _ = operation_get_or_create(
            video=ready_video(alice), type="resize", parameters={}, fingerprint="1"
        )
        assert operation_status_set(
            operation_id=operation.pk, status="failed", error_code="encoder_failed", error_message="No."
        )
        operation.refresh_from_db()
        assert (operation.status, operation.error_code) == ("failed", "encoder_failed")
        assert operation_status_set(operation_id=operation.pk, status="pending")
        operation.refresh_from_db()
        assert operation.error_code == ""


@pytest.mark.django_db
class TestOutputs:
    def test_are_placed_then_recorded(self, alice: User, tmp_path: Path) -> None:
        video = ready_video(alice, title='A "film"/x')
        output = output_of(video, tmp_path)

        assert output.filename == "A _film_x - resize.mp4"
        assert storage.output_path(output.pk).read_bytes() == b"smaller pictures"
        assert storage_usage(alice) == len(CONTENT) + len(b"smaller pictures")

    def test_replace_those_of_an_earlier_run(
        self,
        alice: User,
        tmp_path: Path,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        video = ready_video(alice)
        with django_capture_on_commit_callbacks(execute=True):
            first, second = output_of(video, tmp_path / "1"), output_of(video, tmp_path / "2")

        assert list(Output.objects.all()) == [second]
        assert not storage.output_path(first.pk).exists()
        assert storage.output_path(second.pk).exists()

    def test_are_taken_back_by_who_lost_the_lease(self, tmp_path: Path, media: Path) -> None:
        placed = outputs_place(artifacts=[artifact(tmp_path, "a"), artifact(tmp_path, "b")])
        outputs_unplace(placed=placed)
        assert not list((media / "outputs").iterdir())

    def test_all_or_none_are_placed(self, tmp_path: Path, media: Path) -> None:
        good, bad = artifact(tmp_path, "a"), artifact(tmp_path, "b")
        bad.path.unlink()
        with pytest.raises(FileNotFoundError):
            outputs_place(artifacts=[good, bad])
        assert not list((media / "outputs").iterdir())

    def test_several_say_which_is_which(self, alice: User, tmp_path: Path) -> None:
        video = ready_video(alice, title="Film")
        operation, _ = operation_get_or_create(
            video=video, type="extract_audio", parameters={}, fingerprint="1"
        )
        placed = outputs_place(artifacts=[artifact(tmp_path, "left"), artifact(tmp_path, "right")])
        names = [
            output.filename for output in outputs_record(operation=operation, placed=placed, video=video)
        ]
        assert names == ["Film - extract audio left.mp4", "Film - extract audio right.mp4"]
