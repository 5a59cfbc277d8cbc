"""Are pieces of a picture one picture? Looked at before they are joined, and in the file made of them.

Joined pieces are right when every frame of every piece is in the result, coded as it was and at its own time,
each piece begins with the very frame it was cut at, nothing the source shows between two pieces is missing,
and what lies around each join decodes. Away from the joins the result is the pieces, byte for byte: there it
decodes as they do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

from engine import commands, runner
from engine.binaries import ffprobe_path
from engine.control import Control
from engine.failures import RunFailed, without_paths
from engine.progress import ProgressMeter, ProgressReporter
from engine.runner import Outcome
from engine.types.limits import Limits
from engine.types.recipes import Input
from engine.types.results import Check
from engine.whitelist import RESULTS, UPLOADS, Reading

# Times are rounded to milliseconds in some containers.
_ROUNDED = 0.0011
# Frames on each side of a cut that tell how far apart they usually are there.
_NEAR = 20
_UNKNOWN_GAP = 0.05
# Long enough for the last frame of any file.
_TO_THE_END = 3600.0
_ANSWER_BYTES = 128 * 1024**2
# Frames on each side of a join that are counted as they are decoded; decoding begins at a key frame before.
_AROUND = 24


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece: when its frames are shown, in order, and a name for its decoder's settings.

    `coded` has a checksum of each frame's bytes in stored order, `zero` is where its clock begins.
    """

    times: tuple[float, ...]
    settings: str
    coded: tuple[str, ...] = ()
    zero: float = 0.0


@dataclass(frozen=True, slots=True)
class Join:
    """Pieces that fit, in the order of the run's input at `position`."""

    position: int
    item: Input
    pieces: tuple[Piece, ...]

    @property
    def starts(self) -> tuple[float, ...]:
        return tuple(piece.times[0] for piece in self.pieces)

    @property
    def times(self) -> list[float]:
        return [time for piece in self.pieces for time in piece.times]


def joined(
    position: int, item: Input, work_dir: Path, *, source: Path | None, limits: Limits, control: Control
) -> Join:
    """Look at the pieces. Raises RunFailed("parts_do_not_join") when they are not one picture, and Stopped.

    `source`, which keeps its own clock, is asked where nothing is shown for long around a cut. Without one
    the pieces are whole videos, of which nothing can be missing there.
    """
    pieces = tuple(_piece(work_dir / name, RESULTS, limits=limits, control=control) for name in item.parts)
    for name, piece in zip(item.parts, pieces, strict=True):
        if not piece.times:
            raise RunFailed("parts_do_not_join", reason=f"{name} is empty.")
        if piece.settings != pieces[0].settings:
            raise RunFailed("parts_do_not_join", reason=f"{name} is encoded in another way than the first.")
    join = Join(position, item, pieces)
    for number, ((before, after), cut) in enumerate(zip(pairwise(pieces), item.cuts, strict=True), 1):
        last, first = before.times[-1], after.times[0]
        near = _gaps(before.times[-_NEAR:]) + _gaps(after.times[:_NEAR]) or [_UNKNOWN_GAP]
        name = item.parts[number]
        if first <= last:
            raise RunFailed("parts_do_not_join", reason=f"{name} begins before the one before it ends.")
        # Half a step of the encoder's clock is rounding; a step is a lost frame.
        if abs(first - cut) > 0.6 * min(near) + _ROUNDED:
            raise RunFailed("parts_do_not_join", reason=f"{name} begins at {first:.3f} instead of {cut:.3f}.")
        still = first - last > 1.5 * max(near)
        if still and source is not None and _shows(source, last + 0.6 * min(near), cut, limits, control):
            raise RunFailed("parts_do_not_join", reason=f"Frames before {name} are missing.")
    return join


def check_join(
    path: Path, join: Join, *, decoded_whole: bool, limits: Limits, control: Control
) -> tuple[tuple[Check, ...], float, str]:
    """Compare the frames of the result with those of the pieces, and decode what lies around the joins.

    `decoded_whole` says that all of it has been decoded already: pieces that were not made here may be right
    and still not be decodable from any place on. Returns the report, CPU seconds, and what the decoder said.
    Raises RunFailed and Stopped.
    """
    result = _piece(path, RESULTS, limits=limits, control=control)
    wanted = join.times
    apart = [abs(one - other) for one, other in zip(wanted, result.times, strict=False)]
    furthest = max(apart, default=0.0)
    even = all(before < after for before, after in pairwise(result.times))
    same = len(wanted) == len(result.times)
    coded = [checksum for piece in join.pieces for checksum in piece.coded]
    changed = sum(one != other for one, other in zip_longest(coded, result.coded))
    report = [
        _check("frames", len(wanted), len(result.times), passed=same),
        _check("coded frames", "as in the pieces", f"{changed} of them changed", passed=not changed),
        _check(
            f"times of frames over {len(join.pieces) - 1} joins",
            "as in the pieces",
            f"{furthest * 1000:.1f} ms apart at most" if even else "not in order",
            passed=even and same and furthest <= _ROUNDED,
        ),
    ]
    decoded = _Decoded()
    if not decoded_whole and all(check.passed for check in report):
        for number in range(1, len(join.pieces)):
            around = _window(result, sum(len(piece.times) for piece in join.pieces[:number]))
            decoded += _decode(path, around, limits=limits, control=control)
        report.append(
            _check("decodes around the joins", "without errors", decoded.words, passed=decoded.is_right)
        )
    return tuple(report), decoded.cpu_seconds, decoded.log


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of a file between two of its frames, in seconds from its beginning, and the frames in it."""

    start: float
    length: float
    frames: int


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What decoding windows has shown, added up."""

    wanted: int = 0
    frames: int = 0
    errors: int = 0
    cpu_seconds: float = 0.0
    log: str = ""

    @property
    def is_right(self) -> bool:
        return not self.errors and self.frames == self.wanted

    @property
    def words(self) -> str:
        return f"{self.frames} of {self.wanted} frames, {self.errors} errors"

    def __add__(self, other: _Decoded) -> _Decoded:
        return _Decoded(
            self.wanted + other.wanted,
            self.frames + other.frames,
            self.errors + other.errors,
            self.cpu_seconds + other.cpu_seconds,
            self.log + other.log,
        )


def _window(result: Piece, join: int) -> _Window:
    """Some frames on each side of the frame at the index `join`.

    The tool counts a length from where it begins to read, and once more from the first frame that is shown:
    the end lies after the last frame and before the next by either.
    """
    times = result.times
    first, end = max(0, join - _AROUND), min(len(times), join + _AROUND)
    after = times[end] - times[end - 1] if end < len(times) else _TO_THE_END
    early = min(times[first] - times[first - 1], after) / 4 if first else 0.0
    length = times[end - 1] - times[first] + (early + after) / 2
    return _Window(max(0.0, times[first] - early - result.zero), length, end - first)


def _decode(path: Path, window: _Window, *, limits: Limits, control: Control) -> _Decoded:
    meter = ProgressMeter(window.length, ProgressReporter(lambda _: None))
    argv = commands.decode_pictures_argv(
        path, reading=RESULTS, limits=limits, start=window.start, length=window.length
    )
    outcome = runner.run(argv, cwd=path.parent, limits=limits, control=control, meter=meter)
    log = without_paths(outcome.log, path.parent)
    errors = log.count("[error]") + log.count("[fatal]") + (0 if outcome.succeeded else 1)
    return _Decoded(window.frames, meter.position[1], errors, outcome.cpu_seconds, log)


def _check(name: str, expected: object, actual: object, *, passed: bool) -> Check:
    return Check(name=name, passed=passed, expected=str(expected), actual=str(actual))


def _gaps(times: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def _shows(source: Path, after: float, cut: float, limits: Limits, control: Control) -> bool:
    """Whether the source has a frame between the two moments of its timeline, the cut's own not counted."""
    answer = _json(source, ["-show_entries", "format=start_time"], limits, control)
    zero = float(answer.get("format", {}).get("start_time") or 0.0)
    entries = ["-read_intervals", f"{max(0.0, after + zero - 1):.3f}%{cut + zero + 1:.3f}"]
    entries += ["-show_entries", "packet=pts_time,flags"]
    packets = _json(source, entries, limits, control).get("packets", ())
    shown = [
        float(item["pts_time"]) - zero for item in packets if "pts_time" in item and "D" not in item["flags"]
    ]
    return any(after < time < cut - _ROUNDED for time in shown)


def _json(source: Path, entries: Sequence[str], limits: Limits, control: Control) -> Any:
    return json.loads(_ask(source, UPLOADS, [*entries, "-print_format", "json=c=1"], limits, control).stdout)


def _piece(path: Path, reading: Reading, *, limits: Limits, control: Control) -> Piece:
    entries = ["-show_data_hash", "CRC32", "-show_entries"]
    entries += ["format=start_time:stream=extradata_hash:packet=pts_time,data_hash", "-print_format", "csv"]
    times: list[float] = []
    coded: list[str] = []
    settings, zero = "", 0.0
    for line in _ask(path, reading, entries, limits, control).stdout.decode("ascii", "replace").split():
        kind, *values = line.split(",")
        if kind == "packet":
            coded.append(values[-1])
            times += [float(values[0])] if values[0] != "N/A" else []
        elif kind == "stream":
            settings = ",".join(values)
        elif kind == "format":
            zero = float(values[0]) if values[0] != "N/A" else 0.0
    return Piece(tuple(sorted(times)), settings, tuple(coded), zero)


def _ask(path: Path, reading: Reading, entries: Sequence[str], limits: Limits, control: Control) -> Outcome:
    argv = [
        str(ffprobe_path()), "-hide_banner", "-loglevel", "level+error",
        *reading.arguments(limits),
        "-threads", str(limits.threads),
        "-select_streams", "v:0",
        *entries,
        "-i", f"file:{path.absolute()}",
    ]  # fmt: skip
    outcome = runner.run(
        argv,
        cwd=path.parent,
        limits=limits,
        control=control,
        seconds=10 * limits.probe_seconds,
        keep_stdout=_ANSWER_BYTES,
    )
    if not outcome.succeeded:
        log = without_paths(outcome.log, path.parent)
        raise RunFailed("parts_do_not_join", reason=f"{path.name} cannot be read.", log=log)
    return outcome
