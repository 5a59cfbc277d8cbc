"""What `bin/up` says when it cannot start, before it starts anything."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def up(var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    return subprocess.run(
        [sys.executable, "-m", "videoproc.up"],
        cwd=ROOT,
        env={**variables, "VIDEOPROC_VAR": str(var), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_taken_port_is_named_and_nothing_is_made(tmp_path: Path, taken_port: int) -> None:
    done = up(tmp_path / "var", PORT=str(taken_port))
    assert done.returncode == 1
    assert f"Port {taken_port} on 127.0.0.1 is taken by another program. Set PORT" in done.stderr
    assert not (tmp_path / "var" / "postgres").exists()


def test_a_second_start_with_the_same_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    with (tmp_path / "var" / "up.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("4711\n")
        held.flush()
        done = up(tmp_path / "var")
    assert done.returncode == 1
    assert "Videoproc is running already with" in done.stderr
    assert "process 4711" in done.stderr


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_makes_no_sense_is_refused(tmp_path: Path, port: str) -> None:
    done = up(tmp_path / "var", PORT=port)
    assert done.returncode == 1
    assert f"PORT='{port}': expected a whole number" in done.stderr
    assert "Traceback" not in done.stderr
