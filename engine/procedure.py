"""What a procedure is: the way a run is done where one start of the tool is not enough.

Some wishes can only be met by looking at the source first (how loud is it, where are its black bars, which
quality number looks good enough) or at the result afterwards (is it small enough). A plan is pure, so it only
names the procedure, in `Run.procedure`; each one is a module of `procedures/`. It gets a Bench to work with
and hands back what it found, which changes what the result is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.control import Control
from engine.failures import RunFailed
from engine.progress import ProgressMeter
from engine.runner import Outcome
from engine.types.limits import Limits
from engine.types.plan import Expectation
from engine.types.recipes import Input, Run
from engine.types.results import Check
from engine.whitelist import Reading


class Bench(Protocol):
    """What a procedure may use. Shares of progress are from 0 to 1 of the whole run."""

    @property
    def work_dir(self) -> Path: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def control(self) -> Control: ...

    def opened(self, item: Input) -> tuple[Path, Reading]:
        """The one file that an input of the run reads, and what may be opened there."""

    def path(self, role: str) -> Path:
        """Where the file with this role is written."""

    def expectation(self, role: str) -> Expectation:
        """What the plan promised of it."""

    def meter(self, expected: float, begin: float, end: float) -> ProgressMeter:
        """A meter for a tool that works on `expected` seconds of media."""

    def encode(self, run: Run, begin: float, end: float) -> None:
        """Start ffmpeg once for this run. Raises RunFailed and Stopped."""

    def start(self, argv: Sequence[str], expected: float, begin: float, end: float) -> Outcome:
        """Start a tool that only looks; its messages are handed back. Raises RunFailed and Stopped."""

    def note(self, text: str, *, cpu_seconds: float = 0.0) -> None:
        """Add a line to the log, and CPU seconds that were used elsewhere."""

    def failure(self, code: str, **data: object) -> RunFailed:
        """A failure with the log so far, to be raised."""


@dataclass(frozen=True, slots=True)
class Findings:
    """By role: what the result must be after all, and lines for its report."""

    expectations: Mapping[str, Expectation] = field(default_factory=dict)
    checks: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)


Procedure = Callable[[Run, Bench], Findings]
"""Does the whole run. Raises RunFailed and Stopped."""
