"""Wrong files and wrong requests get a clear answer, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from engine.samples import sample_clip
from tests.e2e.client import Client
from tests.e2e.site import Site

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def client(site: Site) -> Client:
    return Client(site.url)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    sample_clip(path, seconds=2, width=320, height=180)
    return path


@pytest.fixture(scope="module")
def video_id(client: Client, clip: Path) -> str:
    return str(client.ready_video(clip)["id"])


def test_text_renamed_to_mp4_is_refused_and_its_space_freed(client: Client) -> None:
    used = client.call("GET", "me", 200)["usage"]["storage_bytes"]
    video = client.video_settled(client.upload(b"this is not a film\n" * 1000, "holiday.mp4"))
    assert (video["status"], video["error"]["code"]) == ("failed", "not_a_video")
    assert client.call("GET", "me", 200)["usage"]["storage_bytes"] == used
    assert client.request("GET", f"videos/{video['id']}/file").status_code == 404


def test_an_empty_file_is_refused_at_the_door(client: Client) -> None:
    assert (
        client.call("POST", "videos", 400, params={"filename": "a.mp4"}, data=b"")["code"] == "upload_empty"
    )


def test_a_cut_off_file_says_so(client: Client, clip: Path) -> None:
    data = clip.read_bytes()
    video = client.video_settled(client.upload(data[: len(data) * 2 // 3]))
    assert (video["status"], video["error"]["code"]) == ("failed", "input_truncated")


@pytest.mark.parametrize(
    "parameters",
    [
        {"width": 0},
        {"width": -1},
        {"width": 1_000_000_000},
        {"width": "abc"},
        {},
        {"width": 64, "colour": "red"},
    ],
)
def test_wrong_parameters_are_named(client: Client, video_id: str, parameters: dict[str, object]) -> None:
    body = {"type": "resize", "parameters": parameters}
    problem = client.call("POST", f"videos/{video_id}/operations", 422, json=body)
    assert problem["code"] == "invalid_parameters"
    assert problem["errors"][0]["pointer"].startswith("/parameters")
    assert problem["errors"][0]["detail"]
    assert client.call("GET", f"videos/{video_id}/operations", 200)["data"] == []


def test_an_unknown_operation_is_refused(client: Client, video_id: str) -> None:
    body = {"type": "teleport", "parameters": {}}
    problem = client.call("POST", f"videos/{video_id}/operations", 422, json=body)
    assert problem["code"] == "unknown_operation"


def test_a_strangers_video_is_not_there(site: Site, video_id: str) -> None:
    stranger = Client(site.url)
    operation = {"type": "resize", "parameters": {"width": 64}}
    for method, path, body in [
        ("GET", f"videos/{video_id}", None),
        ("PATCH", f"videos/{video_id}", {"name": "mine now"}),
        ("DELETE", f"videos/{video_id}", None),
        ("GET", f"videos/{video_id}/file", None),
        ("GET", f"videos/{video_id}/thumbnail", None),
        ("GET", f"videos/{video_id}/operations", None),
        ("POST", f"videos/{video_id}/operations", operation),
    ]:
        assert stranger.call(method, path, 404, json=body)["code"] == "not_found", (method, path)


@pytest.mark.parametrize("path", ["me", "videos", "jobs", "uploads", "operations", "sessions"])
def test_without_a_token_nothing_is_told(site: Site, path: str) -> None:
    method = "POST" if path == "uploads" else "GET"
    reply = requests.request(
        method, f"{site.url}/api/v1/{path}", headers={"Tus-Resumable": "1.0.0"}, timeout=10
    )
    assert reply.status_code == 401
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["code"] == "not_authenticated"


def test_media_paths_are_not_reachable_directly(site: Site, video_id: str) -> None:
    for path in (f"/videos/{video_id}/source", f"/media/videos/{video_id}/source"):
        assert requests.get(site.url + path, timeout=10).status_code == 404
    forged = requests.get(
        f"{site.url}/api/v1/videos", headers={"X-Accel-Redirect": f"/videos/{video_id}/source"}, timeout=10
    )
    assert forged.status_code == 401
