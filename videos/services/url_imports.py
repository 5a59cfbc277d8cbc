"""Imports from web addresses: asked for, claimed, tried again, ended. `videos.fetching` moves the bytes.

A claim is a lease with a fresh token; every later change names the token, so a process that lost its lease
changes nothing.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Now

from problems import Problem
from users.models import User
from videos import outbound
from videos.import_models import UrlImport
from videos.models import Upload
from videos.services.reservations import room_check
from videos.services.uploads import upload_create

OPEN_MOST = 100
# Of one owner at once, so that nobody takes all the places.
AT_ONCE_EACH = 2
# Renewed every few seconds; it outlasts the longest silence and the fsync after it.
LEASE = timedelta(seconds=90)
# Pauses after the first, second, … try that failed; after the last of them one more try.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (2, 10, 60, 300))
_OPEN = [UrlImport.Status.WAITING, UrlImport.Status.ACTIVE]


@transaction.atomic
def import_create(*, owner: User, url: str, name: str = "") -> UrlImport:
    """Ask for the file at `url`; `name` is what the video shall be called.

    Raises `import_refused` where the address cannot be one, `too_many_imports`, `quota_exceeded` where
    nothing fits any more, and `storage_full`. How large the file is, and whether it fits, is known when the
    other side says so.
    """
    try:
        outbound.url_check(url)
    except outbound.Refused as refused:
        raise Problem("import_refused", reason=str(refused)) from refused
    owner = User.objects.select_for_update(of=["self"], no_key=True).select_related("tier").get(pk=owner.pk)
    if UrlImport.objects.filter(owner=owner, status__in=_OPEN).count() >= OPEN_MOST:
        raise Problem("too_many_imports", limit=OPEN_MOST)
    # How much will come is not known yet, but something will.
    room_check(owner=owner, needed=1)
    filename = PurePosixPath(unquote(urlsplit(url).path)).name
    upload = upload_create(owner=owner, length=None, filename=filename, title=name)
    return UrlImport.objects.create(owner=owner, upload=upload, url=url)


@transaction.atomic
def import_retry(*, row: UrlImport) -> UrlImport:
    """Let a failed import begin its tries anew. Raises `conflict` where it did not fail."""
    locked = UrlImport.objects.select_for_update().filter(pk=row.pk, status=UrlImport.Status.FAILED).first()
    if locked is None:
        raise Problem("conflict")
    locked.status, locked.attempt, locked.run_after = UrlImport.Status.WAITING, 0, Now()
    locked.error_code = locked.error_message = ""
    locked.save(update_fields=["status", "attempt", "run_after", "error_code", "error_message"])
    return locked


@transaction.atomic
def import_claim() -> UrlImport | None:
    """The next import, leased to the caller, also one whose process died; None where none may begin now."""
    due = Q(status=UrlImport.Status.WAITING, run_after__lte=Now()) | Q(
        status=UrlImport.Status.ACTIVE, lease_until__lt=Now()
    )
    busy = UrlImport.objects.filter(status=UrlImport.Status.ACTIVE, lease_until__gte=Now())
    full = busy.values("owner").annotate(count=Count("pk")).filter(count__gte=AT_ONCE_EACH)
    rows = UrlImport.objects.select_for_update(skip_locked=True, of=("self",)).filter(due)
    row = rows.exclude(owner__in=full.values("owner")).order_by("run_after", "id").first()
    if row is None:
        return None
    row.status, row.attempt = UrlImport.Status.ACTIVE, row.attempt + 1
    row.lease_token = uuid.uuid4()
    row.lease_until = Now() + LEASE
    row.save(update_fields=["status", "attempt", "lease_token", "lease_until"])
    return UrlImport.objects.select_related("upload__owner__tier").get(pk=row.pk)


def import_renew(*, row: UrlImport) -> bool:
    """Keep the lease. False where it is lost: cancelled, or taken over by another process."""
    return bool(_held(row).update(lease_until=Now() + LEASE))


def import_note(*, row: UrlImport, validator: str, filename: str = "") -> None:
    """Remember by what the other side knows the bytes that arrive, and the file's name if it told one."""
    _held(row).update(validator=validator[:300])
    if filename:
        Upload.objects.filter(pk=row.upload_id).update(filename=filename)


def import_done(*, row: UrlImport) -> None:
    """The video is made."""
    _held(row).update(status=UrlImport.Status.DONE, lease_token=None, lease_until=None)


def import_hand_back(*, row: UrlImport) -> None:
    """This process ends; the next goes on. The try does not count."""
    _held(row).update(
        status=UrlImport.Status.WAITING,
        lease_token=None,
        lease_until=None,
        attempt=F("attempt") - 1,
        run_after=Now(),
    )


def import_fail(*, row: UrlImport, problem: Problem) -> None:
    """A try failed: another one follows where that may help, until the tries are used up."""
    again = problem.retryable and row.attempt <= len(PAUSES)
    _held(row).update(
        status=UrlImport.Status.WAITING if again else UrlImport.Status.FAILED,
        lease_token=None,
        lease_until=None,
        error_code=problem.code,
        error_message=problem.detail,
        **({"run_after": Now() + PAUSES[row.attempt - 1]} if again else {}),
    )


def _held(row: UrlImport) -> QuerySet[UrlImport]:
    return UrlImport.objects.filter(pk=row.pk, lease_token=row.lease_token)
