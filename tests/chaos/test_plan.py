"""The parts of the chaos suite that need no site."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import audit
from tests.chaos.nemesis import CRASH_POINTS, FAULTS, plan
from tests.chaos.power import Line, commits_too_early, power_cut
from tests.chaos.tree import MUTANTS, ROOT

CODE = ("jobs", "videos", "videoproc", "users")


def test_a_seed_is_a_sequence() -> None:
    assert plan(7, 120) == plan(7, 120)
    assert plan(7, 120) != plan(8, 120)


def test_a_full_run_has_every_fault_and_every_crash_point() -> None:
    names = {card.name for card in plan(3, 170)}
    assert set(FAULTS) <= names
    assert {f"crash:{point}" for point in CRASH_POINTS} <= names


def test_short_runs_go_round() -> None:
    dealt = {card.name for seed in range(12) for card in plan(seed, 20)}
    assert {f"crash:{point}" for point in CRASH_POINTS} <= dealt
    assert set(FAULTS) <= dealt


def test_the_code_has_the_crash_points_of_the_list() -> None:
    found: list[str] = []
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            calls = re.findall(r"crash_point\(([^)]*)\)", path.read_text(encoding="utf-8"))
            found += [name for call in calls for name in re.findall(r'"(\w+)"', call)]
    assert sorted(set(found) - {"outputs_placed"}) == sorted(set(CRASH_POINTS) - {"outputs_placed"})
    assert "outputs_placed" in found


def test_mutants_fit_the_code() -> None:
    for mutant in MUTANTS:
        for patch in mutant.patches:
            assert (ROOT / patch.file).read_text(encoding="utf-8").count(patch.old) == 1, (mutant.name, patch)
        assert set(mutant.faults) <= set(FAULTS)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_armed_point_is_hit_once(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "here").write_text(str(int(number)))
    code = "from videos.crash_points import crash_point as at; at('elsewhere'); at('here'); print('on')"
    environment = {**os.environ, "VIDEOPROC_CRASH_POINTS": str(tmp_path)}
    argv = [sys.executable, "-c", code]
    first, second = (
        subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, check=False) for _ in range(2)
    )
    assert (first.returncode, first.stdout) == (-number, b"")
    assert (second.returncode, second.stdout) == (0, b"on\n")
    assert len(list(tmp_path.glob("here.hit-*"))) == 1


def line(kind: str, path: Path, *, at: int, old: Path | None = None, folder: bool = False) -> Line:
    there = path if path.exists() else (old or path)
    info = there.stat()
    return Line(
        at, "1.jsonl", "worker-encode", kind, str(path), str(old or ""), info.st_ino, info.st_size, folder
    )


def commit(at: int) -> Line:
    return Line(at, "1.jsonl", "worker-encode", "commit", "", "", 0, 0, folder=False)


def test_a_power_cut_takes_what_was_not_synced(tmp_path: Path) -> None:
    kept, cut, unnamed = (tmp_path / "outputs" / name for name in ("kept", "cut", "unnamed"))
    for path in (kept, cut, unnamed):
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"0123456789")
    (tmp_path / "uploads").mkdir()
    upload = tmp_path / "uploads" / "one"
    upload.write_bytes(b"01234")
    known = [
        line("fsync", upload, at=1),
        line("fsync", kept / "file", at=2),
        line("fsync", unnamed / "file", at=3),
    ]
    upload.write_bytes(b"0123456789")
    for number, path in enumerate((kept, cut, unnamed), start=4):
        known.append(line("rename", path / "file", at=number, old=tmp_path / "work" / "file"))
    known += [line("fsync", kept, at=8, folder=True), line("fsync", cut, at=9, folder=True)]

    lost = power_cut(tmp_path, known)

    assert (kept / "file").read_bytes() == b"0123456789"
    assert (cut / "file").read_bytes() == b""
    assert not (unnamed / "file").exists()
    assert upload.read_bytes() == b"01234"
    assert len(lost) == 3


def test_a_commit_before_the_disk_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "one"
    folder.mkdir(parents=True)
    file = folder / "file"
    file.write_bytes(b"x")
    bytes_synced, named = line("fsync", file, at=1), line("rename", file, at=2, old=tmp_path / "work" / "x")
    name_synced = line("fsync", folder, at=3, folder=True)

    assert commits_too_early(tmp_path, [bytes_synced, named, name_synced, commit(4)]) == []
    assert len(commits_too_early(tmp_path, [bytes_synced, named, commit(4), name_synced])) == 1
    assert len(commits_too_early(tmp_path, [named, name_synced, commit(4)])) == 1


def entry(kind: str, row: str, after: str, **more: str) -> audit.Entry:
    return audit.Entry(
        0.0, kind, row, more.get("job", "j"), more.get("before", ""), after, more.get("token", ""),
        more.get("result", ""), 1, "",
    )  # fmt: skip


def test_the_audit_sees_stale_writers_second_ends_and_late_results() -> None:
    first, second = entry("step", "s", "active", token="a"), entry("step", "s", "active", token="b")
    assert audit.written_by_stale_workers([first, second, entry("step", "s", "done", result="b")]) == []
    assert len(audit.written_by_stale_workers([first, second, entry("step", "s", "done", result="a")])) == 1

    end = entry("job", "j", "completed", before="active")
    assert audit.published_more_than_once([end]) == []
    assert len(audit.published_more_than_once([end, end])) == 1
    assert len(audit.moves_wrong([entry("job", "j", "active", before="cancelled")])) == 1

    cancelled = entry("job", "j", "cancelled", before="active")
    assert len(audit.shown_after_the_end([cancelled, entry("output", "o", "operation")])) == 1
