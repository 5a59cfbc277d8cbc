"""Every hostile file through a real worker: it lives, the next job runs, nothing is left of the bad ones."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from engine.sandbox.choice import choose
from jobs.models import Job
from jobs.reconcile import wake_ups_restore
from jobs.services import sample_submit
from jobs.workspace import work_root
from tests.engine.clips import Clips
from tests.engine.test_hostile import FILES, OK, talking_avi
from tests.engine.test_hostile_more import FILES as MORE_FILES
from tests.jobs.conftest import Submit
from tests.jobs.worker import Worker, media_tools, wait_for
from videoproc.env import RedisAddress
from videoproc.health import site_health
from videos.models import Video
from videos.storage import source_path

StartWorker = Callable[..., Worker]


def all_ended() -> bool:
    return not Job.objects.exclude(status__in=("completed", "failed", "cancelled")).exists()


def the_site_is_as_before(worker: Worker, pool: list[int], media: Path, submit: Submit, good: Video) -> None:
    """The one check after whatever was sent."""
    assert worker.process.poll() is None
    assert worker.children() == pool, "no process of the pool died"
    assert media_tools(media) == []
    job = submit(good, width=64)
    wait_for(lambda: _completed(job), seconds=60, what="the next job")
    assert [path for path in work_root().rglob("*") if path.is_file()] == []
    unfinished = [path for path in (media / "uploads").rglob("*") if path.is_file()]
    assert unfinished == []


def _completed(job: Job) -> bool:
    # A wake-up may be lost with what was sent; on a site the beat lets a worker look for such jobs.
    wake_ups_restore()
    return Job.objects.get(id=job.id).status == "completed"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return Clips(tmp_path_factory.mktemp("clips"))


@pytest.mark.slow
def test_after_every_hostile_file(
    clips: Clips, video: Video, submit: Submit, start_worker: StartWorker, media: Path
) -> None:
    alice = video.owner
    worker = start_worker("short,encode", concurrency=2)
    pool = sorted(worker.children())
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    files = {
        name: ({code}, make) for name, (code, make) in FILES.items() if "sparse" not in name
    } | MORE_FILES
    files["5 GAB2"] = ({OK}, lambda clips: talking_avi(clips, playlist))
    expected = {
        sample_submit(viewer=alice, clip=make(clips), title=name).id: codes
        for name, (codes, make) in files.items()
    }
    wait_for(all_ended, seconds=240, what="every intake")
    found = {one.id: (one.name, one.error_code or OK) for one in Video.objects.filter(id__in=expected)}
    assert [found[key] for key, codes in expected.items() if found[key][1] not in codes] == []
    refused = [key for key, (_, code) in found.items() if code != OK]
    assert not any(source_path(key).exists() for key in refused), "and their bytes are freed"
    the_site_is_as_before(worker, sorted(worker.children()), media, submit, video)
    assert sorted(worker.children()) == pool


def message(body: bytes, **more: object) -> str:
    """What kombu puts into a list in Redis."""
    properties = {
        "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "encode"}, "priority": 0,
        "body_encoding": None, "delivery_tag": "forged", "correlation_id": "forged",
    }  # fmt: skip
    whole = {
        "body": body.decode("latin-1"),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "jobs.work", "id": "forged", "retries": 0},
        "properties": properties,
    }
    return json.dumps({**whole, **more})


class Boom:
    """A pickle that would leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.trace,))


def test_forged_messages_in_the_broker(
    video: Video, submit: Submit, start_worker: StartWorker, media: Path, tmp_path: Path
) -> None:
    """64: unknown tasks, other types, unknown ids, a pickle."""
    worker = start_worker("short,encode", concurrency=1)
    trace = tmp_path / "executed"
    empty = json.dumps([[], {}, {}]).encode()
    unknown = {"lang": "py", "task": "os.system", "id": "x", "retries": 0}
    work = {"lang": "py", "task": "jobs.work", "id": "y", "retries": 0}
    pickled = pickle.dumps(Boom(trace), protocol=0)
    forged = [
        message(empty, headers=unknown),
        message(json.dumps([[], {"lane": "nowhere"}, {}]).encode(), headers=work),
        message(json.dumps([[], {"lane": "encode", "job": "job_x", "step": -1}, {}]).encode(), headers=work),
        message(json.dumps([["x"], {"lane": ["encode"]}, {}]).encode(), headers=work),
        message(json.dumps({"no": "list"}).encode(), headers=work),
        message(b"7", headers=work),
        message(b"null", headers=work),
        message(json.dumps([[], {}, {}, {}]).encode(), headers=work),
        message(empty, headers={"task": "jobs.work"}),
        message(empty, headers=[]),
        message(pickled, headers=work, **{"content-type": "application/x-python-serialize"}),
        message(b"{", headers=work),
    ]  # fmt: skip
    client = redis.Redis.from_url(settings.REDIS.for_redis(RedisAddress.BROKER))
    with client:
        for one in forged:
            client.lpush("encode", one)
        wait_for(lambda: client.llen("encode") == 0, seconds=60, what="all of them are taken")
    the_site_is_as_before(worker, worker.children(), media, submit, video)
    assert not trace.exists()
    assert "os.system" in worker.output, "the log says what was refused"


def test_health_tells_the_sandbox(start_worker: StartWorker) -> None:
    """What its workers say, for `/healthz` and the first page of the admin."""
    assert site_health().sandbox is None, "nobody answers"
    start_worker("short", concurrency=1)
    health = site_health()
    assert health.sandbox == choose().layer
    assert health.warnings == []
    body = Client().get("/healthz").json()
    assert (body["sandbox"], body["warnings"]) == (health.sandbox, [])


def test_a_worker_that_cannot_have_its_sandbox_refuses_to_start(
    worker_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {**worker_environment, "VIDEOPROC_SANDBOX_MINIMUM": "a padded cell"}
    worker = Worker("short", 1, environment, tmp_path / "refused.log")
    assert worker.process.wait(timeout=60) != 0
    assert "VIDEOPROC_SANDBOX_MINIMUM='a padded cell': expected namespaces, landlock, limits" in worker.output


def test_the_command_shows_the_proof() -> None:
    out = StringIO()
    call_command("check_sandbox", stdout=out)
    assert f"{choose().layer}: taken" in out.getvalue()
    assert "other_file: stopped" in out.getvalue()
