"""Videos of the original, with everything made from them."""

from __future__ import annotations

import contextlib
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import DataError, IntegrityError, transaction

from engine.control import Control
from jobs.services import operation_submit
from problems import Problem
from users.models import User
from videoproc.legacy import mapping
from videoproc.legacy.accounts import Accounts, Owner
from videoproc.legacy.models import LegacyRecord
from videoproc.legacy.names import unmangled
from videoproc.legacy.preparation import Decision, Preparation, Prepared, Result
from videoproc.legacy.reading import Damage, entries
from videoproc.legacy.records import LegacyVideo, checked
from videoproc.legacy.report import Ending as Column
from videoproc.legacy.report import Level, Report
from videoproc.legacy.sharing import SharedWork
from videoproc.legacy.tree import ImportRefused, Tree, changed_at
from videoproc.legacy.works import BrokenWork, Work, works_of
from videos.models import Operation, Video
from videos.services.imports import Ending, operation_import, video_import
from videos.services.outputs import PlacedOutput, outputs_place, outputs_unplace

_COLUMNS: dict[Decision, Column] = {
    Decision.ADOPT: "imported",
    Decision.FAILED: "imported",
    Decision.QUEUE: "queued",
    Decision.BROKEN: "broken",
}


@dataclass(frozen=True, slots=True)
class NewVideo:
    """A record that is not here yet. The order of `created_at` is the original's."""

    index: int
    record: LegacyVideo
    works: tuple[Work, ...]
    owner: Owner
    created_at: datetime

    @property
    def label(self) -> str:
        return f"{self.record.video_id} {self.record.name!r}"


class LibraryReader:
    """Reads `data/videos`; looks at the database and the folders, changes nothing."""

    def __init__(self, tree: Tree, accounts: Accounts, report: Report) -> None:
        self._tree = tree
        self._accounts = accounts
        self._report = report
        self._known = mapping.known(LegacyRecord.Kind.VIDEO)
        self._seen: dict[str, int] = {}
        self._found: list[tuple[int, LegacyVideo, tuple[Work, ...], Owner]] = []

    def read(self, content: bytes) -> list[NewVideo]:
        """The videos to import, oldest first: the original put the newest at the beginning."""
        for found in entries(content):
            if not isinstance(found, Damage):
                self._take(found.index, found.value)
            elif found.index is None:
                self._report.tell("broken", "videos", None, "", found.reason)
            else:
                self._report.broken("videos", "videos", found.index, "", found.reason)
        self._strays()
        return self._dated()

    def _take(self, index: int, value: object) -> None:
        record, complaints = checked(LegacyVideo, value)
        reason = "; ".join(complaints) if record is None else self._refusal(record)
        if record is None or reason:
            label = "" if record is None else record.video_id
            self._report.broken("videos", "videos", index, label, reason)
            return
        self._seen[record.video_id] = index
        owner = self._accounts.owners[record.user_id]
        known = mapping.video_key(record, owner.key) in self._known
        if not known:
            for complaint in complaints:
                self._report.tell("note", "videos", index, record.video_id, complaint)
        works = self._works(index, record, known=known)
        if known:
            self._report.count("videos", "already here")
        else:
            self._found.append((index, record, works, owner))

    def _refusal(self, record: LegacyVideo) -> str:
        if record.video_id in self._seen:
            return f"the same videoId as record {self._seen[record.video_id]}"
        if record.user_id not in self._accounts.owners:
            return f"user {record.user_id} is not among the users"
        return ""

    def _works(self, index: int, record: LegacyVideo, *, known: bool) -> tuple[Work, ...]:
        works: list[Work] = []
        for work in works_of(record):
            if isinstance(work, BrokenWork):
                what = f"{record.video_id} {work.label}"
                self._report.broken(work.row, "videos", index, what, work.reason)
            elif known:
                self._report.count(work.row, "already here")
            else:
                works.append(work)
        return tuple(works)

    def _dated(self) -> list[NewVideo]:
        """With the date of each, which the original did not keep.

        A video is no younger than its file, than anything made from it, or than the next one.
        """
        dated: list[NewVideo] = []
        latest = datetime.now(UTC)
        for index, record, works, owner in self._found:
            latest = min([latest, *self._bounds(record, works)])
            dated.append(NewVideo(index, record, works, owner, latest))
            latest -= timedelta(milliseconds=1)
        return dated[::-1]

    def _bounds(self, record: LegacyVideo, works: tuple[Work, ...]) -> Iterator[datetime]:
        yield from (work.at for work in works if work.at is not None and work.at.timestamp() > 0)
        with contextlib.suppress(Problem, OSError):
            yield changed_at(self._tree.original(record.video_id, record.extension))

    def _strays(self) -> None:
        """Files that no record speaks of: they stay where they are and in the backup."""
        for folder in self._tree.folders():
            if folder not in self._seen:
                reason = "no record that could be imported speaks of this folder; it is in the backup only"
                self._report.tell("skipped", f"storage/{folder}", None, "", reason)
        for _, record, works, _ in self._found:
            named = {"thumbnail.jpg", *(work.filename for work in works)}
            for path in self._tree.files(record.video_id):
                if path.name not in named and not path.name.startswith("original."):
                    place = f"storage/{record.video_id}/{path.name}"
                    reason = "no record speaks of this file; it is in the backup only"
                    self._report.tell("skipped", place, None, "", reason)


class LibraryWriter:
    """Prepares videos side by side and writes them one by one, each in a transaction."""

    def __init__(self, tree: Tree, report: Report, *, scratch: Path | None, workers: int) -> None:
        self._tree = tree
        self._report = report
        self._scratch = scratch
        self._workers = workers
        self._control = Control()
        self._shared = SharedWork()
        self._owners: dict[str, User] = {}

    def write(self, videos: list[NewVideo], on_done: Callable[[int, int], None]) -> None:
        """All of them. Without scratch nothing is written: a dry run."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="import") as pool:
            try:
                for done, (video, future) in enumerate(self._prepared(pool, videos), 1):
                    self._finish(video, future)
                    on_done(done, len(videos))
            except BaseException:
                self._control.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def _prepared(
        self, pool: ThreadPoolExecutor, videos: Iterable[NewVideo]
    ) -> Iterator[tuple[NewVideo, Future[Prepared]]]:
        """In order, and only a few ahead, so that neither memory nor scratch grows with the library."""
        waiting: deque[tuple[NewVideo, Future[Prepared]]] = deque()
        for video in videos:
            waiting.append((video, pool.submit(self._preparation(video).run)))
            if len(waiting) > 2 * self._workers:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    def _preparation(self, video: NewVideo) -> Preparation:
        return Preparation(
            tree=self._tree,
            record=video.record,
            works=video.works,
            created_at=video.created_at,
            folder=None if self._scratch is None else self._scratch / video.record.video_id,
            control=self._control,
            shared=self._shared,
        )

    def _finish(self, video: NewVideo, future: Future[Prepared]) -> None:
        try:
            prepared = future.result()
            if prepared.source is not None:
                self._write(video, prepared, prepared.source)
        except (Problem, ImportRefused, OSError, DataError, IntegrityError) as error:
            self._broken(video, str(error))
        else:
            self._counted(video, prepared)
        finally:
            if self._scratch is not None:
                shutil.rmtree(self._scratch / video.record.video_id, ignore_errors=True)

    def _broken(self, video: NewVideo, reason: str) -> None:
        self._report.broken("videos", "videos", video.index, video.label, reason)
        for work in video.works:
            what = f"{video.record.video_id} {work.label}"
            self._report.broken(work.row, "videos", video.index, what, "its video was not imported")

    def _counted(self, video: NewVideo, prepared: Prepared) -> None:
        self._report.count("videos", "imported")
        if self._scratch is not None:
            self._report.bytes_copied += prepared.size
        if unmangled(video.record.name) is not None:
            reason = f"the name was damaged (UTF-8 read as Latin-1) and is {_name(video.record)!r} now"
            self._report.tell("note", "videos", video.index, video.label, reason)
        for result in prepared.results:
            column = _COLUMNS[result.decision]
            self._report.count(result.work.row, column)
            if result.reason:
                what = f"{video.record.video_id} {result.work.label}"
                level: Level = "broken" if result.decision is Decision.BROKEN else "note"
                self._report.tell(level, "videos", video.index, what, result.reason)

    def _write(self, video: NewVideo, prepared: Prepared, source: Path) -> None:
        owner = self._owner(video.owner)
        placed = {
            result.fingerprint: outputs_place(artifacts=[result.artifact])
            for result in prepared.results
            if result.artifact is not None
        }
        try:
            with transaction.atomic():
                row = video_import(
                    owner=owner,
                    name=_name(video.record),
                    original_filename=f"{_name(video.record)}.{video.record.extension}",
                    source=source,
                    media=prepared.media,
                    sha256=prepared.sha256,
                    thumbnail=prepared.thumbnail,
                    created_at=video.created_at,
                )
                written = [
                    made
                    for result in prepared.results
                    if (made := _write_result(row, owner, result, placed.get(result.fingerprint, ())))
                ]
                mapping.remember(
                    kind=LegacyRecord.Kind.VIDEO,
                    key=mapping.video_key(video.record, video.owner.key),
                    label=video.label,
                    object_id=row.id,
                    run=self._report.run,
                    made=mapping.made(
                        updated_at=row.updated_at,
                        operations=[operation for operation, _ in written],
                        jobs=[job for _, job in written if job],
                    ),
                )
        except BaseException:
            for outputs in placed.values():
                outputs_unplace(placed=outputs)
            raise

    def _owner(self, owner: Owner) -> User:
        if owner.key not in self._owners:
            user = User.objects.select_related("tier").filter(id=owner.id).first() if owner.id else None
            if user is None:
                raise ImportRefused("its owner moved in earlier and has been deleted here since")
            self._owners[owner.key] = user
        return self._owners[owner.key]


def _write_result(
    video: Video, owner: User, result: Result, placed: tuple[PlacedOutput, ...]
) -> tuple[str, str | None] | None:
    """Ids of the operation and of its job, as far as they were made."""
    if result.decision is Decision.BROKEN:
        return None
    if result.decision is Decision.QUEUE:
        submission = operation_submit(
            viewer=owner, video_id=video.id, type=result.work.type, parameters=result.parameters
        )
        return submission.operation.id, submission.job.id if submission.job else None
    failed = result.decision is Decision.FAILED
    operation = operation_import(
        video=video,
        type=result.work.type,
        parameters=result.parameters,
        fingerprint=result.fingerprint,
        ending=Ending(
            status=Operation.Status.FAILED if failed else Operation.Status.COMPLETED,
            created_at=result.at,
            error_code="encoder_failed" if failed else "",
            error_message=result.reason if failed else "",
        ),
        placed=placed,
    )
    return operation.id, None


def _name(record: LegacyVideo) -> str:
    """The name as it was meant; the videoId where there is none."""
    return unmangled(record.name) or record.name or record.video_id
