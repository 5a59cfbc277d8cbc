"""The table of causes: what a tool's last words mean, in one of our codes.

Read from the top, and the first match wins, so causes outside the file (disk, memory) come before what they
bring about, and the precise before the vague. `problems.catalogue` has each code's sentence, hint, and
whether trying again helps; docs/engine.md shows both together, and a test makes each of them happen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.types.limits import Limits

_Data = Callable[[re.Match[str], Limits], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Cause:
    """One line of the table. `name` is for people; `evidence` is looked for in lines marked as errors."""

    name: str
    evidence: re.Pattern[str]
    code: str
    data: _Data


def _cause(name: str, evidence: str, code: str, data: _Data = lambda _match, _limits: {}) -> Cause:
    return Cause(name, re.compile(evidence, re.IGNORECASE | re.MULTILINE), code, data)


def _said(match: re.Match[str], _limits: Limits) -> Mapping[str, Any]:
    """The tool's own words, as the reason."""
    words = match[0].strip().rstrip(".!")
    return {"reason": f"{words[:1].upper()}{words[1:]}."}


def _lacks(kind: str) -> _Data:
    return lambda match, _: {"what": f"{kind} {match['what']}"}


CAUSES: tuple[Cause, ...] = (
    # What the kernel said is about namespaces and mounts, whatever the words usually mean.
    _cause("the sandbox cannot be set up", r"^sandbox: cannot be set up: .*", "sandbox_failed"),
    _cause("the disk is full", r"no space left on device", "disk_full"),
    _cause("the disk quota is used up", r"disk quota exceeded", "disk_full"),
    _cause(
        "the result passes its limit",
        r"file too large",
        "output_too_large",
        lambda _, limits: {"limit": limits.max_output_bytes},
    ),
    _cause("too many files are open", r"too many open files", "server_overloaded"),
    _cause(
        "the tool cannot be started",
        r"^(?:/\S*/)?(?:sandbox|setpriv|prlimit|nice): .*(?:no such|permission|exec)",
        "tool_missing",
    ),
    _cause("an encoder is missing", r"unknown encoder '(?P<what>[\w-]+)'", "tool_lacks", _lacks("encoder")),
    _cause("a filter is missing", r"no such filter: '(?P<what>[\w-]+)'", "tool_lacks", _lacks("filter")),
    _cause("an option is missing", r"unrecognized option '(?P<what>[^']+)'", "tool_lacks", _lacks("option")),
    _cause(
        "a filter's option is missing",
        r"error applying option '(?P<what>[\w-]+)' to filter",
        "tool_lacks",
        _lacks("filter option"),
    ),
    _cause(
        "a muxer is missing",
        r"requested output format '(?P<what>[\w-]+)' is not known",
        "tool_lacks",
        _lacks("format"),
    ),
    _cause(
        "the picture has too many pixels",
        r"picture size (?P<width>\d+)x(?P<height>\d+) exceeds specified max pixel count",
        "too_large_dimensions",
        lambda match, limits: {
            "width": int(match["width"]),
            "height": int(match["height"]),
            "limit": limits.max_pixels,
        },
    ),
    _cause(
        "a codec is off the list",
        r"codec \((?P<codec>[\w.-]+)\) not on whitelist",
        "unsupported_codec",
        lambda match, _: {"kind": "stream's", "codec": match["codec"]},
    ),
    _cause(
        "a format is off the list",
        r"\[(?P<format>[\w,]+) @ [^\]]*\] (?:\[\w+\] )?format not on whitelist",
        "unsupported_format",
        lambda match, _: {"format": match["format"].split(",")[0].removesuffix("_pipe")},
    ),
    _cause(
        "a format without a name is off the list",
        r"format not on whitelist",
        "unsupported_format",
        lambda _match, _limits: {"format": "found"},
    ),
    _cause(
        "there are too many streams",
        r"number of (?:streams|tracks) exceeds",
        "too_many_streams",
        lambda _, limits: {"count": f"more than {limits.max_streams}", "limit": limits.max_streams},
    ),
    # After the limits on pixels and streams, which the tools also report as failed allocations.
    _cause(
        "the memory is used up",
        r"cannot allocate memory|out of memory|failed to allocate|malloc.*failed"
        r"|resource temporarily unavailable",
        "out_of_memory",
    ),
    _cause("the file is encrypted", r"\bcenc\b|encrypt", "input_encrypted"),
    _cause(
        "the index or the end is missing",
        r"moov atom not found|file ended prematurely|partial file",
        "input_truncated",
    ),
    _cause("the storage does not answer", r"input/output error|stale file handle", "storage_failed"),
    _cause(
        "the storage cannot be written",
        r"error opening output \S*: (?:is a directory|permission denied|read-only file system)",
        "storage_unwritable",
    ),
    _cause("a planned stream is not there", r"stream map '.*' matches no streams", "stream_missing"),
    _cause(
        "subtitles are pictures or should be",
        r"subtitle encoding currently only possible from text to text",
        "subtitles_not_convertible",
    ),
    _cause(
        "a copy does not fit into the container",
        r"codec not currently supported in container|incompatible with output codec id"
        r"|\bonly vp8 or vp9 .*are supported",
        "copy_impossible",
    ),
    _cause(
        "copied frames have no usable times",
        r"packet with unknown timestamp|non monotonically increasing dts|first pts value must be set",
        "timestamps_unusable",
    ),
    _cause(
        "the codec cannot carry this size",
        r"(?:width|height) not divisible by 2.*|invalid width x height .*|image size is too small.*"
        r"|the specified picture size of .* is not valid .*|g_[wh] out of range .*|dimensions too large .*",
        "picture_not_encodable",
        _said,
    ),
    _cause(
        "the codec cannot carry this frame rate",
        r"timebase \S+ not supported by .* standard",
        "picture_not_encodable",
        lambda *_: {"reason": "There are too many frames in a second for it."},
    ),
    _cause(
        "the codec cannot carry these pixels",
        r"profile doesn't support .*",
        "picture_not_encodable",
        lambda match, _: {"reason": f"Its {match[0].strip()}."},
    ),
    _cause(
        "the codec cannot carry this sample rate",
        r"specified sample rate \d+ is not supported",
        "sound_not_encodable",
        _said,
    ),
    _cause(
        "the codec cannot carry these channels",
        r"specified channel layout '[^']*' is not supported|invalid channel layout [\w.()]+",
        "sound_not_encodable",
        _said,
    ),
    _cause(
        "the codec cannot carry this bit rate",
        r"bit rate \d+ bps is unsupported",
        "sound_not_encodable",
        _said,
    ),
    _cause(
        "a filter does not fit the picture",
        r"invalid too big or non positive size|error reinitializing filters|error initializing filters",
        "filter_failed",
    ),
    _cause("nothing lies in the part asked for", r"output file is empty", "nothing_to_write"),
)

# What a damaged source makes the tools say. It decides only where nothing else explains a failure.
DAMAGE = re.compile(
    r"invalid data found|error while decoding|corrupt|non-existing pps|no frame|missing picture|invalid nal"
    r"|ended prematurely|partial file|error splitting the input",
    re.IGNORECASE,
)
