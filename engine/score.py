"""How like its source an encoded picture looks, as VMAF on samples of the finished file.

The figure is from 0 to 100; from about 93 on most people see no difference. Each sample is compared with what
the encoder was given: the frames of the source, through the filters of the recipe.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import commands, runner
from engine.control import Control
from engine.progress import ProgressMeter, ProgressReporter
from engine.types.limits import Limits
from engine.types.plan import Origin
from engine.types.recipes import FileRecipe, StreamRecipe
from engine.types.results import Check

_SECONDS = 2.0
_SHARES = (0.2, 0.5, 0.8)
_ONE_LOOK_UNTIL = 10.0
_DEFAULT_RATE = 25.0
# Filters that move moments, or go by them: a sample does not begin where the video does.
_TIMED = frozenset({"setpts", "fps", "tpad", "trim", "select", "reverse", "ass", "movie", "drawtext"})
_SCORE = re.compile(r"VMAF score: ([\d.]+)")


@dataclass(frozen=True, slots=True)
class Score:
    """The mean over all samples, how many seconds those are, and what it cost."""

    vmaf: float
    seconds: float
    cpu_seconds: float

    @property
    def check(self) -> Check:
        """A line for the report: told, not judged."""
        actual = f"VMAF {self.vmaf:.1f} on {self.seconds:.0f} s of samples"
        return Check(name="quality", passed=True, expected="measured only", actual=actual)


def scorable(file: FileRecipe, origin: Origin | None) -> StreamRecipe | None:
    """The picture of a file that can be compared with its source frame by frame; None where none can."""
    picture = next((stream for stream in file.streams if stream.kind == "video"), None)
    if picture is None or picture.action != "encode" or origin is None:
        return None
    moved = origin.speed != 1.0 or "r" in picture.options
    timed = any(item.name in _TIMED or item.takes or item.gives for item in picture.filters)
    return None if moved or timed else picture


def score(
    result: Path,
    source: Path,
    picture: StreamRecipe,
    origin: Origin,
    *,
    duration: float,
    rate: float | None,
    limits: Limits,
    control: Control,
) -> Score | None:
    """Compare samples of the result with its source; None where the tool does not tell. Raises Stopped."""
    gap = 1 / (rate or _DEFAULT_RATE)
    scores: list[float] = []
    cpu_seconds = 0.0
    length = min(_SECONDS, duration)
    for place in _places(duration, length):
        # Between two frames, so that both sides begin with the same one however their times are rounded.
        at = (int(place / gap) + 0.5) * gap if place else 0.0
        outcome = runner.run(
            commands.likeness_argv(
                result, source, picture, at=at, there=origin.start + at, length=length, limits=limits
            ),
            cwd=result.parent,
            limits=limits,
            control=control,
            meter=ProgressMeter(length, ProgressReporter(lambda _: None)),
        )
        cpu_seconds += outcome.cpu_seconds
        found = _SCORE.search(outcome.log)
        if found is None:
            return None
        scores.append(float(found[1]))
    return Score(sum(scores) / len(scores), length * len(scores), cpu_seconds)


def _places(duration: float, length: float) -> Sequence[float]:
    if duration < _ONE_LOOK_UNTIL:
        return ((duration - length) / 2,)
    return tuple(share * duration - length / 2 for share in _SHARES)
