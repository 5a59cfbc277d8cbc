"""The headers of tus 1.0.0, read strictly: whatever is not exactly right is `upload_header_invalid`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from problems import Problem

CHECKSUMS = ("sha1", "sha256")
_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]+")
_METADATA_KEYS = 50
_UPLOAD_PATH = re.compile(r"/api/v1/uploads/(upl_[0-9a-f]{32})/?")
PARTS_MOST = 500


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a body's bytes must hash to."""

    algorithm: str
    digest: bytes

    def hasher(self) -> hashlib._Hash:
        return hashlib.new(self.algorithm, usedforsecurity=False)


def length_of(headers: Mapping[str, str]) -> int | None:
    """The length announced on creation, or None where it is deferred."""
    length, deferred = headers.get("upload-length"), headers.get("upload-defer-length")
    if deferred is not None and (deferred != "1" or length is not None):
        raise Problem("upload_header_invalid", header="Upload-Defer-Length")
    if length is None and deferred is None:
        raise Problem("upload_length_required")
    return None if length is None else number_of(headers, "Upload-Length")


def number_of(headers: Mapping[str, str], name: str) -> int:
    value = headers.get(name.lower(), "").strip()
    if not _NUMBER.fullmatch(value):
        raise Problem("upload_header_invalid", header=name)
    return int(value)


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Keys and decoded values of `Upload-Metadata`; what is not UTF-8 shows as replacement characters."""
    metadata: dict[str, str] = {}
    for member in filter(None, (part.strip() for part in headers.get("upload-metadata", "").split(","))):
        key, _, encoded = member.partition(" ")
        if not _KEY.fullmatch(key) or key in metadata or len(metadata) >= _METADATA_KEYS:
            raise Problem("upload_header_invalid", header="Upload-Metadata")
        metadata[key] = _decoded(encoded.strip())
    return metadata


def parts_of(headers: Mapping[str, str]) -> list[str] | None:
    """Ids of the parts that a final upload names; None where the header is missing or says `partial`.

    Addresses may be whole or begin with the path; whose uploads they are is asked later.
    """
    value = headers.get("upload-concat")
    if value is None or value == "partial":
        return None
    kind, _, listed = value.partition(";")
    found = [_UPLOAD_PATH.fullmatch(urlsplit(address).path) for address in listed.split()]
    parts = [match[1] for match in found if match]
    # A part is used up by its upload, so it cannot be named twice.
    if kind != "final" or not 0 < len(found) <= PARTS_MOST or len(set(parts)) < len(found):
        raise Problem("upload_header_invalid", header="Upload-Concat")
    if "upload-length" in headers or "upload-defer-length" in headers:
        raise Problem("upload_header_invalid", header="Upload-Length")
    return parts


def metadata_header(metadata: Mapping[str, str]) -> str:
    """The header that `metadata_of` reads back."""
    pairs = ((key, base64.b64encode(value.encode()).decode()) for key, value in metadata.items())
    # A key without a value stands alone: a header may not end in a space.
    return ",".join(f"{key} {value}" if value else key for key, value in pairs)


def checksum_of(headers: Mapping[str, str]) -> Checksum | None:
    value = headers.get("upload-checksum")
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise Problem("upload_header_invalid", header="Upload-Checksum") from error
    if algorithm not in CHECKSUMS or len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise Problem("upload_header_invalid", header="Upload-Checksum")
    return Checksum(algorithm, digest)


def _decoded(encoded: str) -> str:
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem("upload_header_invalid", header="Upload-Metadata") from error
    # PostgreSQL keeps no NUL in text.
    return value.decode(errors="replace").replace("\x00", "")
