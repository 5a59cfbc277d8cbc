"""Small files that operations use: taken in, made anew, removed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from django.db import transaction

from engine.control import Control
from engine.small_files import MOST_BYTES, SmallFile, small_file_intake
from problems import Problem
from users.ids import public_id_new
from users.models import User
from videos import storage
from videos.models import Asset
from videos.names import download_name, filename_clean
from videos.services.reservations import owner_locked, room_check

MOST_ASSETS = 500
_EXTENSIONS = {Asset.Kind.PICTURE: "png", Asset.Kind.SUBTITLES: "srt"}


def asset_made(*, origin: Path, folder: Path) -> SmallFile:
    """What the engine makes of a file, in `folder`. No database. Raises what `small_file_intake` raises."""
    return small_file_intake(origin, folder, control=Control())


@transaction.atomic
def asset_create(*, owner: User, made: SmallFile, filename: str) -> Asset:
    """Keep what was made. Its file moves before the row is committed; after a crash the sweep takes it.

    Raises `too_many_assets`, `quota_exceeded` and `storage_full`.
    """
    # Two at once must see each other: they queue up at the owner's row.
    owner = owner_locked(owner.pk)
    if Asset.objects.filter(owner=owner).count() >= MOST_ASSETS:
        raise Problem("too_many_assets", limit=MOST_ASSETS)
    room_check(owner=owner, needed=made.media.size)
    kind = Asset.Kind(made.kind)
    stem = Path(filename_clean(filename)).stem or kind.label
    asset = Asset(
        pk=public_id_new("ast"),
        owner=owner,
        kind=kind,
        filename=download_name(stem, extension=_EXTENSIONS[kind]),
        size=made.media.size,
        sha256=made.sha256,
        media_info=made.media.model_dump(mode="json"),
    )
    storage.adopt(made.path, storage.asset_path(asset.pk))
    asset.save(force_insert=True)
    return asset


def asset_take(*, owner: User, pieces: Iterable[bytes], filename: str) -> Asset:
    """Keep what is made of a file whose bytes are at hand. Raises what making and keeping raise."""
    most = max(MOST_BYTES.values())
    with storage.asset_scratch() as folder:
        origin = folder / "sent"
        size = 0
        with origin.open("xb") as file:
            for piece in pieces:
                size += file.write(piece)
                if size > most:
                    raise Problem("upload_too_large", size=size, limit=most)
        return asset_create(owner=owner, made=asset_made(origin=origin, folder=folder), filename=filename)


@transaction.atomic
def asset_delete(*, asset: Asset) -> None:
    """Remove a file. What was made with it stays; what waits to be made with it will miss it."""
    Asset.objects.filter(pk=asset.pk).delete()
    transaction.on_commit(lambda: storage.asset_discard(asset.pk))
