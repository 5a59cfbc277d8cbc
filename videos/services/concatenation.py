"""Final uploads of tus: complete partial uploads become one file, in the order that the final one names.

Taking a part over moves its bytes, its share of the quota and its end in one transaction, so usage is the
same at every moment and a crash leaves either the part or what was taken of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from problems import Problem
from users.models import User
from videos import storage
from videos.models import Upload
from videos.names import filename_clean, name_clean
from videos.services.uploads import reserve_when_complete


@transaction.atomic
def final_create(
    *,
    owner: User,
    concat: str,
    parts: Sequence[str],
    filename: str = "",
    title: str = "",
    metadata: Mapping[str, str] | None = None,
) -> Upload:
    """An upload made of `parts`, which may still be incomplete; `concat` is the header that names them.

    The same parts in the same order are the same upload: a client whose answer was lost finds it again. It
    counts nothing against the quota that its parts do not count already. Raises `not_found` for a part that
    is not there or somebody else's, `upload_header_invalid` for one that is not partial, `upload_part_taken`
    and `upload_too_large`.
    """
    # Two requests at once that name the same part must see each other.
    owner = User.objects.select_for_update(of=["self"], no_key=True).select_related("tier").get(pk=owner.pk)
    known = Upload.objects.filter(owner=owner, parts=list(parts)).order_by("-id").first()
    if known is not None and (known.video_id is not None or known.expires_at > timezone.now()):
        return known
    found = {row.pk: row for row in Upload.objects.filter(owner=owner, pk__in=parts, video=None)}
    now = timezone.now()
    for part in parts:
        if part not in found or found[part].expires_at <= now:
            raise Problem("not_found")
        if not found[part].is_partial:
            raise Problem("upload_header_invalid", header="Upload-Concat")
    for other in Upload.objects.filter(owner=owner, parts__overlap=list(parts)):
        raise Problem("upload_part_taken", part=next(part for part in parts if part in other.parts))
    _limit_check(owner, sum(row.length or row.offset for row in found.values()))
    upload = Upload.objects.create(
        owner=owner,
        filename=filename_clean(filename),
        title=name_clean(title),
        metadata=dict(metadata or {}),
        concat=concat,
        parts=list(parts),
        expires_at=now + settings.UPLOAD_LIFETIME,
    )
    storage.upload_file_create(upload.pk)
    return upload


def parts_left(*, upload: Upload) -> list[Upload] | None:
    """The parts that a final upload has still to take, in order; None while one of them is incomplete.

    Raises `upload_gone` where one was deleted or has expired, for then it can never be whole, and
    `upload_too_large` where parts of unknown length became too long together.
    """
    wanted = upload.parts[upload.parts_joined :]
    found = {row.pk: row for row in Upload.objects.filter(owner=upload.owner_id, pk__in=wanted)}
    if len(found) < len(wanted) or any(row.expires_at <= timezone.now() for row in found.values()):
        raise Problem("upload_gone")
    parts = [found[part] for part in wanted]
    if not all(part.is_complete for part in parts):
        return None
    owner = User.objects.select_related("tier").get(pk=upload.owner_id)
    _limit_check(owner, upload.offset + sum(part.offset for part in parts))
    return parts


def length_told(*, upload: Upload) -> int | None:
    """How long a final upload is or will be; None while a part of it has deferred its length."""
    if upload.length is not None:
        return upload.length
    wanted = upload.parts[upload.parts_joined :]
    lengths = list(Upload.objects.filter(pk__in=wanted).values_list("length", flat=True))
    known = [length for length in lengths if length is not None]
    return upload.offset + sum(known) if len(known) == len(wanted) else None


@transaction.atomic
def part_taken(*, upload: Upload, part: Upload) -> Upload:
    """Record that the bytes of the next part are at the end of the final upload's file, fsynced.

    Its own file goes once this is committed. Raises `upload_gone`, also where somebody was faster.
    """
    rows = {row.pk: row for row in Upload.objects.select_for_update().filter(pk__in=[upload.pk, part.pk])}
    final, row = rows.get(upload.pk), rows.get(part.pk)
    if final is None or row is None or final.parts[final.parts_joined] != part.pk or not row.is_complete:
        raise Problem("upload_gone")
    final.offset += row.offset
    final.parts_joined += 1
    final.expires_at = timezone.now() + settings.UPLOAD_LIFETIME
    if final.parts_joined == len(final.parts):
        final.length = final.offset
        reserve_when_complete(final)
    row.delete()
    final.save(
        update_fields=["offset", "parts_joined", "length", "reserved_video_id", "expires_at", "updated_at"]
    )
    transaction.on_commit(lambda: storage.upload_discard(part.pk))
    return final


def finals_waiting(*, part: Upload | None = None, at_most: int = 100) -> list[Upload]:
    """Final uploads that have not taken all of their parts; of one part, those that name it."""
    rows = Upload.objects.filter(concat__startswith=Upload.FINAL, length=None, expires_at__gt=timezone.now())
    if part is not None:
        rows = rows.filter(owner=part.owner_id, parts__contains=[part.pk])
    return list(rows.order_by("id")[:at_most])


def _limit_check(owner: User, length: int) -> None:
    limit = owner.max_file_bytes_limit
    if length > limit:
        raise Problem("upload_too_large", size=length, limit=limit)
