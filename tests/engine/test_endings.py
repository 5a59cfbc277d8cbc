"""The ways a run can end other than well, each with the real ffmpeg, and what is left of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from engine import runner
from engine.control import Control, Stopped
from engine.decoding import decode
from engine.execute import StepResult, execute
from engine.failures import RunFailed
from engine.intake import intake
from engine.sandbox.choice import Choice
from engine.sandbox.starting import LIMITS
from engine.types.limits import Limits
from engine.types.recipes import SOURCE
from engine.verify import verify
from engine.whitelist import UPLOADS
from problems import Problem
from tests.engine.clips import SECONDS, Clips
from tests.engine.conftest import MakePlan, Perform

HEAVY = {"width": 1920, "upscale": True}


def encoders(process: psutil.Process | None = None) -> list[psutil.Process]:
    """Living ffmpeg processes below this (or that) process."""
    found = []
    for child in (process or psutil.Process()).children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and "ffmpeg" in child.exe():
                found.append(child)
        except psutil.Error:
            continue
    return found


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def started(clips: Clips, perform: Perform) -> Iterator[Callable[..., tuple[Future[StepResult], Control]]]:
    """Start a heavy encode in a thread and wait until it makes progress."""
    control = Control()
    with ThreadPoolExecutor(1) as pool:

        def start(**options: object) -> tuple[Future[StepResult], Control]:
            moving = threading.Event()
            future = pool.submit(
                perform,
                "resize",
                HEAVY,
                clips.long(),
                on_progress=lambda _: moving.set(),
                control=control,
                **options,
            )
            assert moving.wait(20)
            return future, control

        yield start
        control.stop()


def test_stop_kills_ffmpeg_within_a_second(
    started: Callable[..., tuple[Future[StepResult], Control]],
) -> None:
    future, control = started()
    (ffmpeg,) = encoders()
    asked_at = time.monotonic()
    control.stop()
    with pytest.raises(Stopped):
        future.result(timeout=5)
    assert time.monotonic() - asked_at < 1.0
    assert not ffmpeg.is_running()
    assert not encoders()


def test_a_stalled_encoder_is_ended(
    started: Callable[..., tuple[Future[StepResult], Control]],
) -> None:
    future, _ = started(limits=Limits(stall_seconds=1.0))
    (ffmpeg,) = encoders()
    ffmpeg.suspend()
    with pytest.raises(RunFailed) as caught:
        future.result(timeout=10)
    assert caught.value.code == "encoder_stalled"
    assert not encoders()


def test_a_paused_encoder_stands_still_and_goes_on(
    started: Callable[..., tuple[Future[StepResult], Control]],
) -> None:
    """Longer than the watchdog waits; it neither fires nor counts that time."""
    future, control = started(limits=Limits(stall_seconds=2.0))
    (ffmpeg,) = encoders()
    control.pause()
    assert eventually(lambda: ffmpeg.status() == psutil.STATUS_STOPPED, 1)
    used = ffmpeg.cpu_times().user
    time.sleep(3.0)
    assert ffmpeg.cpu_times().user == used
    assert not future.done()
    control.resume()
    assert eventually(lambda: ffmpeg.cpu_times().user > used, 5)
    assert not future.done()


def test_stop_ends_a_paused_encoder(started: Callable[..., tuple[Future[StepResult], Control]]) -> None:
    future, control = started()
    (ffmpeg,) = encoders()
    control.pause()
    assert eventually(lambda: ffmpeg.status() == psutil.STATUS_STOPPED, 1)
    control.stop()
    with pytest.raises(Stopped):
        future.result(timeout=2)
    assert not ffmpeg.is_running()


def test_a_killed_encoder_is_told(started: Callable[..., tuple[Future[StepResult], Control]]) -> None:
    future, _ = started()
    (ffmpeg,) = encoders()
    ffmpeg.kill()
    with pytest.raises(RunFailed, match="SIGKILL") as caught:
        future.result(timeout=10)
    assert caught.value.code == "encoder_crashed"
    assert caught.value.retryable


def test_ffmpeg_dies_with_its_worker(clips: Clips, plan: MakePlan, tmp_path: Path) -> None:
    source = clips.long()
    (tmp_path / "plan.json").write_text(plan("resize", HEAVY, source).model_dump_json())
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from engine.control import Control
        from engine.execute import execute
        from engine.types.limits import Limits
        from engine.types.plan import Plan
        plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
        execute(plan, 0, sources={"source": Path(sys.argv[2])}, work_dir=Path(sys.argv[3]), limits=Limits(),
                on_progress=lambda _: None, control=Control())
    """)
    arguments = [tmp_path / "plan.json", source, tmp_path / "work"]
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=root) as worker:
        assert eventually(lambda: encoders(psutil.Process(worker.pid)), 20)
        (ffmpeg,) = encoders(psutil.Process(worker.pid))
        worker.kill()
    assert eventually(lambda: not ffmpeg.is_running() or ffmpeg.status() == psutil.STATUS_ZOMBIE, 2)


def test_a_failing_callback_leaves_no_process(clips: Clips, perform: Perform) -> None:
    def fail(_: object) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        perform("resize", HEAVY, clips.long(), on_progress=fail)
    assert not encoders()


def test_a_full_disk(clips: Clips, perform: Perform, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "video.mkv").symlink_to("/dev/full")
    with pytest.raises(RunFailed) as caught:
        perform("convert", {"format": "mkv"}, clips.container("mp4"))
    assert caught.value.code == "disk_full"
    assert caught.value.retryable
    assert "No space left" in caught.value.log


def test_a_result_past_its_limit(clips: Clips, perform: Perform) -> None:
    with pytest.raises(RunFailed) as caught:
        perform("convert", {"format": "mkv"}, clips.container("mp4"), limits=Limits(max_output_bytes=20_000))
    assert caught.value.code == "output_too_large"


def test_memory_is_bounded(clips: Clips, perform: Perform) -> None:
    wish = {"width": 4096, "upscale": True}
    with pytest.raises(RunFailed) as caught:
        perform("resize", wish, clips.long(), limits=Limits(memory_bytes=500_000_000))
    assert caught.value.code == "out_of_memory"


def test_an_exit_status_is_no_proof(clips: Clips, plan: MakePlan, limits: Limits, tmp_path: Path) -> None:
    """A source cut after its probe: ffmpeg exits 0 with what it could read; the check does not pass it."""
    whole = clips.container("mkv")
    cut = clips.written("cut-later", whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(RunFailed) as caught:
        execute(
            plan("convert", {"format": "mp4"}, whole),
            0,
            sources={SOURCE: cut},
            work_dir=tmp_path,
            limits=limits,
            on_progress=lambda _: None,
            control=Control(),
        )
    assert caught.value.code == "input_ends_early"
    assert caught.value.data["readable"] == pytest.approx(SECONDS / 2, abs=0.5)
    assert "duration should be" in caught.value.log
    assert "$ ffmpeg" in caught.value.log


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda _: b"", "not empty"),
        (lambda data: data[: len(data) // 2], "decodes at its end"),
        (lambda _: b"not a video at all" * 99, "readable"),
        (lambda data: data[:4000] + bytes(len(data) - 24_000) + data[-20_000:], "decodes"),
    ],
)
def test_verification_bites(
    *,
    clips: Clips,
    plan: MakePlan,
    perform: Perform,
    limits: Limits,
    damage: Callable[[bytes], bytes],
    complaint: str,
) -> None:
    source = clips.container("ts")
    (artifact,) = perform("resize", {"width": 160}, source).artifacts
    artifact.path.write_bytes(damage(artifact.path.read_bytes()))
    output = plan("resize", {"width": 160}, source).outputs[0]
    with pytest.raises(RunFailed, match=complaint) as caught:
        verify(artifact.path, output, limits=limits, control=Control())
    assert caught.value.code == "output_invalid"


def test_verification_sees_a_wrong_picture_size(
    clips: Clips, plan: MakePlan, perform: Perform, limits: Limits
) -> None:
    source = clips.container("mp4")
    (artifact,) = perform("resize", {"width": 160}, source).artifacts
    other = plan("resize", {"width": 180}, source).outputs[0]
    with pytest.raises(RunFailed, match="picture size should be 180x102 and is 160x90"):
        verify(artifact.path, other, limits=limits, control=Control())


@pytest.fixture
def killed(clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clip, and tools that the kernel ends, as it does when memory runs out; they say nothing of the file.

    They are scripts, and there is no shell in the sandbox.
    """
    source = clips.container("mp4")
    program = tmp_path / "killed"
    program.write_text("#!/bin/sh\nkill -KILL $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(runner, "chosen", lambda: Choice(LIMITS, {}, {}))
    monkeypatch.setenv("FFPROBE", str(program))
    monkeypatch.setenv("FFMPEG", str(program))
    return source


def test_a_killed_reader_does_not_make_a_video_corrupt(killed: Path, tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        intake(killed, tmp_path, limits=Limits(), on_progress=lambda _: None, control=Control())
    assert (caught.value.code, caught.value.retryable) == ("encoder_crashed", True)


def test_a_killed_check_does_not_make_a_result_wrong(killed: Path) -> None:
    with pytest.raises(Problem) as caught:
        decode(killed, reading=UPLOADS, limits=Limits(), control=Control())
    assert (caught.value.code, caught.value.retryable) == ("encoder_crashed", True)


def test_time_in_which_we_were_frozen_ourselves_does_not_count(tmp_path: Path) -> None:
    """A paused machine or container must not make tools look slow that had done their work."""
    program = textwrap.dedent(
        """
        from pathlib import Path
        from engine import runner
        from engine.control import Control
        from engine.types.limits import Limits
        print("begins", flush=True)
        argv = ["sleep", "1"]
        print(runner.run(argv, cwd=Path("."), limits=Limits(), control=Control(), seconds=1.6).ending)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == "begins\n"
        time.sleep(0.3)
        ours.send_signal(signal.SIGSTOP)
        time.sleep(3)
        ours.send_signal(signal.SIGCONT)
        assert ours.stdout.read() == "exited\n"
