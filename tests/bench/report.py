"""What a benchmark says: a table to read, and `var/bench/NAME.json`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Line:
    """One measured figure. `ratio` is against the baseline; `met` is None where there is no target."""

    case: str
    value: float | None
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def report(name: str, lines: Sequence[Line]) -> Path:
    """Prints the table and writes the JSON; returns where."""
    say(f"\n{'case':52} {'value':>10} {'baseline':>10} {'ratio':>7}  target")
    for line in lines:
        mark = {True: "met", False: "MISSED", None: ""}[line.met]
        cells = [_cell(line.value), _cell(line.baseline), _cell(line.ratio)]
        say(f"{line.case:52} {cells[0]:>10} {cells[1]:>10} {cells[2]:>7}  {line.target} {line.unit} {mark}")
    folder = Path(os.environ.get("VIDEOPROC_VAR") or ROOT / "var") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    say(f"\n{path}")
    return path


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
