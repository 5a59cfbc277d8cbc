"""Reads lists of records out of JSON that may be damaged: what cannot be read is named, the rest is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BETWEEN = re.compile(r"[\s,\ufeff]*")
# Where the next record begins. The original never puts a list of objects into a record.
_NEXT_RECORD = re.compile(r"}\s*,?\s*(?={)")


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as JSON has it, and its place in the list, from 0."""

    index: int
    value: Any


@dataclass(frozen=True, slots=True)
class Damage:
    """A part that could not be read. Without an index it concerns the file."""

    index: int | None
    reason: str


def entries(content: bytes) -> Iterator[Entry | Damage]:
    """The members of a JSON list, or of JSON lines. After damage reading goes on with the next record."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Damage(None, f"not UTF-8 at byte {error.start}; the bytes that are not were replaced")
        text = content.decode("utf-8-sig", "replace")
    if not text.strip():
        yield Damage(None, "the file is empty")
        return
    yield from _Scan(text).run()


class _Scan:
    """One pass over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()
        self._position = 0

    def run(self) -> Iterator[Entry | Damage]:
        self._skip_to(0)
        listed = self._text.startswith("[", self._position)
        if listed:
            self._skip_to(self._position + 1)
        index = 0
        while self._position < len(self._text):
            if listed and self._text[self._position] == "]":
                if self._text[self._position + 1 :].strip():
                    yield Damage(None, "there is more text after the end of the list; it was not read")
                return
            found = self._record(index)
            yield found
            if isinstance(found, Damage) and not self._recovered():
                return
            index += 1
        if listed:
            yield Damage(None, "the file ends in the middle of the list")

    def _record(self, index: int) -> Entry | Damage:
        try:
            value, end = self._decoder.raw_decode(self._text, self._position)
        except json.JSONDecodeError as error:
            return Damage(index, f"not readable as JSON: {error.msg} at character {error.pos} of the file")
        except (ValueError, RecursionError) as error:
            return Damage(index, f"not readable as JSON: {error}")
        self._skip_to(end)
        return Entry(index, value)

    def _recovered(self) -> bool:
        following = _NEXT_RECORD.search(self._text, self._position)
        if following is not None:
            self._position = following.end()
        return following is not None

    def _skip_to(self, position: int) -> None:
        between = _BETWEEN.match(self._text, position)
        self._position = between.end() if between else position
