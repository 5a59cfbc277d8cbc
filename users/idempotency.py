"""Requests that callers may repeat safely: who is at it, and what was answered.

A row is written before the work begins, so it outlives a crash. One `expires_at` serves two ends: while the
work goes on it is near, and a request that died frees its key when it has passed; once the reply is stored
it is a day away.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import NamedTuple

from django.db.models.functions import Now

from problems import Problem
from users.models import IdempotencyKey, User

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY_MAX = 255
# Answers that may be others next time, so they are not kept.
MAY_GO_BETTER = frozenset({401, 403, 429})
KEPT = timedelta(hours=24)
# Longer than any POST takes; whoever is slower is taken for dead.
ABANDONED_AFTER = timedelta(seconds=60)


class Reply(NamedTuple):
    """What was answered. A body of None was not kept, because it holds a secret."""

    status: int
    headers: dict[str, str]
    body: bytes | None


class Begun(NamedTuple):
    """The right to do the work. The token tells this try from a later one that took the key over."""

    row: int
    token: uuid.UUID


def request_begin(*, user: User, key: str, fingerprint: str) -> Begun | Reply:
    """Takes the key for a request, or returns what an equal request was answered.

    Of any number of equal requests at once one begins. Raises Problem idempotency_key_reused where the key
    came with another request, idempotency_key_in_use while the first goes on, or idempotency_reply_not_kept.
    """
    token = uuid.uuid4()
    mine = IdempotencyKey.objects.filter(user=user, key=key)
    mine.filter(expires_at__lte=Now()).delete()
    fresh = IdempotencyKey(
        user=user, key=key, fingerprint=fingerprint, token=token, expires_at=Now() + ABANDONED_AFTER
    )
    IdempotencyKey.objects.bulk_create([fresh], ignore_conflicts=True)
    row = mine.first()
    if row is None:  # the other request has failed and given the key back just now
        raise Problem("idempotency_key_in_use")
    if row.token == token:
        return Begun(row.id, token)
    if row.fingerprint != fingerprint:
        raise Problem("idempotency_key_reused")
    if row.status is None:
        raise Problem("idempotency_key_in_use")
    if row.body is None:
        raise Problem("idempotency_reply_not_kept")
    return Reply(row.status, row.headers, bytes(row.body))


def request_extend(begun: Begun) -> None:
    """Says that the request still goes on; its key would run out otherwise."""
    rows = IdempotencyKey.objects.filter(id=begun.row, token=begun.token, status=None)
    rows.update(expires_at=Now() + ABANDONED_AFTER)


def request_finish(begun: Begun, reply: Reply) -> None:
    """Stores the reply for repetitions of the request."""
    rows = IdempotencyKey.objects.filter(id=begun.row, token=begun.token)
    rows.update(status=reply.status, headers=reply.headers, body=reply.body, expires_at=Now() + KEPT)


def request_release(begun: Begun) -> None:
    """Gives the key back: the request may be tried again."""
    IdempotencyKey.objects.filter(id=begun.row, token=begun.token).delete()


def requests_purge() -> int:
    """Removes keys that have run out, and says how many."""
    return int(IdempotencyKey.objects.filter(expires_at__lte=Now()).delete()[0])
