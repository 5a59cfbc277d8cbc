"""Remembers what has moved in, under keys that do not depend on where the original's folders are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from videoproc.legacy.models import LegacyRecord
from videoproc.legacy.records import LegacyUser, LegacyVideo


def user_key(user: LegacyUser) -> str:
    """Number and name together: two originals may both have a first user."""
    return _digest("user", user.id, user.username)


def video_key(video: LegacyVideo, owner_key: str) -> str:
    return _digest("video", video.video_id, owner_key)


def known(kind: LegacyRecord.Kind) -> dict[str, str]:
    """Public ids by key, of everything of this kind that has moved in."""
    return dict(LegacyRecord.objects.filter(kind=kind).values_list("key", "object_id"))


def remember(
    *, kind: LegacyRecord.Kind, key: str, label: str, object_id: str, run: str, made: dict[str, Any]
) -> None:
    """Call it in the transaction that makes the row. Raises IntegrityError if it has moved in already.

    `made` comes from the function of that name.
    """
    readable = "".join(mark if mark.isprintable() else "?" for mark in label)
    LegacyRecord.objects.create(
        kind=kind, key=key, label=readable[:200], object_id=object_id, run=run, made=made
    )


def made(*, updated_at: datetime, operations: Iterable[str] = (), jobs: Iterable[str] = ()) -> dict[str, Any]:
    """How the row looked when it was made, and what was made with it: all that a way back may remove."""
    return {"updated_at": updated_at.isoformat(), "operations": list(operations), "jobs": list(jobs)}


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
