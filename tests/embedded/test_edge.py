"""The Caddyfile, with the real Caddy: bytes of files, routes, and what clients cannot make it believe."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.test_supervisor import wait_until
from videoproc.embedded import caddy

ROOT = Path(__file__).resolve().parents[2]
BYTES = bytes(range(256)) * 4000


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Edge:
    port: int

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body=body, headers=named)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    media, static = folder / "media", folder / "my static"
    (media / "videos" / "vid_1").mkdir(parents=True)
    (media / "videos" / "vid_1" / "source").write_bytes(BYTES)
    (folder / "secret").write_text("not for you")
    static.mkdir()
    (static / "app.0123456789ab.css").write_text("body{}")
    (static / "app.css").write_text("body{}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sockets = {name: folder / f"{name}.sock" for name in ("web", "uploads", "flower")}
    environment = {
        **os.environ,
        "VIDEOPROC_SITE_ADDRESS": f"http://:{port}",
        "VIDEOPROC_BIND": "127.0.0.1",
        "VIDEOPROC_MEDIA": str(media),
        "VIDEOPROC_STATIC": str(static),
        "XDG_DATA_HOME": str(folder),
        "HOME": str(folder),
        **{f"VIDEOPROC_{name.upper()}": f"unix/{address}" for name, address in sockets.items()},
    }
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "tests.embedded.edge_app:app",
                "--uds",
                str(address),
                "--lifespan",
                "off",
            ],
            cwd=ROOT,
            env={**os.environ, "EDGE_APP": name},
            stderr=subprocess.DEVNULL,
        )
        for name, address in sockets.items()
    ]
    children.append(subprocess.Popen(caddy.argv(ROOT), env=environment, stderr=subprocess.DEVNULL))
    edge = Edge(port)

    def is_up() -> bool:
        try:
            paths = ("/", "/api/v1/uploads")
            return all(address.exists() for address in sockets.values()) and all(
                edge.ask(path).status == 200 for path in paths
            )
        except OSError:
            return False

    try:
        wait_until(is_up, 30)
        yield edge
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(timeout=20)


def test_the_edge_serves_the_bytes_with_the_headers_of_the_site(edge: Edge) -> None:
    answer = edge.ask("/file")
    assert answer.body == BYTES
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''clip.mp4"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["etag"] == '"by-content"'
    assert answer.headers["content-length"] == str(len(BYTES))
    assert "x-accel-redirect" not in answer.headers


@pytest.mark.parametrize(
    ("wanted", "got", "content_range"),
    [
        ("bytes=0-9", BYTES[:10], f"bytes 0-9/{len(BYTES)}"),
        ("bytes=1000-1999", BYTES[1000:2000], f"bytes 1000-1999/{len(BYTES)}"),
        ("bytes=-5", BYTES[-5:], f"bytes {len(BYTES) - 5}-{len(BYTES) - 1}/{len(BYTES)}"),
    ],
)
def test_ranges(edge: Edge, wanted: str, got: bytes, content_range: str) -> None:
    answer = edge.ask("/file", Range=wanted)
    assert (answer.status, answer.body, answer.headers["content-range"]) == (206, got, content_range)


def test_several_ranges_come_in_parts(edge: Edge) -> None:
    answer = edge.ask("/file", Range="bytes=0-3,1000-1003,-4")
    assert answer.status == 206
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    wanted = [BYTES[:4], BYTES[1000:1004], BYTES[-4:]]
    parts = answer.body.split(f"--{boundary}".encode())[1:-1]
    assert [part.partition(b"\r\n\r\n")[2][:-2] for part in parts] == wanted
    assert f"Content-Range: bytes 1000-1003/{len(BYTES)}".encode() in parts[1]
    assert b"Content-Type: video/mp4" in parts[1]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_ranges_that_are_more_than_the_file_get_the_file(edge: Edge) -> None:
    answer = edge.ask("/file", Range="bytes=" + ",".join(["0-"] * 50))
    assert (answer.status, len(answer.body)) == (200, len(BYTES))


def test_conditions_by_date(edge: Edge) -> None:
    changed = edge.ask("/file").headers["last-modified"]
    long_ago = "Mon, 01 Jan 2001 00:00:00 GMT"
    assert edge.ask("/file", If_Modified_Since=changed).status == 304
    assert edge.ask("/file", If_Modified_Since=long_ago).status == 200
    assert edge.ask("/file", If_Unmodified_Since=long_ago).status == 412
    assert edge.ask("/file", If_Match='"older"').status == 412
    assert edge.ask("/file", Range="bytes=0-9", If_Range=changed).status == 206
    assert edge.ask("/file", Range="bytes=0-9", If_Range=long_ago).status == 200


@pytest.mark.parametrize("path", ["/api/v1/archive?video=vid_1", "/api/v1/videos/vid_1/archive"])
def test_zips_come_from_the_process_that_streams(edge: Edge, path: str) -> None:
    answer = edge.ask(path)
    assert answer.json["path"] == path.partition("?")[0]
    assert answer.json["process"] == "uploads"
    assert edge.ask(path, "POST").json["process"] == "web"


def test_a_range_beyond_the_end_is_416(edge: Edge) -> None:
    assert edge.ask("/file", Range=f"bytes={len(BYTES)}-").status == 416


def test_head_has_the_size_and_no_body(edge: Edge) -> None:
    answer = edge.ask("/file", "HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(len(BYTES)), b"")


def test_conditions_are_answered_by_the_etag_of_the_site(edge: Edge) -> None:
    assert edge.ask("/file", If_None_Match='"by-content"').status == 304
    assert edge.ask("/file", Range="bytes=0-9", If_Range='"by-content"').status == 206
    assert edge.ask("/file", Range="bytes=0-9", If_Range='"older"').status == 200


@pytest.mark.parametrize("path", ["/gone", "/escape"])
def test_what_is_not_in_the_media_folder_is_404(edge: Edge, path: str) -> None:
    answer = edge.ask(path)
    assert answer.status == 404
    assert b"not for you" not in answer.body


@pytest.mark.parametrize("path", ["/videos/vid_1/source", "/media/videos/vid_1/source"])
def test_files_have_no_address_of_their_own(edge: Edge, path: str) -> None:
    assert edge.ask(path).json["path"] == path  # it went to Django, which knows no such page


def test_a_client_cannot_ask_for_a_file_by_header(edge: Edge) -> None:
    answer = edge.ask("/", X_Accel_Redirect="/videos/vid_1/source", X_Sendfile_Type="X-Accel-Redirect")
    assert not {"x-accel-redirect", "x-sendfile-type"} & answer.json["headers"].keys()


def test_what_a_client_says_about_itself_is_replaced(edge: Edge) -> None:
    sent = {
        "X_Forwarded_For": "6.6.6.6",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "evil.example",
        "X_Real_Ip": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "Daphne_Root_Path": "/evil",
    }
    for path in ("/", "/api/v1/uploads"):
        seen = edge.ask(path, "GET", None, **sent).json["headers"]
        assert seen["x-forwarded-for"] == "127.0.0.1"
        assert seen["x-forwarded-proto"] == "http"
        assert seen["x-forwarded-host"] == f"127.0.0.1:{edge.port}"
        assert not {"x-real-ip", "forwarded", "daphne-root-path"} & seen.keys()


@pytest.mark.parametrize(
    "path", ["/internal/staff", "//internal/staff", "/%69nternal/staff", "/INTERNAL/staff"]
)
def test_inner_doors_are_closed(edge: Edge, path: str) -> None:
    assert edge.ask(path).status == 404


def test_large_bodies_go_to_uploads_only(edge: Edge) -> None:
    body = b"x" * (11 * 1024**2)
    assert edge.ask("/api/v1/videos", "POST", body).json["size"] == len(body)
    assert edge.ask("/api/v1/uploads/upl_1", "PATCH", body).json["size"] == len(body)
    answer = edge.ask("/api/v1/me", "POST", body)
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "payload_too_large"


def test_flower_is_for_staff(edge: Edge) -> None:
    assert edge.ask("/flower").headers["location"] == "/flower/"
    stranger = edge.ask("/flower/workers")
    assert (stranger.status, stranger.headers["location"]) == (302, "/accounts/login/")
    staff = edge.ask("/flower/workers", Cookie="staff")
    assert staff.json["path"] == "/flower/workers"
    assert "cookie" not in staff.json["headers"]


@pytest.mark.parametrize("path", ["/flower/metrics", "/flower/healthcheck", "/flower//metrics"])
def test_flower_answers_nothing_unguarded(edge: Edge, path: str) -> None:
    assert edge.ask(path, Cookie="staff").status == 404


def test_static_files_named_by_content_are_kept_for_ever(edge: Edge) -> None:
    hashed = edge.ask("/static/app.0123456789ab.css")
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashed.headers["x-content-type-options"] == "nosniff"
    assert edge.ask("/static/app.css").headers["cache-control"] == "public, max-age=3600"
    assert edge.ask("/static/none.css").status == 404


def test_the_edge_does_not_say_what_it_is(edge: Edge) -> None:
    for path in ("/", "/file", "/gone", "/static/app.css"):
        assert not {"server", "via"} & edge.ask(path).headers.keys()
