"""The files that rows name: which they are, and copies of them that are known to be whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q

from problems import Problem
from videos.models import Asset, Output, Upload, Video
from videos.storage import (
    asset_path,
    output_member_path,
    output_path,
    present,
    source_path,
    thumbnail_path,
    upload_path,
)

_BLOCK = 1024**2
LIST = "files.jsonl"


@dataclass(frozen=True, slots=True)
class Named:
    """A file that a row names. `path` is below the media folder; `sha256` is empty where no row knows it.

    Of an unfinished upload only the first `size` bytes count.
    """

    owner: str
    path: str
    size: int | None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in an export or a backup."""

    owner: str
    path: str
    size: int
    sha256: str


class Damaged(Exception):
    """A file is not what it is said to be; the text says which and how."""


def files_of_video(row: Mapping[str, Any]) -> Iterator[Named]:
    """Of a row with `id, status, size, sha256, has_thumbnail`."""
    if has_bytes(row):
        yield Named(row["id"], _below(source_path(row["id"])), row["size"], row["sha256"])
        if row["has_thumbnail"]:
            yield Named(row["id"], _below(thumbnail_path(row["id"])), None)


def has_bytes(row: Mapping[str, Any]) -> bool:
    return not (row["status"] == Video.Status.FAILED and row["size"] == 0)


def files_of_output(row: Mapping[str, Any]) -> Iterator[Named]:
    """Of a row with `id, size, sha256, members`. A folder's size and checksum are of all its files."""
    main = output_path(row["id"])
    if not row["members"]:
        yield Named(row["id"], _below(main), row["size"], row["sha256"])
        return
    yield Named(row["id"], _below(main), None)
    for member in row["members"]:
        path = output_member_path(row["id"], member["name"])
        yield Named(row["id"], _below(path), member["size"], member["sha256"])


def files_named(*, uploads: bool) -> Iterator[Named]:
    """Every file that the rows of this transaction name: videos, outputs, assets, each in order of ids."""
    videos = Video.objects.order_by("pk").values("id", "status", "size", "sha256", "has_thumbnail")
    for video in videos.iterator(chunk_size=2000):
        yield from files_of_video(video)
    outputs = Output.objects.order_by("pk").values("id", "size", "sha256", "members")
    for output in outputs.iterator(chunk_size=2000):
        yield from files_of_output(output)
    for asset in Asset.objects.order_by("pk").values("id", "size", "sha256").iterator(chunk_size=2000):
        asset_id = str(asset["id"])
        yield Named(asset_id, _below(asset_path(asset_id)), asset["size"], asset["sha256"])
    if uploads:
        open_uploads = Upload.objects.filter(video=None).order_by("pk")
        for upload in open_uploads.values("id", "offset").iterator(chunk_size=2000):
            upload_id = str(upload["id"])
            yield Named(upload_id, _below(upload_path(upload_id)), upload["offset"])


def is_named_still(named: Named) -> bool:
    """Whether a row names the file now: a purge or a finished upload may have taken it in between."""
    kind = named.owner.partition("_")[0]
    if kind == "upl":
        return Upload.objects.filter(pk=named.owner, video=None, reserved_video_id=None).exists()
    if kind == "out":
        return Output.objects.filter(pk=named.owner).exists()
    if kind == "ast":
        return Asset.objects.filter(pk=named.owner).exists()
    refused = Q(status=Video.Status.FAILED, size=0)
    return Video.objects.filter(pk=named.owner).exclude(refused).exists()


def here(named: Named) -> Path:
    """The file in the media folder, fetched from the bucket where it is only there.

    Raises FileNotFoundError.
    """
    path = Path(settings.MEDIA) / named.path
    if named.owner.startswith("upl_"):
        return path
    try:
        return present(path)
    except Problem as problem:
        if problem.code != "source_missing":
            raise
        raise FileNotFoundError(path) from problem


def take(named: Named, target: Path, *, link: bool) -> Stored:
    """Copy or link a file to `target` and make sure that it is whole. Raises FileNotFoundError, Damaged.

    What an earlier try left at `target` is used if it is whole. A link is made only where no bytes can be
    added to the file any more.
    """
    upload = named.owner.startswith("upl_")
    if target.is_file() and (stored := _checked(named, target)) is not None:
        return stored
    origin = here(named)
    target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    if link and not upload and _linked(origin, target):
        size, digest = target.stat().st_size, sha256_of(target)
    else:
        size, digest = copy(origin, target, limit=named.size if upload else None)
    if (named.size is not None and size != named.size) or (named.sha256 and digest != named.sha256):
        target.unlink()
        raise Damaged(f"{named.path} is not the file that its row describes")
    return Stored(named.owner, named.path, size, digest)


def copy(origin: Path, target: Path, *, limit: int | None = None) -> tuple[int, str]:
    """Size and SHA-256 of a copy of the file, or of its first `limit` bytes. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with origin.open("rb") as source, target.open("xb") as made:
        while block := source.read(_BLOCK if limit is None else min(_BLOCK, limit - size)):
            digest.update(block)
            made.write(block)
            size += len(block)
    return size, digest.hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listed(folder: Path) -> Iterator[Stored]:
    """The files of an export or a backup, in the order in which they were written down."""
    with (folder / LIST).open(encoding="utf-8") as lines:
        for line in lines:
            stored = Stored(**json.loads(line))
            inside = folder / "media" / stored.path
            if ".." in Path(stored.path).parts or not inside.is_relative_to(folder / "media"):
                raise Damaged(f"{LIST} names {stored.path!r}, which is no file of ours")
            yield stored


def line(row: Stored | Named) -> str:
    return json.dumps(asdict(row), ensure_ascii=False) + "\n"


def named_in(lines: Iterable[str]) -> Iterator[Named]:
    return (Named(**json.loads(text)) for text in lines)


def _checked(named: Named, target: Path) -> Stored | None:
    """What an earlier try left, if it can be told to be whole."""
    size = target.stat().st_size
    if not named.sha256 or size != named.size:
        return None
    digest = sha256_of(target)
    return Stored(named.owner, named.path, size, digest) if digest == named.sha256 else None


def _linked(origin: Path, target: Path) -> bool:
    try:
        os.link(origin, target, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        return False
    return True


def _below(path: Path) -> str:
    return str(path.relative_to(settings.MEDIA))
