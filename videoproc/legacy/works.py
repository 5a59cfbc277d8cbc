"""What the original made from a video, in today's words: operations, their parameters, and their state."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from engine.operations.convert import VideoFormat
from videoproc.legacy.records import LegacyVideo

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_DONE = frozenset({"completed", "complete", "done", "finished"})
_FAILED = frozenset({"failed", "error"})


class State(StrEnum):
    """How far the original came."""

    FINISHED = "finished"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that was asked for.

    `wishes` are parameters that may describe it today, the plainest first. `at` is when the original
    finished it or began, if it said so.
    """

    row: str
    label: str
    type: str
    filename: str
    container: str | None
    size: tuple[int, int] | None
    state: State
    wishes: tuple[Mapping[str, Any], ...]
    at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class BrokenWork:
    """An entry that says nothing we can act on."""

    row: str
    label: str
    reason: str


def works_of(video: LegacyVideo) -> Iterator[Work | BrokenWork]:
    """Everything that the record says was asked for."""
    if video.extracted_audio:
        yield Work(
            "audio",
            "audio",
            "extract_audio",
            "audio.aac",
            "aac",
            None,
            State.FINISHED,
            ({"format": "aac"},),
        )
    for key, entry in video.resizes.items():
        yield _resize(key, entry, video.extension)
    for key, entry in video.conversions.items():
        yield _conversion(key, entry)


def _resize(key: str, entry: Any, extension: str) -> Work | BrokenWork:
    label = f"resize {key!r}"
    found = _SIZE.fullmatch(key)
    if found is None:
        return BrokenWork("resizes", label, "is no size such as 800x600")
    if not isinstance(entry, dict):
        return BrokenWork("resizes", label, "its state is not an object")
    width, height = int(found[1]), int(found[2])
    box = {"width": width, "height": height}
    return Work(
        row="resizes",
        label=label,
        type="resize",
        filename=f"{key}.{extension}",
        container=None,
        size=(width, height),
        # The original forced the size, whatever the shape of the picture.
        wishes=(box, {**box, "upscale": True}, {**box, "fit": "stretch", "upscale": True}),
        **_progress(entry),
    )


def _conversion(key: str, entry: Any) -> Work | BrokenWork:
    label, name = f"conversion {key!r}", key.lower()
    if name not in set(VideoFormat):
        return BrokenWork("conversions", label, "is no format that can be made today")
    if not isinstance(entry, dict):
        return BrokenWork("conversions", label, "its state is not an object")
    return Work(
        row="conversions",
        label=label,
        type="convert",
        filename=f"converted.{key}",
        container=name,
        size=None,
        wishes=({"format": name},),
        **_progress(entry),
    )


def _progress(entry: Mapping[str, Any]) -> dict[str, Any]:
    moments = (_moment(entry.get(key)) for key in ("finishedAt", "timestamp", "startedAt"))
    return {
        "state": _state(entry),
        "at": next((moment for moment in moments if moment is not None), None),
        "error": _words(entry.get("error")),
    }


def _state(entry: Mapping[str, Any]) -> State:
    status = str(entry.get("status", ""))
    if entry.get("error") or status in _FAILED:
        return State.FAILED
    if entry.get("completed") is True or status in _DONE or entry.get("finishedAt"):
        return State.FINISHED
    plain = "status" not in entry and "completed" not in entry
    return State.FINISHED if plain and entry.get("processing") is False else State.UNFINISHED


def _words(error: Any) -> str:
    if isinstance(error, dict):
        error = error.get("message", error)
    return "" if not error else " ".join(str(error).encode(errors="replace").decode().split())[:500]


def _moment(value: Any) -> datetime | None:
    """A time in milliseconds since 1970 or in ISO form; None for anything else."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
