"""One script of requests, sent to the tus project's own server and to ours: what differs is listed here.

Theirs is `@tus/server` with its file store, at the version that tests/tus/package-lock.json names. A line of
the list that is not true any more fails the test as well.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.videos.conftest import Client

FOLDER = Path(__file__).resolve().parents[1] / "tus"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
VALUES = (
    "Tus-Resumable", "Tus-Version", "Upload-Offset", "Upload-Length", "Upload-Defer-Length",
    "Upload-Metadata", "Upload-Concat", "Cache-Control",
)  # fmt: skip
PRESENT = ("Location", "Upload-Expires")
NAME = f"filename {base64.b64encode(b'clip.mp4').decode()}"


def sum_of(algorithm: str, data: bytes) -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


@dataclass(frozen=True)
class Ask:
    """One request. `to` is the name under which an earlier request's Location was kept `as_`."""

    name: str
    method: str
    headers: Mapping[str, str] = field(default_factory=lambda: TUS)
    to: str = ""
    body: bytes = b""
    as_: str = ""


def create(name: str, headers: Mapping[str, str], *, body: bytes = b"", as_: str = "") -> Ask:
    return Ask(name, "POST", {**(BYTES if body else TUS), **headers}, body=body, as_=as_)


def patch(name: str, to: str, offset: object, body: bytes, **headers: str) -> Ask:
    more = {key.replace("_", "-"): value for key, value in headers.items()}
    return Ask(name, "PATCH", {**BYTES, "Upload-Offset": str(offset), **more}, to=to, body=body)


def head(name: str, to: str) -> Ask:
    return Ask(name, "HEAD", to=to)


SCRIPT = (
    Ask("options", "OPTIONS", {}),
    create("create", {"Upload-Length": "10", "Upload-Metadata": NAME}, as_="a"),
    head("head of a new one", "a"),
    patch("first bytes", "a", 0, b"01234"),
    head("head in the middle", "a"),
    patch("behind the offset", "a", 2, b"x"),
    patch("before the offset", "a", 7, b"x"),
    patch("no offset", "a", "", b"x"),
    patch("negative offset", "a", -1, b"x"),
    patch("offset that is no number", "a", "five", b"x"),
    patch("wrong type", "a", 5, b"x", Content_Type="application/octet-stream"),
    Ask("no version", "PATCH", {**BYTES, "Tus-Resumable": ""}, to="a", body=b"x"),
    Ask("old version", "HEAD", {"Tus-Resumable": "0.2.2"}, to="a"),
    Ask("old version on creation", "POST", {"Tus-Resumable": "0.2.2", "Upload-Length": "1"}),
    head("nothing was taken", "a"),
    patch("last bytes", "a", 5, b"56789"),
    head("head of a finished one", "a"),
    patch("nothing more, again", "a", 10, b""),
    patch("more than announced", "a", 10, b"x"),
    create("no length", {}),
    create("negative length", {"Upload-Length": "-1"}),
    create("length that is no number", {"Upload-Length": "many"}),
    create("length and deferred", {"Upload-Length": "5", "Upload-Defer-Length": "1"}),
    create("deferred twice", {"Upload-Defer-Length": "2"}),
    create("empty file", {"Upload-Length": "0"}),
    create("metadata without a value", {"Upload-Length": "5", "Upload-Metadata": "draft"}, as_="m"),
    head("head shows metadata", "m"),
    create("metadata that is not base64", {"Upload-Length": "5", "Upload-Metadata": "filename ???"}),
    create("with upload", {"Upload-Length": "6"}, body=b"abc", as_="b"),
    head("head after creation with upload", "b"),
    patch("too much", "b", 3, b"defghijk"),
    head("after too much", "b"),
    create("with the whole upload", {"Upload-Length": "3"}, body=b"abc", as_="c"),
    head("head of one made whole", "c"),
    create("with too much", {"Upload-Length": "2"}, body=b"abc"),
    create("deferred", {"Upload-Defer-Length": "1"}, as_="d"),
    head("head of a deferred one", "d"),
    patch("bytes of a deferred one", "d", 0, b"ab"),
    patch("length told", "d", 2, b"cd", Upload_Length="6"),
    head("head after the length was told", "d"),
    patch("length told again", "d", 4, b"e", Upload_Length="7"),
    patch("same length again", "d", 4, b"ef", Upload_Length="6"),
    create("deferred, to be told too little", {"Upload-Defer-Length": "1"}, body=b"abcdef", as_="e"),
    patch("length less than what came", "e", 6, b"", Upload_Length="3"),
    create("to be overridden", {"Upload-Length": "4"}, as_="f"),
    Ask(
        "patch by override",
        "POST",
        {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"},
        to="f",
        body=b"ab",
    ),
    Ask("head by override", "POST", {**TUS, "X-HTTP-Method-Override": "HEAD"}, to="f"),
    Ask("delete by override", "POST", {**TUS, "X-HTTP-Method-Override": "DELETE"}, to="f"),
    head("head of a deleted one", "f"),
    patch("bytes to a deleted one", "f", 2, b"cd"),
    Ask("delete twice", "DELETE", to="f"),
    create("to be checked", {"Upload-Length": "8"}, as_="g"),
    patch("right sum", "g", 0, b"abcd", Upload_Checksum=sum_of("sha1", b"abcd")),
    patch("wrong sum", "g", 4, b"efgh", Upload_Checksum=sum_of("sha1", b"other")),
    patch("unknown sum", "g", 4, b"efgh", Upload_Checksum="crc64 AAAA"),
    head("head after wrong sums", "g"),
    head("head of nothing", "missing"),
    patch("bytes to nothing", "missing", 0, b"x"),
    Ask("delete nothing", "DELETE", to="missing"),
    Ask("put", "PUT", to="a"),
)

# Why ours is as it is; then step and what was compared, theirs, ours.
DIFFERENCES: dict[str, dict[tuple[str, str], tuple[object, object]]] = {
    "The protocol asks for 412 with Tus-Version where the version is another.": {
        ("no version", "Tus-Version"): (None, "1.0.0"),
        ("old version", "status"): (400, 412),
        ("old version", "Tus-Version"): (None, "1.0.0"),
        ("old version on creation", "status"): (400, 412),
        ("old version on creation", "Tus-Version"): (None, "1.0.0"),
    },
    "The protocol asks for 415 where the type of a PATCH is another.": {
        ("wrong type", "status"): (400, 415),
    },
    "The checksum extension: a mismatch is 460 and keeps nothing. Theirs has none and takes the bytes.": {
        ("wrong sum", "status"): (204, 460),
        ("wrong sum", "Upload-Offset"): ("8", "4"),
        ("unknown sum", "status"): (409, 400),
        ("head after wrong sums", "Upload-Offset"): ("8", "4"),
    },
    "X-HTTP-Method-Override is part of the protocol; theirs does not know it, so what follows differs.": {
        ("patch by override", "status"): (400, 204),
        ("patch by override", "Upload-Offset"): (None, "2"),
        ("patch by override", "Upload-Expires"): (False, True),
        ("head by override", "status"): (400, 200),
        ("head by override", "Upload-Offset"): (None, "2"),
        ("head by override", "Upload-Length"): (None, "4"),
        ("head by override", "Upload-Expires"): (False, True),
        ("delete by override", "status"): (400, 204),
        ("head of a deleted one", "status"): (200, 404),
        ("head of a deleted one", "Upload-Offset"): ("0", None),
        ("head of a deleted one", "Upload-Length"): ("4", None),
        ("bytes to a deleted one", "status"): (409, 404),
        ("delete twice", "status"): (204, 404),
    },
    "No answer of ours may be cached, errors included.": {
        ("head of nothing", "Cache-Control"): (None, "no-store"),
        ("old version", "Cache-Control"): (None, "no-store"),
    },
    "An error tells the true offset, which saves the client a HEAD.": {
        ("behind the offset", "Upload-Offset"): (None, "5"),
        ("before the offset", "Upload-Offset"): (None, "5"),
        ("more than announced", "Upload-Offset"): (None, "10"),
        ("too much", "Upload-Offset"): (None, "3"),
    },
    "A finished upload tells how long it may be asked for its video.": {
        ("last bytes", "Upload-Expires"): (False, True),
        ("nothing more, again", "Upload-Expires"): (False, True),
        ("with the whole upload", "Upload-Expires"): (False, True),
    },
    "A length told a second time is a client that repeats itself, and only wrong where it differs.": {
        ("same length again", "status"): (400, 204),
        ("same length again", "Upload-Offset"): (None, "6"),
        ("same length again", "Upload-Expires"): (False, True),
    },
    "A file without a byte is no video, and is told so before anything is made.": {
        ("empty file", "status"): (201, 400),
        ("empty file", "Location"): (True, False),
    },
    "A method that there is not, at an address that there is.": {
        ("put", "status"): (404, 405),
    },
}


class Server:
    """Somewhere to send the script to."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._places = {"": "/api/v1/uploads", "missing": "/api/v1/uploads/upl_" + "0" * 32}

    def answer(self, ask: Ask) -> dict[str, Any]:
        response = requests.request(
            ask.method,
            self._url + self._places[ask.to],
            headers={**self._headers, **ask.headers},
            data=ask.body,
            timeout=20,
        )
        if ask.as_:
            self._places[ask.as_] = response.headers["Location"].removeprefix(self._url)
        said = {"status": response.status_code} | {name: response.headers.get(name) for name in VALUES}
        said |= {name: name in response.headers for name in PRESENT}
        # Where the protocol asks for it; ours says more often that nothing may be cached, and until when.
        if ask.method != "HEAD":
            said["Cache-Control"] = None
        if ask.method == "HEAD":
            said["Upload-Expires"] = False
        return said


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "reference"
    folder.mkdir()
    command = [os.environ.get("VIDEOPROC_NODE", "node"), str(FOLDER / "reference.mjs"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.kill()


def test_what_differs_from_the_reference_is_known(reference: str, alice_uploads: Client) -> None:
    theirs, ours = Server(reference, {}), Server(alice_uploads.url, alice_uploads.headers)
    found: dict[tuple[str, str], tuple[object, object]] = {}
    for ask in SCRIPT:
        one, other = theirs.answer(ask), ours.answer(ask)
        found |= {(ask.name, key): (one[key], other[key]) for key in one if one[key] != other[key]}
    assert found == {key: both for known in DIFFERENCES.values() for key, both in known.items()}


def test_ours_has_every_extension_of_theirs(reference: str, alice_uploads: Client) -> None:
    """And concatenation and checksums on top, which their file store has not."""
    extensions = [
        set(requests.options(f"{url}/api/v1/uploads", timeout=20).headers["Tus-Extension"].split(","))
        for url in (reference, alice_uploads.url)
    ]
    assert extensions[1] - extensions[0] == {"concatenation", "concatenation-unfinished", "checksum"}
    assert extensions[0] <= extensions[1]
