"""The way back: takes what one run made out again, except what somebody has changed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import CASCADE, PROTECT, RESTRICT, Count, ForeignObjectRel, Max, Min, Model, Q, QuerySet

from jobs.models import Job, Step
from jobs.workspace import import_folder
from users.models import ApiToken, IdempotencyKey, SocketTicket, User
from users.services import LOGIN_TOKEN_NAME, user_delete
from videoproc.legacy.models import LegacyRecord
from videoproc.legacy.tree import ImportRefused
from videos import storage
from videos.models import Operation, Output, Video
from videos.reservation_models import Reservation

OnProgress = Callable[[str, int, int], None]
# Traces of signing in, which change nothing, and what is held for operations, which are looked at themselves.
_PASSING: Mapping[type[Model], Q] = {
    UserSession: Q(),
    SocketTicket: Q(),
    IdempotencyKey: Q(),
    EmailAddress: Q(),
    ApiToken: Q(name=LOGIN_TOKEN_NAME),
    Reservation: Q(),
}
_NEEDED = (CASCADE, PROTECT, RESTRICT)
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Run:
    """One import, as far as what it made has not been taken back."""

    run: str
    began: datetime
    ended: datetime
    users: int
    videos: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that stays, and why."""

    kind: str
    id: str
    label: str
    reason: str


@dataclass(slots=True)
class UndoReport:
    """What went and what stays."""

    run: str
    dry_run: bool
    removed: Counter[str] = field(default_factory=Counter)
    kept: list[Kept] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        kept = [{"kind": k.kind, "id": k.id, "label": k.label, "reason": k.reason} for k in self.kept]
        return {"run": self.run, "dry_run": self.dry_run, "removed": dict(self.removed), "kept": kept}

    def as_text(self) -> str:
        lines = [f"Taking back run {self.run}" + (" (dry run)" if self.dry_run else "")]
        if self.kept:
            lines += ["", "Kept:"]
            lines += [f"  {kept.kind} {kept.label} ({kept.id}): {kept.reason}" for kept in self.kept]
        head = "Nothing was written. This is what would be removed:" if self.dry_run else "Removed:"
        counts = [f"  {name}: {self.removed[name]}" for name in _COUNTED]
        return "\n".join([*lines, "", head, *counts])


_COUNTED = ("users", "videos", "operations", "outputs", "jobs", "files")


def runs() -> list[Run]:
    """Every run that something is left of, newest first."""
    found = (
        LegacyRecord.objects.values("run")
        .annotate(
            began=Min("imported_at"),
            ended=Max("imported_at"),
            users=Count("id", filter=Q(kind=LegacyRecord.Kind.USER)),
            videos=Count("id", filter=Q(kind=LegacyRecord.Kind.VIDEO)),
        )
        .order_by("-began")
    )
    return [Run(**row) for row in found]


def run_undo(run: str, *, dry_run: bool, on_progress: OnProgress) -> UndoReport:
    """Remove what this run made: rows and files. Raises ImportRefused.

    Each video, and then each account, goes in a transaction of its own, and with it the note that it has
    moved in: a later import brings it again. What somebody has changed, used for more work or deleted since
    stays as it is, and so does its note. Stopped in between, the next call goes on.
    """
    if not LegacyRecord.objects.filter(run=run).exists():
        known = ", ".join(known.run for known in runs()[:5]) or "none"
        raise ImportRefused(f"Nothing is left of a run {run}. Runs there are: {known}")
    report = UndoReport(run, dry_run)
    if dry_run:
        _Undo(report, on_progress).run()
        return report
    try:
        with import_folder():
            _Undo(report, on_progress).run()
    except BlockingIOError:
        raise ImportRefused("Another import is running.") from None
    return report


class _Undo:
    """One pass over the notes of a run."""

    def __init__(self, report: UndoReport, on_progress: OnProgress) -> None:
        self._report = report
        self._on_progress = on_progress
        # What a dry run would have removed before it comes to the accounts, by owner.
        self._videos: dict[str, list[str]] = {}
        self._jobs: dict[str, list[str]] = {}

    def run(self) -> None:
        for kind, take in (
            (LegacyRecord.Kind.VIDEO, self._video),
            (LegacyRecord.Kind.USER, self._user),
        ):
            total = LegacyRecord.objects.filter(run=self._report.run, kind=kind).count()
            for done, record in enumerate(self._records(kind), 1):
                with transaction.atomic():
                    take(record)
                self._on_progress(f"{kind.value}s", done, total)

    def _records(self, kind: LegacyRecord.Kind) -> Iterator[LegacyRecord]:
        """The newest first, a few at a time."""
        notes = LegacyRecord.objects.filter(run=self._report.run, kind=kind).order_by("-id")
        batch = list(notes[:_BATCH])
        while batch:
            last = batch[-1].id  # which a note that is removed forgets
            yield from batch
            batch = list(notes.filter(id__lt=last)[:_BATCH])

    def _kept(self, record: LegacyRecord, reason: str) -> None:
        self._report.kept.append(Kept(record.kind, record.object_id, record.label, reason))

    def _video(self, record: LegacyRecord) -> None:
        # Whoever wants another operation on it needs this row too, so nothing is added behind our back.
        video = Video.objects.select_for_update(of=("self",)).filter(pk=record.object_id).first()
        operations, jobs = _noted(record, "operations"), _noted(record, "jobs")
        outputs = [output.pk for output in Output.objects.filter(operation__pk__in=operations).only("pk")]
        reason = _difference(record, video) or _used(video, operations, jobs, outputs)
        if video is None:
            self._jobs_remove(jobs)
        if video is None or reason:
            self._kept(record, reason)
            return
        self._jobs_remove(jobs)
        self._videos.setdefault(video.owner_id, []).append(video.pk)
        self._report.removed.update(
            videos=1,
            operations=Operation.objects.filter(pk__in=operations).count(),
            outputs=len(outputs),
            files=len(outputs) + 1 + video.has_thumbnail,
        )
        if self._report.dry_run:
            return
        video.delete()
        record.delete()
        transaction.on_commit(lambda: _discard(record.object_id, outputs))

    def _jobs_remove(self, ids: list[str]) -> None:
        jobs = Job.objects.filter(pk__in=ids)
        owners = [job.owner_id for job in jobs.only("owner_id")]
        for owner in owners:
            self._jobs.setdefault(owner, []).extend(ids)
        self._report.removed["jobs"] += len(owners)
        if not self._report.dry_run:
            jobs.delete()

    def _user(self, record: LegacyRecord) -> None:
        user = User.objects.select_for_update(of=("self",)).filter(pk=record.object_id).first()
        reason = _difference(record, user)
        if user is not None and not reason:
            jobs = self._jobs.get(user.pk, [])
            gone = {
                Video: Q(pk__in=self._videos.get(user.pk, [])),
                Job: Q(pk__in=jobs),
                Step: Q(job__in=jobs),
            }
            reason = _more(User, [user.pk], {**_PASSING, **gone})
        if user is None or reason:
            self._kept(record, reason)
            return
        self._report.removed["users"] += 1
        if not self._report.dry_run:
            user_delete(user=user)
            record.delete()


def _noted(record: LegacyRecord, name: str) -> list[str]:
    return list(record.made[name]) if record.made else []


def _difference(record: LegacyRecord, row: User | Video | None) -> str:
    """Why a row is not as the import left it; empty where it is."""
    if row is None:
        return "has been deleted here since; the note stays, so that no import brings it back"
    if record.made is None:
        return "was imported by a version that did not note how it looked"
    if isinstance(row, Video) and row.deleted_at is not None:
        return "is in the trash"
    if row.updated_at.isoformat() != record.made["updated_at"]:
        return f"was changed on {row.updated_at:%Y-%m-%d at %H:%M:%S} UTC"
    return ""


def _used(video: Video | None, operations: list[str], jobs: list[str], outputs: list[str]) -> str:
    """What has been done with a video since; empty where nothing has."""
    if video is None:
        return ""
    later = Job.objects.filter(Q(video=video) | Q(operation__video=video)).exclude(pk__in=jobs)
    if later.exists():
        return "work was asked for since"
    return (
        _more(Video, [video.pk], {Operation: Q(pk__in=operations)})
        or _more(Operation, operations, {Output: Q(pk__in=outputs), Reservation: Q()})
        or _more(Output, outputs, {})
    )


def _more(model: type[Model], ids: Iterable[str], expected: Mapping[type[Model], Q]) -> str:
    """What would be lost with these rows that is not expected, as words; whichever room it belongs to."""
    for relation in model._meta.get_fields(include_hidden=True):  # noqa: SLF001 - Django documents it
        if not isinstance(relation, ForeignObjectRel) or relation.on_delete not in _NEEDED:
            continue
        related: type[Model] = relation.related_model
        rows = _rows_of(related).filter(**{f"{relation.field.name}__in": list(ids)})
        if related in expected:
            known = expected[related]
            rows = rows.exclude(known) if known else rows.none()
        count = rows.count()
        if count:
            what = related._meta.verbose_name_plural  # noqa: SLF001 - the same
            return f"has {count} {what} that the import did not make"
    return ""


def _rows_of(model: type[Model]) -> QuerySet[Model]:
    return model._base_manager.all()  # noqa: SLF001 - documented; a default manager may hide rows


def _discard(video_id: str, outputs: Iterable[str]) -> None:
    storage.video_discard(video_id)
    for output_id in outputs:
        storage.output_discard(output_id)
