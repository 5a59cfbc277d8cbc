"""Fixtures of the jobs' tests: a small cast, videos with real bytes, and a real Celery worker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection
from pytest_django import Settings

from engine.control import Control
from engine.intake import intake
from engine.samples import sample_clip
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from jobs import dispatch, publish
from jobs.models import Job, Step
from jobs.services import operation_submit
from tests.jobs.web import Site
from tests.jobs.worker import Worker
from tests.receiver import Receiver, receiving
from users.models import User
from videoproc.env import RedisAddress
from videos.models import Operation, Video
from videos.storage import source_path


class Clip(NamedTuple):
    path: Path
    media: MediaInfo
    sha256: str


def _clip(folder: Path, **shape: Any) -> Clip:
    path = folder / "clip.mp4"
    sample_clip(path, width=320, height=180, fps=24, **shape)
    return clip_of(path)


def clip_of(path: Path) -> Clip:
    """The file as an accepted upload."""
    work_dir = path.parent / "work"
    found = intake(path, work_dir, limits=Limits(), on_progress=lambda _: None, control=Control())
    return Clip(path, found.media, found.sha256)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Two seconds with sound: a resize takes well under a second."""
    return _clip(tmp_path_factory.mktemp("clip"), seconds=2.0)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Blown up to full HD it keeps an encoder busy for many seconds."""
    return _clip(tmp_path_factory.mktemp("long_clip"), seconds=20.0)


@pytest.fixture(autouse=True)
def _committed(transactional_db: None) -> None:
    """What a job is about happens on commit and in other processes."""


@pytest.fixture(autouse=True)
def _in_one_piece(settings: Settings) -> None:
    """However fast this machine is: tests of segments ask for them."""
    settings.SEGMENT_SECONDS = 3600


@pytest.fixture(autouse=True)
def quiet_redis() -> Iterator[None]:
    """Nothing of an earlier test waits in the broker, and nothing of this one is left on its way."""
    client = redis.Redis.from_url(django_settings.REDIS.for_redis(RedisAddress.BROKER))
    with client:
        client.flushall()
    yield
    dispatch.flush()
    publish.flush()


def video_make(owner: User, clip: Clip, *, name: str = "Holiday") -> Video:
    """A ready video, its bytes in place."""
    video = Video.objects.create(
        owner=owner,
        name=name,
        status=Video.Status.READY,
        size=clip.media.size,
        sha256=clip.sha256,
        container=clip.media.container,
        media_info=clip.media.model_dump(mode="json"),
        duration=clip.media.duration,
        width=320,
        height=180,
    )
    path = source_path(video.id)
    path.parent.mkdir(parents=True)
    shutil.copyfile(clip.path, path)
    return video


@pytest.fixture
def video(alice: User, clip: Clip) -> Video:
    return video_make(alice, clip)


Submit = Callable[..., Job]


@pytest.fixture
def submit() -> Submit:
    """Queues a resize; another width is another operation."""

    def submit(video: Video, *, width: int = 160, **options: Any) -> Job:
        made = operation_submit(
            viewer=video.owner,
            video_id=video.id,
            type="resize",
            parameters={"width": width, **options.pop("parameters", {})},
            **options,
        )
        assert made.job is not None
        return made.job

    return submit


def job_copies(job: Job, number: int) -> None:
    """As many more jobs of the owner that wait behind it."""
    shape = {"owner_id": job.owner_id, "priority": job.priority, "type": job.type}
    operations = Operation.objects.bulk_create(
        Operation(video_id=job.video_id, type=job.type, parameters={}, fingerprint=str(n))
        for n in range(number)
    )
    jobs = Job.objects.bulk_create(
        Job(video_id=job.video_id, operation=one, plan=job.plan, **shape) for one in operations
    )
    Step.objects.bulk_create(Step(job=one, position=0, kind="encode", lane="encode", **shape) for one in jobs)


@pytest.fixture
def long_job(alice: User, long_clip: Clip, submit: Submit) -> Job:
    """Queued; it encodes for many seconds."""
    return submit(video_make(alice, long_clip), width=1920, parameters={"upscale": True})


@pytest.fixture
def busy_job(alice: User, long_clip: Clip, submit: Submit) -> Job:
    """Queued; it encodes long enough to be caught at it, and ends soon."""
    video = video_make(alice, long_clip)
    return submit(video, width=480, parameters={"upscale": True})


@pytest.fixture
def worker_environment(transactional_db: None, media: Path) -> dict[str, str]:
    """For processes that share the test's database, broker and media folder."""
    database = connection.settings_dict
    login = f"{database['USER']}:{quote(database['PASSWORD'], safe='')}"
    address = f"postgresql://{login}@/{database['NAME']}?host={quote(database['HOST'], safe='')}"
    if database["PORT"]:
        address += f"&port={database['PORT']}"
    return {
        **os.environ,
        "DATABASE_URL": address,
        "VIDEOPROC_MEDIA": str(media),
        "DJANGO_SETTINGS_MODULE": "videoproc.settings",
    }


@pytest.fixture
def start_worker(worker_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts real Celery workers."""
    started: list[Worker] = []

    def start(lanes: str = "short,encode,outbound", *, concurrency: int = 2) -> Worker:
        worker = Worker(lanes, concurrency, worker_environment, tmp_path / f"worker-{len(started)}.log")
        started.append(worker)
        worker.wait_until_ready()
        return worker

    yield start
    for worker in started:
        worker.destroy()


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """Takes what webhooks send. The administrator vouches for it, as for a program on the same machine."""
    with receiving() as made:
        settings.OUTBOUND_TRUSTED = [("127.0.0.1", made.port)]
        yield made


@pytest.fixture
def site(worker_environment: dict[str, str], tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "web.sock", worker_environment, tmp_path / "daphne.log")
    yield made
    made.process.terminate()
    made.process.wait()
