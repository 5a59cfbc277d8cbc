"""What is on the disk when a row says so: asked of the real calls, in their order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from users.ids import public_id_new
from videos import storage


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files and folders that were fsynced, in order."""
    found: list[Path] = []
    real = os.fsync

    def noting(descriptor: int) -> None:
        real(descriptor)
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", noting)
    return found


def test_the_very_first_result_outlives_a_power_cut(media: Path, synced: list[Path]) -> None:
    made = media / "work" / "made.mp4"
    made.parent.mkdir()
    made.write_bytes(b"result")
    target = storage.output_path(public_id_new("out"))

    storage.adopt(made, target)

    # The bytes, then each name on the way to them; also that of the folder for all results, made just now.
    assert synced[0] == made
    assert {target.parent, target.parent.parent, media} <= set(synced)


def test_the_clock_of_the_disk_is_not_that_of_the_process(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = storage.disk_now()
    monkeypatch.setattr("time.time", lambda: before + 86_400)
    assert abs(storage.disk_now() - before) < 3600
