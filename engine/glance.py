"""Is the result black or silent where the source is not? Both are looked at in a few places.

Cheap at first: of each file the key frame before the place is decoded, and half a second of sound. Those
frames are not of the same instant, so only where they disagree the result is decoded around the very time of
the source's frame before anything is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine import commands, runner
from engine.control import Control
from engine.types.limits import Limits
from engine.types.plan import Origin
from engine.whitelist import UPLOADS, Reading

# Of 255. Between the two a picture is neither: tone mapping and watermarks change what is dark.
_LIT = 64
_DARK = 16
# Decibels of the loudest sample.
_HEARD = -40.0
_SILENT = -70.0

_SIZE = (64, 36)
_SECONDS = 0.5
# How far a frame or a sound may be from its place before it is missed, in seconds of the result.
_AROUND = 0.12
_AROUND_SOUND = 0.5

_TIME = re.compile(r"^\[Parsed_showinfo_\d+ @ [^\]]*\] \[info\] n: *0 .*?pts_time:(-?[\d.]+)", re.MULTILINE)
_PEAK = re.compile(r"^\[Parsed_volumedetect_\d+ @ [^\]]*\] \[info\] max_volume: (-?[\d.]+) dB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Glance:
    """A stretch of a file. `light` is the brightest spot of small pictures, 0 to 255, `at` the time of the
    first of them in seconds, `peak` the loudest sample in decibels; None where there is nothing."""

    at: float | None
    light: int | None
    peak: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of the result at which it is black or silent and should not be; how many places of the source
    had light and sound; and the CPU seconds all of it took."""

    black: tuple[float, ...]
    silent: tuple[float, ...]
    lit: int
    heard: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two files: what may be opened, and the streams to look at and to listen to."""

    path: Path
    reading: Reading
    picture: str | None
    sound: str | None


def compare(
    result: Path,
    source: Path,
    origin: Origin,
    *,
    duration: float,
    layout: str | None,
    reading: Reading,
    limits: Limits,
    control: Control,
) -> Compared:
    """Look at the result and at its source. `layout` names the result's sound channels. Raises Stopped."""
    made = Side(
        result,
        reading,
        None if origin.picture is None else "v:0",
        None if origin.sound is None else "a:0",
    )
    picture, sound = (None if index is None else str(index) for index in (origin.picture, origin.sound))
    theirs = Side(source, UPLOADS, picture, sound)
    comparison = _Comparison(made, theirs, origin, layout=layout, limits=limits, control=control)
    return comparison.run(_places(duration))


def _places(duration: float) -> tuple[float, ...]:
    """Few, as each costs: one in the middle of short files, at most three."""
    shares: tuple[float, ...] = (0.1, 0.5, 0.9)
    if duration < 60:  # noqa: PLR2004 - a minute
        shares = (0.5,) if duration < 10 else (0.25, 0.75)  # noqa: PLR2004 - seconds
    return tuple(round(duration * share, 3) for share in shares)


class _Comparison:
    def __init__(
        self,
        result: Side,
        source: Side,
        origin: Origin,
        *,
        layout: str | None,
        limits: Limits,
        control: Control,
    ) -> None:
        self._result = result
        self._source = source
        self._origin = origin
        self._layout = layout
        self._limits = limits
        self._control = control
        self._cpu_seconds = 0.0

    def run(self, places: tuple[float, ...]) -> Compared:
        black, silent = [], []
        lit = heard = 0
        for place in places:
            was = self._look(self._source, self._there(place), _SECONDS * self._origin.speed)
            lit += _is_lit(was)
            heard += _is_heard(was)
            if not _is_lit(was) and not _is_heard(was):
                continue
            now = self._look(self._result, place, _SECONDS)
            if _is_lit(was) and not self._shows(now, was):
                black.append(place)
            if _is_heard(was) and not self._sounds(now, place):
                silent.append(place)
        return Compared(tuple(black), tuple(silent), lit, heard, self._cpu_seconds)

    def _there(self, place: float) -> float:
        """The source's time of a time of the result."""
        return self._origin.start + place * self._origin.speed

    def _shows(self, now: Glance, was: Glance) -> bool:
        if now.light is not None and now.light > _DARK:
            return True
        if was.at is None:
            return True
        at = (was.at - self._origin.start) / self._origin.speed
        if at < 0:  # the key frame is from before the part that was taken
            return True
        side = Side(self._result.path, self._result.reading, self._result.picture, None)
        light = self._look(side, at - _AROUND, 2 * _AROUND, keys_only=False).light
        # Without any picture there the sound goes on after the last: that is for others to judge.
        return light is None or light > _DARK

    def _sounds(self, now: Glance, place: float) -> bool:
        if now.peak is not None and now.peak > _SILENT:
            return True
        side = Side(self._result.path, self._result.reading, None, self._result.sound)
        peak = self._look(side, place - _AROUND_SOUND, _SECONDS + 2 * _AROUND_SOUND).peak
        return peak is not None and peak > _SILENT

    def _look(self, side: Side, at: float, length: float, *, keys_only: bool = True) -> Glance:
        at = max(0.0, at)
        argv = commands.glance_argv(
            side.path,
            at,
            length,
            picture=side.picture,
            sound=side.sound,
            layout=self._layout,
            keys_only=keys_only,
            size=_SIZE,
            reading=side.reading,
            limits=self._limits,
        )
        outcome = runner.run(
            argv,
            cwd=side.path.parent,
            limits=self._limits,
            control=self._control,
            seconds=self._limits.probe_seconds,
        )
        self._cpu_seconds += outcome.cpu_seconds
        shown = _TIME.search(outcome.log)
        peak = _PEAK.search(outcome.log)
        return Glance(
            at=None if shown is None else at + float(shown[1]),
            light=max(outcome.stdout) if outcome.stdout else None,
            peak=None if peak is None else float(peak[1]),
        )


def _is_lit(glance: Glance) -> bool:
    return glance.light is not None and glance.light >= _LIT


def _is_heard(glance: Glance) -> bool:
    return glance.peak is not None and glance.peak >= _HEARD
