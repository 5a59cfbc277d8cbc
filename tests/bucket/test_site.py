"""A whole site whose media are in a bucket."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.samples import sample_clip
from tests.bucket.seaweed import NAME, Server
from tests.e2e.client import Client
from tests.e2e.site import Site, running_site

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(seaweed: Server) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="videoproc-") as folder:
        Path(folder).chmod(0o755)
        with running_site(Path(folder), seaweed.environment | {"VIDEOPROC_S3_PREFIX": "site/"}) as site:
            yield site


def forgotten(site: Site) -> None:
    """As on another machine: nothing of the media is on its disk."""
    for kind in ("videos", "outputs"):
        shutil.rmtree(site.var / "media" / kind)


def test_from_upload_to_download_with_nothing_on_the_disk(site: Site, tmp_path: Path) -> None:
    client = Client(site.url)
    clip = tmp_path / "clip.mp4"
    sample_clip(clip, seconds=2)
    video = client.ready_video(clip)
    forgotten(site)
    job = client.job_ended(client.operation(video, "resize", height=120)["job"]["id"])
    assert job["status"] == "completed", job["error"]
    forgotten(site)

    original = client.absolute(video["file_url"])
    whole = client.request("GET", original)
    assert whole.content == clip.read_bytes()
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert whole.headers["Content-Disposition"].startswith("attachment")
    assert not [name for name in whole.headers if "amz" in name.lower() or "bucket" in name.lower()]
    etag = whole.headers["ETag"]

    part = client.request("GET", original, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    same = client.request("GET", original, headers={"Range": "bytes=10-19", "If-Range": etag})
    assert (same.status_code, same.content) == (206, whole.content[10:20])
    other = client.request("GET", original, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert client.request("GET", original, headers={"If-None-Match": etag}).status_code == 304
    head = client.request("HEAD", original)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole.content)))
    assert client.request("GET", original, headers={"Range": "bytes=99999999-"}).status_code == 416

    archive = client.request("GET", client.absolute(f"/api/v1/videos/{video['id']}/archive"))
    assert archive.status_code == 200
    assert archive.content[:2] == b"PK"


def test_what_is_gone_from_the_bucket_is_an_error_of_ours(
    site: Site, seaweed: Server, tmp_path: Path
) -> None:
    client = Client(site.url)
    clip = tmp_path / "clip.mp4"
    sample_clip(clip, seconds=1)
    video = client.ready_video(clip)
    seaweed.client().delete_object(Bucket=NAME, Key=f"site/videos/{video['id']}/source")
    answer = client.request("GET", client.absolute(video["file_url"]))
    assert answer.status_code == 503
    assert "Content-Disposition" not in answer.headers
