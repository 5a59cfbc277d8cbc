"""From evidence to a code: what a tool's ending and its messages say about the cause.

`causes` has the table. An exit status alone never decides: ffmpeg exits 0 on a full disk and 1 for a dozen
unlike reasons.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

from engine.causes import CAUSES, DAMAGE
from engine.runner import Ending, Outcome
from engine.types.limits import Limits
from problems import Problem


class RunFailed(Problem):
    """A media tool failed, or what it made is not right. `log` is the tail of its messages, paths removed."""

    def __init__(self, code: str, *, log: str = "", **data: Any) -> None:
        self.log = log
        super().__init__(code, **data)


# Lower levels repeat texts out of the file, which may say anything. But an output that stays empty is no more
# than a warning, and what is put around the tool knows no levels.
_ERROR_LINE = re.compile(
    r"\[(?:error|fatal|panic)\]|^\[out#\d+/\w+ @ \w+\] \[warning\]"
    r"|^(?:/\S*/)?(?:sandbox|setpriv|prlimit|nice): "
)


def explained(log: str, limits: Limits) -> Problem | None:
    """The problem that the messages name, or None when they name none."""
    errors = "\n".join(line for line in log.splitlines() if _ERROR_LINE.search(line))
    for cause in CAUSES:
        match = cause.evidence.search(errors)
        if match:
            return Problem(cause.code, **cause.data(match, limits))
    return None


def failure_of(outcome: Outcome, limits: Limits, *, log: str) -> RunFailed:
    """Why an encode that did not succeed failed."""
    if outcome.ending in (Ending.STALLED, Ending.TIMED_OUT):
        return RunFailed("encoder_stalled", seconds=round(limits.stall_seconds), log=log)
    if outcome.ending is Ending.SIGNALLED and outcome.code == signal.SIGXFSZ:
        return RunFailed("output_too_large", limit=limits.max_output_bytes, log=log)
    named = explained(outcome.log, limits)
    if named is not None:
        return RunFailed(named.code, log=log, **named.data)
    if outcome.ending is Ending.SIGNALLED:
        return RunFailed("encoder_crashed", signal=_signal_name(outcome.code), log=log)
    if DAMAGE.search(outcome.log):
        return RunFailed("input_corrupt", log=log)
    return RunFailed("encoder_failed", log=log)


# Causes that ffmpeg may tell of and still exit 0.
_EXITS_WELL = frozenset(
    {"disk_full", "output_too_large", "out_of_memory", "storage_failed", "nothing_to_write"}
)


def cause_of_bad_output(problem: RunFailed, limits: Limits, *, log: str) -> RunFailed:
    """The cause behind a failed check: a tool that exited 0 may still have said that the disk is full."""
    named = explained(log, limits)
    if named is not None and named.code in _EXITS_WELL:
        return RunFailed(named.code, log=log, **named.data)
    errors = (line for line in log.splitlines() if _ERROR_LINE.search(line))
    if "readable" in problem.data and any(DAMAGE.search(line) for line in errors):
        return RunFailed("input_ends_early", log=log, **problem.data)
    return RunFailed(problem.code, log=log, **problem.data)


def without_paths(text: str, *paths: Path) -> str:
    """The text with directories removed and control characters dropped: it is shown to users."""
    for path in paths:
        text = text.replace(f"{path}/", "").replace(str(path), path.name)
    # Which names are on the lists is long and helps nobody.
    text = re.sub(r"(not on whitelist) '[^']*'", r"\1", text)
    text = re.sub(r"(?:file:)?(?:/[\w.@+-]+)+/(?=[\w.@+-])", "", text)
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # nearly always, and looking at each character takes long
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
