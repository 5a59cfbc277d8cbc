"""How loud sound is, after EBU R128, and the filter that brings it to a loudness in a second pass."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine import commands, runner
from engine.control import Control
from engine.failures import failure_of, without_paths
from engine.progress import ProgressMeter
from engine.types.limits import Limits
from engine.types.recipes import Filter
from engine.types.value import Scalar
from engine.whitelist import Reading

FILTER = "loudnorm"


@dataclass(frozen=True, slots=True)
class Loudness:
    """What a pass over one sound track found; `integrated` is in LUFS, None for silence or too little."""

    integrated: float | None
    figures: Mapping[str, Scalar]
    log: str
    cpu_seconds: float

    def applied(self, filters: tuple[Filter, ...]) -> tuple[Filter, ...]:
        """The filters for the second pass; silence is left alone."""
        if self.integrated is None:
            return tuple(item for item in filters if item.name != FILTER)
        return tuple(
            item.model_copy(update={"options": {**item.options, **self.figures, "linear": "true"}})
            if item.name == FILTER
            else item
            for item in filters
        )


def measure_loudness(
    path: Path,
    selector: str,
    *,
    reading: Reading,
    limits: Limits,
    control: Control,
    meter: ProgressMeter,
    target: Mapping[str, Scalar],
) -> Loudness:
    """Listen to one track, `selector` as ffmpeg maps it. Raises RunFailed and Stopped."""
    listening = Filter(name=FILTER, options={**target, "print_format": "json"})
    argv = commands.listen_argv(path, selector, (listening,), reading=reading, limits=limits)
    outcome = runner.run(argv, cwd=path.parent, limits=limits, control=control, meter=meter)
    log = without_paths(outcome.log, path.parent)
    if not outcome.succeeded:
        raise failure_of(outcome, limits, log=log)
    return _read(outcome.log, log, outcome.cpu_seconds)


def _read(text: str, log: str, cpu_seconds: float) -> Loudness:
    begin = text.rfind("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text[begin:])
        told = {name: float(found[f"input_{name}"]) for name in ("i", "tp", "lra", "thresh")}
        told["offset"] = float(found["target_offset"])
    except (ValueError, KeyError, TypeError):
        told = {}
    if not told or not all(map(math.isfinite, told.values())):
        return Loudness(integrated=None, figures={}, log=log, cpu_seconds=cpu_seconds)
    # The filter refuses figures outside of its bounds.
    figures: dict[str, Scalar] = {
        "measured_I": min(0.0, max(-99.0, told["i"])),
        "measured_TP": min(99.0, max(-99.0, told["tp"])),
        "measured_LRA": min(99.0, max(0.0, told["lra"])),
        "measured_thresh": min(0.0, max(-99.0, told["thresh"])),
        "offset": min(99.0, max(-99.0, told["offset"])),
    }
    return Loudness(integrated=told["i"], figures=figures, log=log, cpu_seconds=cpu_seconds)
