"""Room for what is still to come: checked before work starts, held in the database until it ends.

Two things are held. Of an upload all bytes that it announced count against its owner from the beginning,
and those that have not arrived against the disk. Of an operation both count what its plan expects.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from problems import Problem
from users.models import User
from videos import storage
from videos.models import Operation, Reservation, Upload
from videos.selectors import storage_reserved, storage_usage

_LIVE = (Operation.Status.PENDING, Operation.Status.PROCESSING)


@dataclass(frozen=True, slots=True)
class Held:
    """What counts against an owner's quota: bytes that are stored or announced, and bytes held for work."""

    used: int
    reserved: int
    limit: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used - self.reserved)


def owner_locked(owner_id: str) -> User:
    """The owner with their tier; whoever else wants room for them waits until the transaction ends."""
    owners = User.objects.select_for_update(of=["self"], no_key=True).select_related("tier")
    return owners.get(pk=owner_id)


def room_of(owner: User) -> Held:
    """What the owner uses and what is held for them now; see `Held`."""
    return Held(storage_usage(owner), storage_reserved(owner), owner.storage_bytes_limit)


def room_check(*, owner: User, needed: int, already_counted: int = 0) -> None:
    """Whether `needed` bytes fit the owner's quota and the disk; `already_counted` of them count already.

    Meaningful only with the lock of `owner_locked`. Raises `quota_exceeded` and `storage_full`.
    """
    quota_check(owner=owner, needed=needed, already_counted=already_counted)
    storage.room_check(needed - already_counted + disk_held())


def quota_check(*, owner: User, needed: int, already_counted: int = 0) -> None:
    """`room_check` for what the disk has already. Raises `quota_exceeded`."""
    held = room_of(owner)
    if held.used + held.reserved - already_counted + needed > held.limit:
        raise Problem(
            "quota_exceeded", needed=needed, used=held.used, reserved=held.reserved, limit=held.limit
        )


def disk_held() -> int:
    """Bytes of everybody that the disk must still take: results of operations that wait or run, and what
    has not arrived of uploads."""
    operations = Reservation.objects.aggregate(total=Sum("bytes"))["total"]
    unfinished = Upload.objects.filter(video=None, length__isnull=False, expires_at__gt=timezone.now())
    missing = unfinished.aggregate(total=Sum(F("length") - F("offset")))["total"]
    return int(operations or 0) + int(missing or 0)


@transaction.atomic
def operation_hold(*, operation: Operation, expected: int) -> None:
    """Holds room for the results of an operation that starts, in the caller's transaction.

    Raises `quota_exceeded` and `storage_full`; then the operation must not start.
    """
    owner = owner_locked(operation.video.owner_id)
    Reservation.objects.filter(operation=operation).delete()
    room_check(owner=owner, needed=expected)
    Reservation.objects.create(operation=operation, owner=owner, bytes=expected)


def operation_release(*, operation_id: str) -> None:
    """Gives back what was held for an operation that ends, in the transaction that ends it."""
    Reservation.objects.filter(operation__in=[operation_id]).delete()


@transaction.atomic
def reservations_check(*, repair: bool = False) -> int:
    """How many reservations there are of operations that have ended; with `repair` none after it."""
    stale = Reservation.objects.exclude(operation__status__in=_LIVE)
    if not repair:
        return stale.count()
    return int(stale.delete()[0])
