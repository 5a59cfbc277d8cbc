"""Decodes parts of files to see whether it works, and measures files that do not tell their length."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine import commands, runner
from engine.control import Control
from engine.failures import without_paths
from engine.progress import ProgressMeter, ProgressReporter
from engine.types.limits import Limits
from engine.whitelist import Reading

# Five hours of usual video; the list is stored and sent with every description of the video.
_MOST_KEY_FRAMES = 2000
_MOST_WORDS = 16 * 1024**2
_NO_TIME = -(2**62)  # AVI does not say when a frame is shown; the tool then writes its lowest number


@dataclass(frozen=True, slots=True)
class Decoded:
    """Frames of all streams and of the first (the picture, if there is one), and what went wrong.

    `size` is that of the first stream's pictures, (0, 0) without any. `unfinished` is set when the decoder
    crashed or took too long.
    """

    frames: int
    first_stream: int
    errors: int
    size: tuple[int, int]
    unfinished: bool
    log: str
    cpu_seconds: float


def decode(
    path: Path,
    *,
    reading: Reading,
    limits: Limits,
    control: Control,
    start: float | None = None,
    length: float | None = None,
) -> Decoded:
    """Decode from `start` for `length` seconds (all of it without them) and count. Raises Stopped."""
    argv = commands.decode_argv(path, reading=reading, limits=limits, start=start, length=length)
    outcome = runner.run(
        argv, cwd=path.parent, limits=limits, control=control, seconds=10 * limits.probe_seconds
    )
    text = outcome.stdout.decode("ascii", "replace")
    lines = text.splitlines()
    size = re.search(r"^#dimensions 0: (\d+)x(\d+)", text, re.MULTILINE)
    return Decoded(
        frames=sum(1 for line in lines if line[:1].isdigit()),
        first_stream=sum(1 for line in lines if line.startswith("0,")),
        errors=_complaints(outcome.log) + (0 if outcome.succeeded else 1),
        size=(int(size[1]), int(size[2])) if size else (0, 0),
        unfinished=outcome.ending is not runner.Ending.EXITED,
        log=without_paths(outcome.log, path.parent),
        cpu_seconds=outcome.cpu_seconds,
    )


@dataclass(frozen=True, slots=True)
class DecodedWords:
    """The lines of a track of subtitles as an SRT file, or an ASS file, and what went wrong."""

    text: str
    errors: int
    unfinished: bool
    log: str
    cpu_seconds: float


def decode_words(path: Path, *, reading: Reading, limits: Limits, control: Control) -> DecodedWords:
    """Read a file of subtitles through its decoder, bare of styles where it is not ASS. Raises Stopped."""
    kind = "ass" if "ass" in reading.demuxers else "srt"
    outcome = runner.run(
        commands.words_argv(path, kind, reading=reading, limits=limits),
        cwd=path.parent,
        limits=limits,
        control=control,
        seconds=limits.probe_seconds,
        keep_stdout=_MOST_WORDS,
    )
    told = len(re.findall(r"\[(?:error|fatal|panic)\]", outcome.log))
    return DecodedWords(
        text=outcome.stdout.decode("utf-8", "replace"),
        errors=told + (0 if outcome.succeeded else 1),
        unfinished=outcome.ending is not runner.Ending.EXITED,
        log=without_paths(outcome.log, path.parent),
        cpu_seconds=outcome.cpu_seconds,
    )


def key_frames(
    source: Path, stream: int, *, limits: Limits, control: Control
) -> tuple[tuple[float, ...] | None, float]:
    """Seconds of the key frames an upload can be cut at, and the CPU seconds it took to find them.

    Left out are those of open groups: frames shown before them need frames stored before them, so neither
    side of a cut there is whole. Raises Stopped. None where they cannot be told in time, or are so many that
    a list of them is of no use.
    """
    argv = commands.key_frames_argv(source, stream, limits=limits)
    outcome = runner.run(
        argv, cwd=source.parent, limits=limits, control=control, seconds=limits.probe_seconds
    )
    text = outcome.stdout.decode("ascii", "replace")
    clock = re.search(r"^#tb 0: (\d+)/(\d+)", text, re.MULTILINE)
    stamps = _closed([int(line.split(",")[2]) for line in text.splitlines() if line[:1].isdigit()])
    usable = 0 < len(stamps) <= _MOST_KEY_FRAMES and min(stamps) > _NO_TIME
    if not outcome.succeeded or clock is None or not usable:
        return None, outcome.cpu_seconds
    tick = int(clock[1]) / int(clock[2])
    moments = sorted({max(0.0, round(stamp * tick, 3)) for stamp in stamps})
    return tuple(moments), outcome.cpu_seconds


def _closed(stamps: Iterable[int]) -> list[int]:
    """The key frames that no frame follows which is shown earlier."""
    keys: list[int] = []
    newest, counted = None, False
    for stamp in stamps:
        if newest is None or stamp > newest:
            newest, counted = stamp, True
            keys.append(stamp)
        elif counted:
            keys.pop()
            counted = False
    return keys


@dataclass(frozen=True, slots=True)
class Measured:
    """A file read from end to end: its length in seconds, how many pictures it has, and what went wrong."""

    seconds: float
    frames: int
    errors: int
    log: str
    cpu_seconds: float


def measure(
    path: Path,
    *,
    reading: Reading,
    limits: Limits,
    control: Control,
    decoding: bool = False,
    stream: int | None = None,
) -> Measured:
    """Read every packet, or those of one stream; with `decoding` also decode. However long that takes.

    Seconds count from the file's beginning. Raises Stopped.
    """
    meter = ProgressMeter(1.0, ProgressReporter(lambda _: None))
    argv = commands.measure_argv(path, reading=reading, limits=limits, decoding=decoding, stream=stream)
    outcome = runner.run(argv, cwd=path.parent, limits=limits, control=control, meter=meter)
    seconds, frames, _ = meter.position
    return Measured(
        seconds=round(seconds, 3),
        frames=frames,
        errors=_complaints(outcome.log) + (0 if outcome.succeeded else 1),
        log=without_paths(outcome.log, path.parent),
        cpu_seconds=outcome.cpu_seconds,
    )


def _complaints(log: str) -> int:
    return len(re.findall(r"\[(?:error|fatal|panic)\]", log))
