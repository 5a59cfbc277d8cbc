"""A message that offers to undo what it tells of."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.messages.storage.base import Message

from users.ids import public_id_is_valid

_TAG = "undo-trash"


def undo_tag(video_ids: Sequence[str]) -> str:
    """The tags of a message about videos that went to the trash just now."""
    return " ".join([_TAG, *video_ids])


def undone_by(message: Message) -> list[str]:
    """The videos that undoing takes out of the trash; none where there is nothing to undo."""
    first, _, ids = (message.extra_tags or "").partition(" ")
    return [one for one in ids.split() if public_id_is_valid("vid", one)] if first == _TAG else []
