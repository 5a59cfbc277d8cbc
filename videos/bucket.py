"""The bucket that holds the media of a site that has one. The media folder is then a cache of it.

A file has the same name in both: its path below the media folder. It is put into the bucket before the row
that names it is committed, and taken out after that row is gone, as on a disk. Each object carries the
SHA-256 of its bytes; what is fetched is compared with it. An object is written whole or not at all, so there
is nothing to clean up after a crash but parts of uploads, which the bucket should be told to expire.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import storages
from storages.backends.s3 import S3Storage

from problems import Problem

ALIAS = "bucket"
_DIGEST = "sha256"
_BLOCK = 1024**2
# An address is good for one answer; a player that goes on reading asks for a new one each time.
_ADDRESS_SECONDS = 600
_MISSING = {"404", "NoSuchKey", "NotFound"}
# Few at once: a worker has few cores, and each part is held in memory while it is sent.
_TRANSFER = TransferConfig(
    multipart_threshold=32 * 1024**2, multipart_chunksize=32 * 1024**2, max_concurrency=4
)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its bytes, and their SHA-256 in hexadecimal (empty where somebody else put it there)."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where the edge finds an object: a path with a signature for one method, and the host it is for."""

    host: str
    path: str


class Bucket:
    """Files by their names, all below one prefix; several sites may share a bucket.

    Raises Problem("storage_unavailable") where it cannot be reached.
    """

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage

    def put(self, path: Path, name: str) -> Stored:
        """Store a file, in parts where it is long. What is there already, as long and the same, stays."""
        digest = _sha256(path)
        there = self.look(name)
        size = path.stat().st_size
        if there == Stored(size, digest):
            return there
        with _asked():
            self._objects().upload_file(
                str(path), _key(name), ExtraArgs={"Metadata": {_DIGEST: digest}}, Config=_TRANSFER
            )
        stored = self.look(name)
        if stored != Stored(size, digest):
            raise Problem("storage_unavailable")
        return stored

    def look(self, name: str) -> Stored | None:
        """What is stored under a name, without its bytes."""
        found = self._head(name)
        return None if found is None else _stored(found)

    def _head(self, name: str) -> dict[str, Any] | None:
        with _asked():
            try:
                return dict(self._client().head_object(Bucket=self._name, Key=_key(name)))
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return None
                raise

    def fetch(self, name: str, target: Path) -> None:
        """Copy an object to `target`, where it appears whole and with the time it was stored.

        Raises Problem("source_missing") where there is none, and Problem("storage_damaged") where its bytes
        are not those that were stored.
        """
        found = self._head(name)
        if found is None:
            raise Problem("source_missing")
        stored = _stored(found)
        half = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            with _asked():
                self._objects().download_file(_key(name), str(half), Config=_TRANSFER)
            if half.stat().st_size != stored.size or (stored.sha256 and _sha256(half) != stored.sha256):
                raise Problem("storage_damaged")
            os.utime(half, (time.time(), found["LastModified"].timestamp()))
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, in pieces. Raises Problem("source_missing")."""
        with _asked():
            try:
                found = self._client().get_object(Bucket=self._name, Key=_key(name))
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    raise Problem("source_missing") from error
                raise
            yield from found["Body"].iter_chunks(_BLOCK)

    def digest(self, name: str) -> str:
        """The SHA-256 of the bytes of an object, as they come from the bucket. Raises `source_missing`."""
        found = hashlib.sha256()
        for piece in self.read(name):
            found.update(piece)
        return found.hexdigest()

    def discard(self, prefix: str) -> None:
        """Remove all objects whose names begin with `prefix`. Not an error where there is none."""
        with _asked():
            self._objects().objects.filter(Prefix=_key(prefix)).delete()

    def entries(self, folder: str, *, untouched_since: float) -> Iterator[str]:
        """Names directly below a folder, all of whose objects were last written before this Unix time."""
        with _asked():
            above = _key(f"{folder}/")
            listing = self._objects().objects.filter(Prefix=above)
            for name, objects in groupby(listing, key=lambda item: item.key[len(above) :].partition("/")[0]):
                if all(item.last_modified.timestamp() < untouched_since for item in objects):
                    yield name

    def address(self, name: str, method: str) -> Address:
        """A signed address for one GET or HEAD of an object. Asks nobody."""
        action = "head_object" if method == "HEAD" else "get_object"
        url = urlsplit(
            self._client().generate_presigned_url(
                action, Params={"Bucket": self._name, "Key": _key(name)}, ExpiresIn=_ADDRESS_SECONDS
            )
        )
        return Address(host=url.netloc, path=f"{url.path}?{url.query}")

    def make(self) -> None:
        """Create the bucket, if it is not there."""
        with _asked(), contextlib.suppress(self._client().exceptions.BucketAlreadyOwnedByYou):
            self._client().create_bucket(Bucket=self._name)

    @property
    def _name(self) -> str:
        return str(self._storage.bucket_name)

    def _objects(self) -> Any:
        return self._storage.bucket

    def _client(self) -> Any:
        return self._storage.connection.meta.client


def site_bucket() -> Bucket:
    """The bucket of `STORAGES`."""
    storage = storages[ALIAS]
    if not isinstance(storage, S3Storage):
        raise TypeError(f"STORAGES[{ALIAS!r}] must be an S3Storage")
    return Bucket(storage)


@contextlib.contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Problem("storage_unavailable") from error


def _stored(found: Mapping[str, Any]) -> Stored:
    return Stored(found["ContentLength"], found["Metadata"].get(_DIGEST, ""))


def _key(name: str) -> str:
    return f"{settings.S3_PREFIX}{name}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    buffer = bytearray(_BLOCK)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
    return digest.hexdigest()
