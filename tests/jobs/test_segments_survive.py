"""A worker is killed in the middle of a divided encode: only what was in its hands is done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from jobs.models import Job, Step
from jobs.reconcile import reconcile
from tests.engine.clips import ffmpeg, picture, sound
from tests.engine.results import duration
from tests.engine.test_segments import times
from tests.jobs.conftest import Clip, Submit, clip_of, video_make
from tests.jobs.test_worker import StartWorker, all_completed, time_passes
from tests.jobs.worker import media_tools, wait_for
from users.models import User
from videos.models import Output
from videos.storage import output_path

SECONDS = 8


@pytest.fixture(scope="module")
def cuttable(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("survive") / "clip.mp4"
    shape = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-c:a", "libmp3lame", "-f", "mp4"]
    ffmpeg(*picture("320x180", seconds=SECONDS), *sound(seconds=SECONDS), *shape, path)
    return clip_of(path)


@pytest.fixture
def encode(alice: User, cuttable: Clip, submit: Submit, settings: Settings) -> Callable[[int], Job]:
    """Queues the same encode each time, in segments of so many seconds."""

    def encode(seconds: int) -> Job:
        settings.SEGMENT_SECONDS = seconds
        return submit(video_make(alice, cuttable), width=640, parameters={"upscale": True})

    return encode


def test_kill_of_a_worker_at_sixty_per_cent(
    encode: Callable[[int], Job], start_worker: StartWorker, media: Path
) -> None:
    job = encode(1)
    worker = start_worker("encode", concurrency=2)
    done = Step.objects.filter(status="done")
    wait_for(lambda: done.count() >= 0.6 * SECONDS, seconds=60, what="most segments")
    worker.kill()
    wait_for(lambda: not media_tools(media), seconds=5, what="the tools died with their worker")
    finished = dict(done.values_list("position", "result__token"))
    in_flight = Step.objects.filter(status="active").count()
    assert in_flight <= 2

    time_passes()
    start_worker(concurrency=2)

    def completed() -> bool:
        reconcile()  # as beat does on a site: what a restart left without a wake-up gets one
        return all_completed()

    wait_for(completed, seconds=90, what="other workers complete the job")

    assert Step.objects.filter(job=job, attempt__gt=1).count() == in_flight
    kept = dict(Step.objects.filter(position__in=finished).values_list("position", "result__token"))
    assert kept == finished, "what was finished is not done again"
    wait_for(lambda: not list((media / "work" / "parts").rglob("*.mp4")), seconds=5, what="no parts")

    undisturbed = encode(0)
    assert Step.objects.filter(job=undisturbed).count() == 1
    wait_for(all_completed, seconds=90, what="the same in one piece")
    one, other = (output_path(output.id) for output in Output.objects.all())
    assert times(one) == pytest.approx(times(other), abs=0.0006)
    assert len(times(one)) == SECONDS * 25
    assert duration(one) == pytest.approx(duration(other), abs=0.005)
