"""Looking at results: with a probe and a decoder of our own, not with the engine's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from engine.binaries import ffmpeg_path, ffprobe_path
from engine.execute import StepResult
from engine.types.results import Artifact


def raw_probe(path: Path, *more: str) -> Any:
    command = [
        str(ffprobe_path()),
        "-v",
        "error",
        "-of",
        "json",
        "-show_streams",
        "-show_format",
        "-show_chapters",
    ]
    return json.loads(subprocess.run([*command, *more, path], check=True, capture_output=True).stdout)


def only(result: StepResult) -> Artifact:
    (artifact,) = result.artifacts
    assert artifact.verification.passed
    alone = artifact.path.stat().st_size
    assert alone + sum(member.size for member in artifact.members) == artifact.size > alone // 2 > 0
    assert len(artifact.sha256) == 64
    return artifact


def codecs(path: Path) -> list[str]:
    return [stream["codec_name"] for stream in raw_probe(path)["streams"]]


def size(path: Path) -> tuple[int, int]:
    stream = raw_probe(path)["streams"][0]
    return stream["width"], stream["height"]


def duration(path: Path) -> float:
    return float(raw_probe(path)["format"]["duration"])


def frames(path: Path, *filters: str, width: int = 32, height: int = 18) -> list[bytes]:
    """Every picture, small and grey: enough to tell one from another."""
    chain = ",".join([*filters, f"scale={width}:{height}", "format=gray"])
    command = [str(ffmpeg_path()), "-v", "error", "-i", str(path), "-map", "0:v:0", "-vf", chain]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return [raw[at : at + width * height] for at in range(0, len(raw), width * height)]


def distance(one: bytes, other: bytes) -> float:
    """How unlike two pictures are: the mean difference of their points."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def nearest(picture: bytes, among: list[bytes]) -> int:
    """The number of the picture that is most like this one."""
    return min(range(len(among)), key=lambda number: distance(picture, among[number]))


def loudest(path: Path) -> list[float]:
    """The sound from the file's start in pieces of 10 ms, each as its loudest sample from 0 to 1."""
    command = [str(ffmpeg_path()), "-v", "error", "-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", "8000"]
    command += ["-af", "aresample=async=1:first_pts=0", "-f", "s16le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    samples = memoryview(raw).cast("h")
    return [max(map(abs, samples[at : at + 80])) / 32768 for at in range(0, len(samples), 80)]


def pitch(path: Path, *, start: float, length: float) -> float:
    """How often a second the sound swings in this part."""
    command = [str(ffmpeg_path()), "-v", "error", "-ss", str(start), "-t", str(length), "-i", str(path)]
    command += ["-map", "0:a:0", "-ac", "1", "-ar", "48000", "-f", "s16le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    samples = memoryview(raw).cast("h")
    rising = sum(1 for at in range(1, len(samples)) if samples[at - 1] < 0 <= samples[at])
    return rising / (len(samples) / 48_000)
