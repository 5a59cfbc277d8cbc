"""From evidence to a code: what a tool's ending and its messages say about the cause.

The table is read from the top; the first match wins, so causes outside the file (disk, memory) come before
what they bring about (a damaged output). An exit status alone never decides: ffmpeg exits 0 on a full disk
and 1 for a dozen unlike reasons.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.runner import Ending, Outcome
from engine.types import Limits
from problems import Problem


class RunFailed(Problem):
    """A media tool failed, or what it made is not right. `log` is the tail of its messages, paths removed."""

    def __init__(self, code: str, *, log: str = "", **data: Any) -> None:
        self.log = log
        super().__init__(code, **data)


_Data = Callable[[re.Match[str], Limits], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Evidence:
    pattern: re.Pattern[str]
    code: str
    data: _Data


def _evidence(pattern: str, code: str, data: _Data = lambda _match, _limits: {}) -> _Evidence:
    return _Evidence(re.compile(pattern, re.IGNORECASE | re.MULTILINE), code, data)


_TABLE = (
    _evidence(r"no space left on device|disk quota exceeded", "disk_full"),
    _evidence(r"file too large", "output_too_large", lambda _, limits: {"limit": limits.max_output_bytes}),
    _evidence(
        r"picture size (?P<width>\d+)x(?P<height>\d+) exceeds specified max pixel count",
        "too_large_dimensions",
        lambda match, limits: {
            "width": int(match["width"]),
            "height": int(match["height"]),
            "limit": limits.max_pixels,
        },
    ),
    _evidence(
        r"codec \((?P<codec>[\w.-]+)\) not on whitelist",
        "unsupported_codec",
        lambda match, _: {"kind": "stream's", "codec": match["codec"]},
    ),
    _evidence(
        r"\[(?P<format>[\w,]+) @ [^\]]*\] (?:\[\w+\] )?format not on whitelist",
        "unsupported_format",
        lambda match, _: {"format": match["format"].split(",")[0].removesuffix("_pipe")},
    ),
    _evidence(r"format not on whitelist", "unsupported_format", lambda _match, _limits: {"format": "found"}),
    _evidence(
        r"number of (?:streams|tracks) exceeds",
        "too_many_streams",
        lambda _, limits: {"count": f"more than {limits.max_streams}", "limit": limits.max_streams},
    ),
    # After the limits on pixels and streams, which the tools also report as failed allocations.
    _evidence(r"cannot allocate memory|out of memory|failed to allocate|malloc.*failed", "out_of_memory"),
    _evidence(r"\bcenc\b|encrypt", "input_encrypted"),
    _evidence(r"moov atom not found|file ended prematurely|partial file", "input_truncated"),
)

_ERROR_LINE = re.compile(r"\[(?:error|fatal|panic)\]")

# Messages of decoders about what they read. They decide only where nothing else explains the failure.
_DAMAGE = re.compile(
    r"invalid data found|error while decoding|corrupt|non-existing pps|no frame|missing picture|invalid nal",
    re.IGNORECASE,
)


def explained(log: str, limits: Limits) -> Problem | None:
    """The problem that the messages name, or None when they name none."""
    # Lower levels repeat texts out of the file, which may say anything.
    errors = "\n".join(line for line in log.splitlines() if _ERROR_LINE.search(line))
    for evidence in _TABLE:
        match = evidence.pattern.search(errors)
        if match:
            return Problem(evidence.code, **evidence.data(match, limits))
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
    if _DAMAGE.search(outcome.log):
        return RunFailed("input_corrupt", log=log)
    return RunFailed("encoder_failed", log=log)


def cause_of_bad_output(problem: RunFailed, limits: Limits, *, log: str) -> RunFailed:
    """The cause behind a failed check: a tool that exited 0 may still have said that the disk is full."""
    named = explained(log, limits)
    if named is not None and named.code in ("disk_full", "output_too_large", "out_of_memory"):
        return RunFailed(named.code, log=log, **named.data)
    return RunFailed(problem.code, log=log, **problem.data)


def without_paths(text: str, *paths: Path) -> str:
    """The text with directories removed and control characters dropped: it is shown to users."""
    for path in paths:
        text = text.replace(f"{path}/", "").replace(str(path), path.name)
    # Which names are on the lists is long and helps nobody.
    text = re.sub(r"(not on whitelist) '[^']*'", r"\1", text)
    text = re.sub(r"(?:file:)?(?:/[\w.@+-]+)+/(?=[\w.@+-])", "", text)
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
