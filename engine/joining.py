"""Are pieces of a picture one picture? Looked at before they are joined, and in the file made of them.

Joined pieces are right when every frame of every piece is in the result at its own time, each piece begins
with the very frame it was cut at, nothing the source shows between two pieces is missing, and all of it
decodes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine import commands, runner
from engine.binaries import ffprobe_path
from engine.control import Control
from engine.failures import RunFailed, without_paths
from engine.progress import ProgressMeter, ProgressReporter
from engine.types.limits import Limits
from engine.types.recipes import Input
from engine.types.results import Check
from engine.whitelist import RESULTS, UPLOADS, Reading

# Times are rounded to milliseconds in some containers.
_ROUNDED = 0.0011
# Frames on each side of a cut that tell how far apart they usually are there.
_NEAR = 20
_UNKNOWN_GAP = 0.05
_ANSWER_BYTES = 128 * 1024**2


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece: when its frames are shown, in order, and a name for its decoder's settings."""

    times: tuple[float, ...]
    settings: str


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

    `source` is asked where nothing is shown for long around a cut; it keeps its own clock.
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
        if still and (source is None or _shows(source, last + 0.6 * min(near), cut, limits, control)):
            raise RunFailed("parts_do_not_join", reason=f"Frames before {name} are missing.")
    return join


def check_join(
    path: Path, join: Join, *, limits: Limits, control: Control
) -> tuple[tuple[Check, ...], float, str]:
    """Decode the whole picture of the result and compare its frames with the pieces.

    Returns the report, CPU seconds, and what the decoder said. Raises RunFailed and Stopped.
    """
    result = _piece(path, RESULTS, limits=limits, control=control)
    meter = ProgressMeter(1.0, ProgressReporter(lambda _: None))
    argv = commands.decode_pictures_argv(path, reading=RESULTS, limits=limits)
    outcome = runner.run(argv, cwd=path.parent, limits=limits, control=control, meter=meter)
    log = without_paths(outcome.log, path.parent)
    errors = log.count("[error]") + log.count("[fatal]") + (0 if outcome.succeeded else 1)
    wanted = join.times
    apart = [abs(one - other) for one, other in zip(wanted, result.times, strict=False)]
    furthest = max(apart, default=0.0)
    even = all(before < after for before, after in pairwise(result.times))
    report = (
        _check("decodes from beginning to end", "without errors", f"{errors} errors", passed=not errors),
        _check("frames", len(wanted), meter.position[1], passed=len(wanted) == meter.position[1]),
        _check(
            f"times of frames over {len(join.pieces) - 1} joins",
            "as in the pieces",
            f"{furthest * 1000:.1f} ms apart at most" if even else "not in order",
            passed=even and len(wanted) == len(result.times) and furthest <= _ROUNDED,
        ),
    )
    return report, outcome.cpu_seconds, log


def _check(name: str, expected: object, actual: object, *, passed: bool) -> Check:
    return Check(name=name, passed=passed, expected=str(expected), actual=str(actual))


def _gaps(times: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def _shows(source: Path, after: float, cut: float, limits: Limits, control: Control) -> bool:
    """Whether the source has a frame between the two moments of its timeline, the cut's own not counted."""
    answer = _ask(source, UPLOADS, ["-show_entries", "format=start_time"], limits, control)
    zero = float(answer.get("format", {}).get("start_time") or 0.0)
    entries = ["-read_intervals", f"{max(0.0, after + zero - 1):.3f}%{cut + zero + 1:.3f}"]
    entries += ["-show_entries", "packet=pts_time,flags"]
    packets = _ask(source, UPLOADS, entries, limits, control).get("packets", ())
    shown = [
        float(item["pts_time"]) - zero for item in packets if "pts_time" in item and "D" not in item["flags"]
    ]
    return any(after < time < cut - _ROUNDED for time in shown)


def _piece(path: Path, reading: Reading, *, limits: Limits, control: Control) -> Piece:
    entries = ["-show_data_hash", "sha256", "-show_entries", "stream=extradata_hash:packet=pts_time"]
    answer = _ask(path, reading, entries, limits, control)
    times = sorted(float(packet["pts_time"]) for packet in answer.get("packets", ()) if "pts_time" in packet)
    streams = answer.get("streams") or [{}]
    return Piece(tuple(times), str(streams[0].get("extradata_hash")))


def _ask(path: Path, reading: Reading, entries: Sequence[str], limits: Limits, control: Control) -> Any:
    argv = [
        str(ffprobe_path()), "-hide_banner", "-loglevel", "level+error",
        *reading.arguments(limits),
        "-threads", str(limits.threads),
        "-select_streams", "v:0",
        *entries,
        "-print_format", "json=c=1",
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
    try:
        return json.loads(outcome.stdout)
    except ValueError as error:
        log = without_paths(outcome.log, path.parent)
        raise RunFailed("parts_do_not_join", reason=f"{path.name} cannot be read.", log=log) from error
