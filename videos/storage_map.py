"""What takes an owner's space: by kind, by operation, and the largest videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, Count, F, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from users.models import User
from videos.models import Asset, Output, Upload, Video
from videos.selectors import storage_reserved

LARGEST = 10


@dataclass(frozen=True, slots=True)
class Stored:
    """So many of a kind, and their bytes."""

    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StoredResults:
    """The results of one operation type."""

    type: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LargeVideo:
    """A video by what it takes, results included."""

    id: str
    name: str
    original_bytes: int
    result_bytes: int

    @property
    def total(self) -> int:
        return self.original_bytes + self.result_bytes


@dataclass(frozen=True, slots=True)
class StorageMap:
    """Everything of one owner. All but `trash` and `reserved` add up to `used`."""

    limit: int
    reserved: int
    originals: Stored
    results: tuple[StoredResults, ...]
    assets: Stored
    uploads: Stored
    trash: Stored
    largest: tuple[LargeVideo, ...]

    @property
    def all_results(self) -> Stored:
        return Stored(sum(one.count for one in self.results), sum(one.bytes for one in self.results))

    @property
    def used(self) -> int:
        return self.originals.bytes + self.all_results.bytes + self.assets.bytes + self.uploads.bytes

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used - self.reserved)


def storage_map(user: User) -> StorageMap:
    """Counted from the rows; for one page, not for every request."""
    videos = Video.objects.filter(owner=user)
    outputs = Output.objects.filter(operation__video__owner=user)
    kept = outputs.filter(operation__video__deleted_at=None)
    by_type = (
        kept.values("operation__type").annotate(count=Count("pk"), bytes=_sum("size")).order_by("-bytes")
    )
    trash = _stored(videos.filter(deleted_at__isnull=False), "size")
    of_trash = _stored(outputs.filter(operation__video__deleted_at__isnull=False), "size")
    unfinished = Upload.objects.filter(owner=user, video=None).annotate(
        announced=Coalesce("length", "offset")
    )
    return StorageMap(
        limit=user.storage_bytes_limit,
        reserved=storage_reserved(user),
        originals=_stored(videos.filter(deleted_at=None, size__gt=0), "size"),
        results=tuple(StoredResults(row["operation__type"], row["count"], row["bytes"]) for row in by_type),
        assets=_stored(Asset.objects.filter(owner=user), "size"),
        uploads=_stored(unfinished, "announced"),
        trash=Stored(trash.count, trash.bytes + of_trash.bytes),
        largest=_largest(videos.filter(deleted_at=None)),
    )


def _largest(videos: QuerySet[Video]) -> tuple[LargeVideo, ...]:
    found = (
        videos.values("pk", "name", "size")
        .annotate(results=_sum("operations__outputs__size"))
        .order_by((F("size") + F("results")).desc(), "-pk")
    )
    return tuple(
        LargeVideo(str(row["pk"]), row["name"], row["size"], row["results"])
        for row in found[:LARGEST]
        if row["size"]
    )


def _stored(rows: QuerySet[Any], column: str) -> Stored:
    found = rows.aggregate(number=Count("pk"), total=_sum(column))
    return Stored(found["number"], found["total"])


def _sum(column: str) -> Coalesce:
    return Coalesce(Sum(column), Value(0), output_field=BigIntegerField())
