"""A site with a bit of everything: two owners, results, history, trash, work that waits, a refusal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from engine.control import Control
from engine.intake import intake
from engine.samples import sample_clip
from engine.types.limits import Limits
from jobs import dispatch, publish
from jobs.execution import lane_work
from jobs.models import Job
from jobs.services import operation_submit, sample_submit
from jobs.steering import job_pause
from users.models import Tier, User
from users.services import token_create
from videos.models import Operation, Output, Preset, Video
from videos.services.imports import video_import
from videos.services.presets import preset_create
from videos.services.uploads import upload_advance, upload_create
from videos.services.videos import video_trash
from videos.storage import upload_path


class Clip(NamedTuple):
    path: Path
    found: Any


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("moving")
    sample_clip(folder / "clip.mp4", seconds=1.0, width=160, height=90)
    found = intake(
        folder / "clip.mp4", folder / "work", limits=Limits(), on_progress=lambda _: None, control=Control()
    )
    return Clip(folder / "clip.mp4", found)


@pytest.fixture(autouse=True)
def _quiet(transactional_db: None) -> Iterator[None]:
    yield
    dispatch.flush()
    publish.flush()


def video_of(owner: User, clip: Clip, name: str, folder: Path) -> Video:
    source, thumbnail = folder / "source", folder / "thumbnail"
    shutil.copyfile(clip.path, source)
    shutil.copyfile(clip.found.thumbnail.path, thumbnail)
    return video_import(
        owner=owner,
        name=name,
        original_filename=f"{name}.mp4",
        source=source,
        media=clip.found.media,
        sha256=clip.found.sha256,
        thumbnail=thumbnail,
        created_at=timezone.now() - timedelta(days=3),
    )


@pytest.fixture
def site(alice: User, bob: User, clip: Clip, tmp_path: Path) -> None:
    Tier.objects.filter(name="pro").update(storage_bytes=123456789)
    User.objects.filter(pk=bob.pk).update(tier="pro", first_name='Bøb \\n "x"', concurrent_jobs_override=7)
    token_create(user=alice, name="script")
    preset_create(owner=bob, name="Bøb's", type="resize", parameters={"width": 80})
    Preset.objects.get(name="Archive").delete()
    Preset.objects.filter(name="Streaming").update(name="Streams", parameters={"segment_seconds": 6})
    first = video_of(alice, clip, "日本の夏 \\ \t 🎆", tmp_path)
    operation_submit(viewer=alice, video_id=first.id, type="extract_audio", parameters={"format": "aac"})
    operation_submit(viewer=alice, video_id=first.id, type="convert", parameters={"format": "mkv"})
    while lane_work(lane="short"):
        pass
    assert Output.objects.count() == 2
    operation_submit(viewer=alice, video_id=first.id, type="resize", parameters={"width": 80})
    paused = operation_submit(viewer=alice, video_id=first.id, type="resize", parameters={"width": 60})
    assert paused.job is not None
    job_pause(viewer=alice, job_id=paused.job.id)
    failed = Operation.objects.create(
        video=first, type="gif", parameters={}, fingerprint="f", status="failed", error_code="encoder_failed"
    )
    Job.objects.create(
        owner=alice,
        video=first,
        operation=failed,
        type="gif",
        status="failed",
        error_code="encoder_failed",
        log="line\nline\ttab",
        finished_at=timezone.now(),
        duration_ms=1234,
    )
    trashed = video_of(bob, clip, "trashed", tmp_path)
    video_trash(video=trashed)
    sample_submit(viewer=bob, clip=clip.path, title="waits for its inspection")
    Video.objects.create(owner=bob, name="refused", status="failed", error_code="not_a_video", size=0)
    upload = upload_create(owner=bob, length=1000, filename="half.mp4", title="half")
    upload_path(upload.id).write_bytes(b"x" * 400 + b"not yet noted")
    upload_advance(upload=upload, from_offset=0, to_offset=400)


Manage = Callable[..., str]


@pytest.fixture
def manage() -> Manage:
    """Runs a command and returns what it wrote."""

    def manage(*words: Any, **options: Any) -> str:
        out = StringIO()
        call_command(*map(str, words), stdout=out, stderr=StringIO(), **options)
        return out.getvalue()

    return manage


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below that is not about the making of it."""
    skipped = {"manifest.json", "api_tokens.jsonl"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in skipped
    }


def empty(media: Path) -> None:
    """As after the first start of a new site."""
    call_command("flush", interactive=False, verbosity=0)
    connection.close()
    shutil.rmtree(media)
    media.mkdir()
