"""Everything about one video that takes time: copy, inspect, check the results. Touches no database.

Runs in threads that live as long as the import. A dry run looks at the same things where they are and
copies nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine import catalogue
from engine.adoption import Claimed, adopt, examine
from engine.control import Control
from engine.intake import intake
from engine.probe import probe
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.results import Artifact
from engine.whitelist import UPLOADS
from problems import Problem
from videoproc.legacy.records import LegacyVideo
from videoproc.legacy.sharing import SharedWork, copied
from videoproc.legacy.tree import Tree, changed_at
from videoproc.legacy.works import State, Work
from videos.storage import room_check

# Sides come out even, and old results may have pixels that are not quite square.
_SLACK = 2
# One process of ffmpeg for each import thread is enough: there is always another video.
_LIMITS = Limits(threads=1)


class Decision(StrEnum):
    """What becomes of a work."""

    ADOPT = "adopt"
    FAILED = "failed"
    QUEUE = "queue"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Result:
    """A work, decided. `reason` says why where it is not obvious. `artifact` comes with ADOPT."""

    work: Work
    decision: Decision
    parameters: Mapping[str, Any]
    fingerprint: str
    at: datetime
    reason: str = ""
    artifact: Artifact | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A video that may be written. Without `source` it was looked at only."""

    media: MediaInfo
    sha256: str
    source: Path | None
    thumbnail: Path | None
    results: tuple[Result, ...]
    size: int


@dataclass(frozen=True, slots=True)
class _Inspected:
    """What all files of one content have in common. The thumbnail is its JPEG."""

    media: MediaInfo
    thumbnail: bytes | None


@dataclass(frozen=True, slots=True)
class Preparation:
    """One video to be looked at. `folder` is scratch of its own; None in a dry run."""

    tree: Tree
    record: LegacyVideo
    works: tuple[Work, ...]
    created_at: datetime
    folder: Path | None
    control: Control
    shared: SharedWork

    def run(self) -> Prepared:
        """Raises Problem with what is wrong with the original, OSError, and Stopped."""
        origin = self.tree.original(self.record.video_id, self.record.extension)
        if self.folder is None:
            media = probe(origin, reading=UPLOADS, limits=_LIMITS, control=self.control).media
            if media.main_video is None:
                raise Problem("no_video_stream")
            return Prepared(media, "", None, None, self._results(media), media.size)
        room_check(origin.stat().st_size)
        self.folder.mkdir()
        source, thumbnail = self.folder / "source", self.folder / "thumbnail.jpg"
        sha256 = copied(origin, source)
        found = self.shared.get(sha256, lambda: self._inspected(source, sha256))
        if found.thumbnail is not None:
            thumbnail.write_bytes(found.thumbnail)
        results = self._results(found.media)
        adopted = sum(result.artifact.size for result in results if result.artifact)
        return Prepared(
            media=found.media,
            sha256=sha256,
            source=source,
            thumbnail=thumbnail if found.thumbnail is not None else None,
            results=results,
            size=found.media.size + adopted,
        )

    def _inspected(self, source: Path, sha256: str) -> _Inspected:
        found = intake(
            source,
            source.with_name("intake"),
            limits=_LIMITS,
            on_progress=lambda _: None,
            control=self.control,
            sha256=sha256,
        )
        return _Inspected(found.media, found.thumbnail.path.read_bytes() if found.thumbnail else None)

    def _results(self, media: MediaInfo) -> tuple[Result, ...]:
        results: list[Result] = []
        seen: set[str] = set()
        for number, work in enumerate(self.works):
            result = self._result(work, media, number)
            if result.fingerprint in seen:
                reason = "the same as another entry of this video"
                result = self._decided(work, Decision.BROKEN, {}, reason=reason)
            seen.add(result.fingerprint)
            results.append(result)
        return tuple(results)

    def _result(self, work: Work, media: MediaInfo, number: int) -> Result:
        try:
            if work.state is State.FAILED:
                reason = f"The original reported: {work.error or 'no reason'}"
                return self._decided(work, Decision.FAILED, _wish(work, media, work.size), reason=reason)
            if work.state is State.UNFINISHED:
                return self._queued(work, media, "it was not finished")
            return self._finished(work, media, number)
        except Problem as problem:
            return self._decided(work, Decision.BROKEN, {}, reason=_words(problem))

    def _finished(self, work: Work, media: MediaInfo, number: int) -> Result:
        path = self.tree.result(self.record.video_id, work.filename)
        if path is None:
            return self._queued(work, media, "it is said to be finished, but there is no file")
        claimed = Claimed(
            role="audio" if work.type == "extract_audio" else "video",
            container=work.container,
            size=work.size,
            duration=media.duration,
        )
        artifact: Artifact | None = None
        try:
            if self.folder is None:
                found: MediaInfo | None = examine(path, claimed, limits=_LIMITS, control=self.control)
            else:
                copy = self.folder / f"result-{number}"
                sha256 = copied(path, copy)
                known = self.shared.get(
                    (sha256, claimed),
                    lambda: adopt(copy, claimed, limits=_LIMITS, control=self.control, sha256=sha256),
                )
                artifact = known.model_copy(update={"path": copy})
                found = artifact.media_info
        except Problem as problem:
            return self._queued(work, media, f"its file is not usable: {problem.detail}")
        picture = found.main_video if found else None
        size = (picture.display_width, picture.display_height) if picture else work.size
        wish = _wish(work, media, size)
        return self._decided(work, Decision.ADOPT, wish, at=work.at or changed_at(path), artifact=artifact)

    def _queued(self, work: Work, media: MediaInfo, why: str) -> Result:
        wish = _wish(work, media, work.size)
        catalogue.plan_for(work.type, catalogue.parameters_for(work.type, wish), media)
        return self._decided(work, Decision.QUEUE, wish, reason=f"{why}; it is made again")

    def _decided(
        self,
        work: Work,
        decision: Decision,
        wish: Mapping[str, Any],
        *,
        reason: str = "",
        at: datetime | None = None,
        artifact: Artifact | None = None,
    ) -> Result:
        moment = max(at or work.at or self.created_at, self.created_at)
        if decision is Decision.BROKEN:
            return Result(work, decision, {}, f"broken {work.label}", moment, reason)
        parameters = catalogue.parameters_for(work.type, wish)
        return Result(
            work=work,
            decision=decision,
            parameters=catalogue.normalised(parameters),
            fingerprint=catalogue.fingerprint(work.type, parameters),
            at=moment,
            reason=reason,
            artifact=artifact,
        )


def _wish(work: Work, media: MediaInfo, size: tuple[int, int] | None) -> Mapping[str, Any]:
    """The plainest parameters that make today what was made then, so that asking for it again finds it.

    Raises Problem where none of them is allowed.
    """
    for wish in work.wishes[:-1]:
        parameters = catalogue.parameters_for(work.type, wish)
        planned = catalogue.plan_for(work.type, parameters, media).outputs[0].expectation.streams[0]
        if size is not None and _close((planned.width or 0, planned.height or 0), size):
            return wish
    catalogue.parameters_for(work.type, work.wishes[-1])
    return work.wishes[-1]


def _close(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return all(abs(mine - theirs) <= _SLACK for mine, theirs in zip(one, other, strict=True))


def _words(problem: Problem) -> str:
    return " ".join([problem.detail, *(f"{error.pointer}: {error.detail}" for error in problem.errors)])
