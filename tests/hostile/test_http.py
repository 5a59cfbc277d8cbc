"""Requests made to do harm: names, numbers, JSON, headers. Each gets a 4xx with a code, or does no harm."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from rest_framework.test import APIClient

from engine.catalogue import parameters_for
from problems import KINDS, Problem
from tests.videos.conftest import BYTES, Client
from users.models import User
from users.services import token_create
from videos import storage
from videos.models import Upload, Video

OPERATIONS = "/api/v1/videos/{}/operations"

# 33 to 37: what a file may be called.
NAMES = [
    "-y.mp4", "-i", "--help", "a%03d.png", "a%d.mp4", "concat:a|b", "http://127.0.0.1/x.mp4", "x:y.mp4",
    "file:/etc/passwd", "pipe:0", "../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "..", ".",
    "a\x00b.mp4", "a\r\nSet-Cookie: a=b.mp4", "CON", "aux.mp4", "dot.", "space ", "n" * 300 + ".mp4",
    "caf\u00e9.mp4", "cafe\u0301.mp4", 'quote".mp4', "semi;filename=evil.exe", "\u202egpj.exe", "%2e%2e%2f",
    "<img src=x onerror=alert(1)>.mp4", "$(touch x).mp4", "`id`.mp4", "a;b|c&d.mp4", "\U0001f600.mp4",
]  # fmt: skip


def test_names_stay_words(alice_uploads: Client, alices_client: APIClient, media: Path) -> None:
    """They become neither options, nor paths, nor headers."""
    for name in NAMES:
        metadata = f"filename {base64.b64encode(name.encode()).decode()}"
        response = alice_uploads.call(
            "POST", "/api/v1/uploads",
            headers={**BYTES, "Upload-Length": "5", "Upload-Metadata": metadata}, data=b"12345",
        )  # fmt: skip
        assert response.status_code == 201, (name, response.text)
        video = Video.objects.get(pk=response.headers["Videoproc-Video"])
        assert video.name.isprintable()
        assert "\n" not in video.name
        assert len(video.name) <= 255
        assert storage.source_path(video.pk).name == "source"
        shown: Any = alices_client.get(f"/api/v1/videos/{video.pk}/file")
        header = shown["Content-Disposition"]
        assert re.fullmatch(r"[\x20-\x7e]+", header), name
        assert header.startswith("attachment; filename")
        one_parameter = r"attachment; filename=\"[^\"/\\]+\"(; filename\*=UTF-8''[\w.%~!#$&+^`|-]+)?"
        assert re.fullmatch(one_parameter, header), header
    names = {path.name for path in media.rglob("*") if path.is_file()}
    assert names == {"source"}


def test_twins_in_unicode_are_one_name(alice_uploads: Client) -> None:
    """36: composed and decomposed letters look alike, so they are stored alike."""
    for name in ("caf\u00e9.mp4", "cafe\u0301.mp4"):
        metadata = f"filename {base64.b64encode(name.encode()).decode()}"
        headers = {**BYTES, "Upload-Length": "1", "Upload-Metadata": metadata}
        assert alice_uploads.call("POST", "/api/v1/uploads", headers=headers, data=b"1").status_code == 201
    assert set(Video.objects.values_list("name", flat=True)) == {"caf\u00e9"}


def test_a_megabyte_of_metadata(alice_uploads: Client) -> None:
    """42: the server refuses it before anything is made of it."""
    for size in (20_000, 1_000_000):
        metadata = f"filename {base64.b64encode(b'n' * size).decode()}"
        try:
            response = alice_uploads.create(5, **{"Upload-Metadata": metadata})
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):  # hung up on
            continue
        assert response.status_code in {201, 400, 413, 431}, response.text
        if response.status_code == 201:
            assert len(Upload.objects.get().filename) <= 255
            Upload.objects.all().delete()
    assert not Upload.objects.exists()


# 39: numbers that no picture and no clock has.
NUMBERS = [float("nan"), float("inf"), -1, 1e308, -1e308, 2**63, "NaN", "1e308", "-0:01", [], {}, "\x00"]
WISHES = [
    ("crop", "width", {"x": 0, "y": 0, "height": 10}), ("crop", "x", {"y": 0, "width": 10, "height": 10}),
    ("resize", "width", {}), ("resize", "height", {}), ("trim", "start", {"end": 2}),
    ("trim", "end", {"start": 0}), ("thumbnail", "at", {}), ("speed", "factor", {}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "field", "others"), WISHES)
@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_that_cannot_be(operation: str, field: str, others: dict[str, object], value: object) -> None:
    with pytest.raises(Problem) as caught:
        parameters_for(operation, {**others, field: value})
    assert caught.value.code == "invalid_parameters"
    assert caught.value.errors


def test_an_end_before_its_beginning() -> None:
    with pytest.raises(Problem) as caught:
        parameters_for("trim", {"start": 5, "end": 2})
    assert caught.value.code == "invalid_parameters"


# 55 and 40: bodies.
BODIES: dict[str, bytes] = {
    "a hundred thousand brackets": b"[" * 100_000,
    "closed as well": b"[" * 100_000 + b"]" * 100_000,
    "objects in objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a number of a million digits": b'{"type":"resize","parameters":{"width":' + b"9" * 1_000_000 + b"}}",
    "not a number": b'{"type":"resize","parameters":{"width":NaN}}',
    "infinity": b'{"type":"resize","parameters":{"width":-Infinity}}',
    "a list": b"[1,2,3]",
    "a word": b'"resize"',
    "null": b"null",
    "nothing": b"",
    "bytes that are no text": b"\xff\xfe\xfd",
    "half a surrogate": b'{"type":"\\ud800","parameters":{}}',
    "a NUL": b'{"type":"re\\u0000size","parameters":{"width":64}}',
    "an unknown key": b'{"type":"resize","parameters":{"width":64,"__proto__":{"x":1}}}',
    "a key twice": b'{"type":"resize","type":"teleport","parameters":{"width":64}}',
    "parameters of another type": b'{"type":"resize","parameters":[["width",64]]}',
    "a type of another type": b'{"type":{"$ne":null},"parameters":{"width":64}}',
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(alices_client: APIClient, video: Video, name: str) -> None:
    response: Any = alices_client.post(
        OPERATIONS.format(video.pk), data=BODIES[name], content_type="application/json"
    )
    problem = response.json()
    assert 400 <= response.status_code < 500, problem
    assert problem["code"] in KINDS
    assert response["Content-Type"] == "application/problem+json"
    assert alices_client.get(OPERATIONS.format(video.pk)).json()["data"] == []


def test_a_body_larger_than_any_request(alices_client: APIClient, video: Video) -> None:
    body = b'{"type":"resize","parameters":{"width":64},"x":"' + b"x" * 3 * 1024**2 + b'"}'
    response: Any = alices_client.post(
        OPERATIONS.format(video.pk), data=body, content_type="application/json"
    )
    assert response.status_code in {400, 413}
    assert response.json()["code"] in KINDS


# 56: lists.
@pytest.mark.parametrize(
    "query",
    [
        "ordering=owner__password", "ordering=owner__email", "ordering=-id,password", "cursor=%00",
        "cursor=x", "cursor=" + "A" * 5000, "status=%00", "limit=-1", "limit=abc", "limit=1e9",
        "q=" + "(" * 3000, "q=(a%2B)%2B%24" + "a" * 200, "q=%00", "owner__password__startswith=x",
    ],
)  # fmt: skip
def test_queries(alices_client: APIClient, video: Video, query: str) -> None:
    began = time.monotonic()
    response: Any = alices_client.get(f"/api/v1/videos?{query}")
    assert response.status_code in {200, 400, 404, 422}, response.content[:200]
    assert time.monotonic() - began < 10
    if response.status_code == 200:
        assert len(response.json()["data"]) <= 1
    else:
        assert response.json()["code"] in KINDS
    assert "pbkdf2" not in response.content.decode()
    if "password" in query and "ordering" in query:
        assert response.status_code != 200


def test_a_page_has_an_end(alices_client: APIClient, alice: User) -> None:
    Video.objects.bulk_create(Video(owner=alice, name=str(number), size=1) for number in range(205))
    response: Any = alices_client.get("/api/v1/videos?limit=1000000000")
    assert response.status_code == 200
    assert len(response.json()["data"]) == 200


# 53: two readings of one request.
SMUGGLED = {
    "a length and chunks": "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "two lengths": "Content-Length: 3\r\nContent-Length: 5\r\n\r\n12345",
    "a length with a plus": "Content-Length: +5\r\n\r\n12345",
    "chunks twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunks of a wrong size": "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    "a header folded": "X-A: b\r\n Content-Length: 5\r\n\r\n",
    "a name with a space": "Content-Length : 5\r\n\r\n12345",
    "a NUL in a header": "X-A: a\0b\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_smuggling(alice_uploads: Client, name: str) -> None:
    """One answer, which is a refusal, and the rest of the bytes is never read as a second request."""
    where = urlsplit(alice_uploads.url)
    second = "GET /api/v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=5) as peer:
        peer.sendall(
            (
                "POST /api/v1/uploads HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n"
                f"Authorization: {alice_uploads.headers['Authorization']}\r\n{SMUGGLED[name]}{second}"
            ).encode()
        )
        peer.shutdown(socket.SHUT_WR)
        data = b""
        while piece := peer.recv(65536):
            data += piece
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", data)
    assert len(statuses) <= 1, data
    assert not statuses or statuses[0].startswith(b"4"), data
    assert not Upload.objects.exists()


# 63: credentials.
def test_a_revoked_token_stays_revoked(alice: User, anonymous: APIClient) -> None:
    record, text = token_create(user=alice, name="gone")
    assert anonymous.get("/api/v1/me", HTTP_AUTHORIZATION=f"Bearer {text}").status_code == 200
    record.delete()
    tries = [
        text, text.upper(), text.lower(), f" {text}", f"{text} ", f"{text}\x00", text[:-1], f"{text}=",
        text[:15], "null", "undefined", "none", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "' OR 1=1 --",
        "vp_" + "0" * 64,
    ]  # fmt: skip
    for one in tries:
        for scheme in ("Bearer", "Token", "bearer"):
            response: Any = anonymous.get("/api/v1/me", HTTP_AUTHORIZATION=f"{scheme} {one}")
            assert response.status_code == 401, one
            assert response.json()["code"] == "not_authenticated"
    assert anonymous.get(f"/api/v1/me?token={text}").status_code == 401


# 62: passwords.
@pytest.mark.parametrize("password", ["\x00" * 20, "a\x00b" * 9, "p" * 1_000_000, "\ud800" * 12])
def test_passwords_that_are_none(anonymous: APIClient, alice: User, password: str) -> None:
    body = json.dumps({"username": "alice", "password": password})
    signing_in: Any = anonymous.post("/api/v1/auth/login", data=body, content_type="application/json")
    assert signing_in.status_code in {400, 401, 413, 422}
    assert signing_in.json()["code"] in KINDS
    body = json.dumps({"username": "eve", "email": "eve@example.org", "password": password})
    signing_up: Any = anonymous.post("/api/v1/auth/register", data=body, content_type="application/json")
    assert signing_up.status_code in {400, 413, 422}
    assert signing_up.json()["code"] in KINDS
    assert not User.objects.filter(username="eve").exists()
