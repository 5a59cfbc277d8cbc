"""Moving in on a running site: people sign in as before, and their videos play. And a backup of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from engine.samples import sample_clip
from tests.e2e.site import Site

pytestmark = pytest.mark.e2e


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the site's account can walk to and write, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="videoproc-") as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_the_old_password_opens_the_door_and_the_video_plays(site: Site, folder: Path) -> None:
    original = folder / "storage" / "abcd1234" / "original.mp4"
    original.parent.mkdir(parents=True)
    sample_clip(original, seconds=1, width=160, height=90)
    (folder / "data").mkdir()
    people = [{"id": 1, "name": "Nöel Old", "username": "noel old", "password": "pässwort"}]
    videos = [{"videoId": "abcd1234", "name": "alt & schön", "extension": "mp4", "userId": 1}]
    for name, rows in (("users", people), ("sessions", []), ("videos", videos)):
        (folder / "data" / name).write_text(json.dumps(rows))
    said = site.manage("import_legacy", folder)
    run = said.split(", run ")[1].split()[0]

    with requests.Session() as http:
        http.trust_env = False
        credentials = {"username": "noel_old", "password": "pässwort"}
        token = http.post(f"{site.url}/api/v1/auth/login", json=credentials).json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        (video,) = http.get(f"{site.url}/api/v1/videos").json()["data"]
        assert video["name"] == "alt & schön"
        part = http.get(video["file_url"], headers={"Range": "bytes=100-299"})
        assert part.status_code == 206
        assert part.content == original.read_bytes()[100:300]
        assert http.get(video["thumbnail_url"]).headers["Content-Type"] == "image/jpeg"

        said = site.manage("backup", folder / "backup")
        assert "files" in said
        stored = folder / "backup" / "media" / "videos" / video["id"] / "source"
        assert stored.read_bytes() == original.read_bytes()

        assert "videos: 1" in site.manage("import_legacy", "--undo", run)
        assert http.get(video["file_url"]).status_code == 401
