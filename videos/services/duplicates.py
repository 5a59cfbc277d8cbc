"""Equal originals of one owner: their bytes are on the disk once, under as many names as there are videos.

Each name is a hard link, so the file system itself counts who needs the bytes: deleting one video, in
whatever order and however it is interrupted, leaves those of the others alone.
"""

from __future__ import annotations

import logging

from django.db import connection, transaction
from django.db.models import Count

from users.ids import raw_id
from videos import storage
from videos.models import Video

log = logging.getLogger(__name__)


def content_share(*, video: Video, sha256: str) -> Video | None:
    """If the owner has another video with this content, let both use its file; that video, or None.

    Needs the caller's transaction, which then writes `sha256` to the row: of two equal videos that become
    ready at once, the later one waits here and finds the earlier.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT videos_content_lock(%s)", [raw_id(video.owner_id)])
    equals = Video.objects.filter(owner=video.owner_id, sha256=sha256, size=video.size).exclude(pk=video.pk)
    # Also from the trash: its bytes are there for some days, and ours then keep them.
    for other in equals.order_by("id")[:10]:
        if storage.source_share(other.pk, video.pk):
            log.info("video %s has the content of %s", video.pk, other.pk)
            return other
    return None


def duplicates_join() -> int:
    """Let equal originals share their bytes that do not yet, such as after a restore; how many did now."""
    groups = Video.objects.exclude(sha256="").filter(size__gt=0).values_list("owner", "sha256", "size")
    joined = 0
    equal = groups.annotate(count=Count("pk")).filter(count__gt=1).order_by()
    for owner, sha256, size in equal.iterator():
        videos = Video.objects.filter(owner=owner, sha256=sha256, size=size).order_by("id")
        first, *others = list(videos.only("pk", "owner"))
        for other in others:
            with transaction.atomic():
                # Against a purge of either in between.
                kept = Video.objects.select_for_update().filter(pk__in=[first.pk, other.pk]).count()
                if kept == 2 and not storage.source_is_shared(first.pk, other.pk):  # noqa: PLR2004 - both
                    joined += storage.source_share(first.pk, other.pk)
    return joined
