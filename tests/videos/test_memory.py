"""However large a file is, the process that takes it stays small."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.videos.conftest import uploader
from users.models import User
from videos import storage

MEGABYTES = 200


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tus", "form"])
def test_is_flat_and_the_bytes_are_the_same(
    uploads_process: tuple[psutil.Process, str],
    alice: User,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    form: str,
) -> None:
    server, address = uploads_process
    token = uploader("", alice).headers["Authorization"]
    source = tmp_path / "large.bin"
    digest = hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(MEGABYTES):
            block = os.urandom(1024**2)
            digest.update(block)
            file.write(block)
    curl = ["curl", "-sS", "--fail-with-body", "--unix-socket", address, "-H", f"Authorization: {token}"]
    curl += ["-H", "Tus-Resumable: 1.0.0", "-i"]
    warm_up = subprocess.run(
        [*curl, "-F", f"file=@{__file__}", "http://127.0.0.1/api/v1/videos"], check=True, capture_output=True
    )
    assert b" 201 " in warm_up.stdout.splitlines()[0]
    before = server.memory_info().rss

    if form == "form":
        sending = [*curl, "-F", f"file=@{source}", "http://127.0.0.1/api/v1/videos"]
    else:
        length = f"Upload-Length: {source.stat().st_size}"
        made = subprocess.run(
            [*curl, "-X", "POST", "-H", length, "http://127.0.0.1/api/v1/uploads"],
            check=True,
            capture_output=True,
            text=True,
        )
        place = next(
            line.partition(": ")[2]
            for line in made.stdout.splitlines()
            if line.lower().startswith("location")
        )
        sending = [*curl, "-X", "PATCH", "-T", str(source), "-H", "Upload-Offset: 0"]
        sending += ["-H", "Content-Type: application/offset+octet-stream", f"http://127.0.0.1{place.strip()}"]
    began = time.monotonic()
    with subprocess.Popen(sending, stdout=subprocess.PIPE, text=True) as client:
        peak = before
        while client.poll() is None:
            peak = max(peak, server.memory_info().rss)
            time.sleep(0.02)
        answer = client.stdout.read() if client.stdout else ""
    rate = MEGABYTES / (time.monotonic() - began)

    assert client.returncode == 0, answer
    saved = next(
        iter(
            path
            for path in storage.source_path("vid_" + "0" * 32).parents[1].glob("*/source")
            if path.stat().st_size == source.stat().st_size
        )
    )
    with saved.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.hexdigest()
    growth = (peak - before) / 1024**2
    record_property("megabytes_per_second", round(rate))
    assert growth < 20, f"{growth:.1f} MiB more at the peak"
