"""Subtitles as plain words with times: read from SRT or ASS, cleaned, and written as SRT or ASS.

What comes in may carry commands for whoever shows it: ASS overrides that blur and turn for hours, drawings,
tags of HTML. Nothing of that goes through. A cue is text and two times here, and there are never so many at
once, or so long ones, that drawing them would be real work.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

MOST_CUES = 20_000
_MOST_AT_ONCE = 8
_MOST_LINES = 6
_LONGEST_LINE = 200
_LONGEST_TIME = 86_400.0

_TIMES = re.compile(
    r"^\s*(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})", re.MULTILINE
)
_DIALOGUE = re.compile(
    r"^Dialogue:[^,\n]*,\s*(\d{1,3}):(\d\d):(\d\d)\.(\d\d),\s*(\d{1,3}):(\d\d):(\d\d)\.(\d\d),"
    r"(?:[^,\n]*,){6}(.*)$",
    re.MULTILINE,
)
# From the command that begins a drawing to the one that ends it: its numbers are no words.
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}.*?(?=\{[^{}]*\\p0|$)", re.MULTILINE)
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_BRACES = re.compile(r"\{[^{}]*\}")
_TAG = re.compile(r"</?[A-Za-z!?][^<>]*>")
_LEFT_OPEN = re.compile(r"<(?=[A-Za-z!?/])")


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines shown from `start` until `end`, in seconds."""

    start: float
    end: float
    lines: tuple[str, ...]


def cues_of(text: str) -> list[Cue]:
    """The cues of an SRT or ASS file in their order, cleaned; those that cannot be shown are left out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    raw = _from_ass(text) if text.lstrip("\ufeff \n").startswith("[Script Info]") else _from_srt(text)
    kept = [cue for cue in raw if cue.lines and cue.start < cue.end <= _LONGEST_TIME]
    return _not_too_many(sorted(kept, key=lambda cue: (cue.start, cue.end)))


def shown_until(cues: Iterable[Cue], until: float) -> list[Cue]:
    """The cues of a video that is `until` seconds long."""
    return [replace(cue, end=min(cue.end, until)) for cue in cues if cue.start < until]


def srt_of(cues: Iterable[Cue]) -> str:
    """An SRT file."""
    blocks = (
        "\n".join([str(number), f"{_clock(cue.start, ',', 3)} --> {_clock(cue.end, ',', 3)}", *cue.lines])
        for number, cue in enumerate(cues, start=1)
    )
    return "".join(f"{block}\n\n" for block in blocks)


def ass_of(cues: Iterable[Cue], *, picture: tuple[int, int], size: int, brightness: float = 1.0) -> str:
    """An ASS file for pictures of this width and height: white letters with a dark edge, at the bottom.

    No text of a cue can act as a command: backslashes are kept from what follows them by a mark that is not
    shown, braces are escaped.
    """
    width, height = picture
    margin = max(2, round(height * 0.04))
    white = f"&H00{round(255 * brightness):02X}" + f"{round(255 * brightness):02X}" * 2
    edge = max(1.0, round(size / 16, 1))
    head = f"""[Script Info]
ScriptType: v4.00+
PlayResX: {width}
PlayResY: {height}
WrapStyle: 0
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, BackColour, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Words,Open Sans,{size},{white},&H30000000,&H00000000,1,{edge:g},0,2,{margin},{margin},{margin},1

[Events]
Format: Layer, Start, End, Style, Text
"""
    lines = (
        f"Dialogue: 0,{_clock(cue.start, '.', 2)},{_clock(cue.end, '.', 2)},Words,"
        + r"\N".join(map(_escaped, cue.lines))
        for cue in cues
    )
    return head + "".join(f"{line}\n" for line in lines)


def _escaped(line: str) -> str:
    apart = line.replace("\\", "\\\u2060")
    return apart.replace("{", r"\{").replace("}", r"\}")


def _from_srt(text: str) -> Iterable[Cue]:
    found = list(_TIMES.finditer(text))[: 2 * MOST_CUES]
    ends = [match.start() for match in found[1:]] + [len(text)]
    for match, end in zip(found, ends, strict=False):
        # The number of the next cue stands after an empty line.
        words = re.split(r"\n[ \t]*(?=\n)", text[match.end() : end].partition("\n")[2], maxsplit=1)[0]
        yield Cue(_seconds(match, 1), _seconds(match, 5), _lines(_OVERRIDE, words))


def _from_ass(text: str) -> Iterable[Cue]:
    for number, match in enumerate(_DIALOGUE.finditer(text)):
        if number >= 2 * MOST_CUES:
            return
        words = _DRAWING.sub("", match[9])
        words = re.sub(r"\\[Nn]", "\n", _stripped(_BRACES, words)).replace(r"\h", " ")
        yield Cue(_seconds(match, 1), _seconds(match, 5), _lines(_BRACES, words))


def _seconds(match: re.Match[str], first: int) -> float:
    hours, minutes, seconds, part = match.group(first, first + 1, first + 2, first + 3)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{part}")


def _lines(commands: re.Pattern[str], words: str) -> tuple[str, ...]:
    words = _stripped(_TAG, _stripped(commands, words))
    words = _LEFT_OPEN.sub("\u2039", words).replace("-->", "→")
    lines = (" ".join(_printable(line).split()) for line in words.split("\n"))
    return tuple([line[:_LONGEST_LINE].strip() for line in lines if line][:_MOST_LINES])


def _stripped(pattern: re.Pattern[str], text: str) -> str:
    """Without all that matches, also what only matches once something inside it is gone."""
    text = text[: 20 * _LONGEST_LINE]
    while (shorter := pattern.sub("", text)) != text:
        text = shorter
    return text


def _printable(line: str) -> str:
    # Marks that join letters or turn the direction of text are needed by many scripts.
    return "".join(
        mark if mark.isprintable() or mark in "\u200c\u200d\u200e\u200f\u202a\u202b\u202c" else " "
        for mark in line
    )


def _not_too_many(cues: Iterable[Cue]) -> list[Cue]:
    kept: list[Cue] = []
    shown: list[float] = []
    for cue in cues:
        while shown and shown[0] <= cue.start:
            heapq.heappop(shown)
        if len(shown) < _MOST_AT_ONCE and len(kept) < MOST_CUES:
            heapq.heappush(shown, cue.end)
            kept.append(cue)
    return kept


def _clock(seconds: float, point: str, digits: int) -> str:
    units = round(seconds * 10**digits)
    whole, part = divmod(units, 10**digits)
    hours, minutes = divmod(whole // 60, 60)
    wide = 2 if digits == 3 else 1  # noqa: PLR2004 - SRT counts in milliseconds and writes hours with two digits
    return f"{hours:0{wide}}:{minutes:02}:{whole % 60:02}{point}{part:0{digits}}"
