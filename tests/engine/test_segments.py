"""Long encodes in segments: the same frames at the same times as one command, whatever the source."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.binaries import ffmpeg_path
from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import StepResult, execute
from engine.intake import intake
from engine.segments import Machine, divided
from engine.types import SOURCE, Limits, MediaInfo, Plan
from tests.engine.clips import Clips, picture, sound
from tests.engine.results import duration, only, raw_probe

TWO_CORES = Machine(cores=2, slots=5)
QUICK = Limits(threads=1)
B_FRAMES = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "12", "-pix_fmt", "yuv420p"]


def look(source: Path, work_dir: Path) -> MediaInfo:
    """As an upload, with its key frames."""
    return intake(source, work_dir, limits=QUICK, on_progress=lambda _: None, control=Control()).media


def run_all(plan: Plan, source: Path, work_dir: Path) -> list[StepResult]:
    """Every step in turn, each with the parts of those before it."""
    parts: dict[str, Path] = {}
    results = []
    for step in plan.steps:
        result = execute(
            plan,
            step.position,
            sources={SOURCE: source},
            parts=parts,
            work_dir=work_dir / str(step.position),
            limits=QUICK,
            on_progress=lambda _: None,
            control=Control(),
        )
        parts |= result.parts
        results.append(result)
    return results


def times(path: Path, kind: str = "v") -> list[float]:
    """When each decoded frame is shown or heard."""
    command = [str(ffmpeg_path()), "-v", "error", "-copyts", "-i", str(path), "-map", f"0:{kind}:0"]
    command += ["-fps_mode", "passthrough", "-enc_time_base", "demux"] if kind == "v" else []
    run = subprocess.run([*command, "-f", "framecrc", "-"], check=True, capture_output=True, text=True)
    assert not run.stderr
    clock = next(line for line in run.stdout.splitlines() if line.startswith("#tb")).split()[-1]
    tick = int(clock.split("/")[0]) / int(clock.split("/")[1])
    return [int(line.split(",")[2]) * tick for line in run.stdout.splitlines() if line[:1].isdigit()]


def make(name: str, clips: Clips) -> Path:
    """Sources that differ in how their frames lie in time."""
    uneven = [
        "-vf",
        "select='not(mod(n,2))+gt(random(1),0.6)'",
        "-fps_mode",
        "vfr",
        "-enc_time_base",
        "1/90000",
    ]
    small = picture("160x90")
    fields = ["-vf", "setfield=tff", *B_FRAMES, "-x264-params", "tff=1"]
    shapes: dict[str, list[str]] = {
        "b-frames": [*small, *sound(seconds=4), *B_FRAMES, "-c:a", "aac", "-f", "mp4"],
        "open-gop": [
            *picture("160x90", rate="30000/1001", seconds=3.3),
            *sound(),
            *B_FRAMES, "-x264-params", "open-gop=1", "-c:a", "aac", "-f", "mp4",
        ],
        "uneven": [*picture("160x90", rate="50"), *uneven, *B_FRAMES, "-f", "mp4"],
        "ten-bit": [*small, "-c:v", "libx264", "-pix_fmt", "yuv420p10le", "-g", "12", "-f", "matroska"],
        "interlaced": [*picture("160x96"), *fields, "-f", "mp4"],
        "late": [
            *sound(), "-itsoffset", "0.52", *picture("160x90", seconds=2.5),
            *B_FRAMES, "-c:a", "libopus", "-f", "matroska",
        ],
    }  # fmt: skip
    return clips.made(f"segments-{name}", *shapes[name])


CASES: dict[str, tuple[str, dict[str, object]]] = {
    "b-frames": ("resize", {"width": 128}),
    "open-gop": ("convert", {"format": "mkv", "quality": "low"}),
    "uneven": ("convert", {"format": "mp4", "quality": "medium"}),
    "ten-bit": ("convert", {"format": "mp4", "video_codec": "hevc"}),
    "interlaced": ("convert", {"format": "mov", "quality": "medium"}),
    "late": ("convert", {"format": "mp4", "quality": "medium"}),
}


@pytest.mark.parametrize("case", CASES)
def test_segments_have_the_frames_of_one_command(case: str, clips: Clips, tmp_path: Path) -> None:
    source = make(case, clips)
    type_, wish = CASES[case]
    media = look(source, tmp_path / "look")
    plan = plan_for(type_, parameters_for(type_, wish), media)
    pieces = divided(plan, media, TWO_CORES, seconds=0.9)
    assert len([step for step in pieces.steps if step.kind == "segment"]) >= 2

    alone = only(run_all(plan, source, tmp_path / "alone")[-1])
    *parts, last = run_all(pieces, source, tmp_path / "pieces")
    together = only(last)

    assert not any(part.artifacts for part in parts)
    assert "frames" in [check.name for check in together.verification.report]
    assert len(times(together.path)) == len(times(alone.path))
    assert times(together.path) == pytest.approx(times(alone.path), abs=0.0006)
    assert duration(together.path) == pytest.approx(duration(alone.path), abs=0.005)
    if media.audio:
        assert times(together.path, "a") == pytest.approx(times(alone.path, "a"), abs=0.005)
    kinds = [
        [stream["codec_name"] for stream in raw_probe(item.path)["streams"]] for item in (together, alone)
    ]
    assert kinds[0] == kinds[1]
