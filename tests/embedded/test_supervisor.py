"""The supervisor with real processes: restart, order of stopping, nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from videoproc.embedded import logfile
from videoproc.embedded.leftovers import Register

ROOT = Path(__file__).resolve().parents[2]


class SmallSite:
    """A running `small_site`, with what it printed."""

    def __init__(self, folder: Path, *kinds: str) -> None:
        self.folder = folder
        self.output = folder / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.embedded.small_site", str(folder), *kinds],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def pid(self, kind: str) -> int:
        return int((self.folder / f"{kind}.pid").read_text())

    def wait_for(self, pattern: str, seconds: float = 20.0) -> None:
        wait_until(lambda: re.search(pattern, self.output.read_text()) is not None, seconds)


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def small_site(tmp_path: Path) -> Iterator[Callable[..., SmallSite]]:
    started: list[SmallSite] = []

    def start(*kinds: str) -> SmallSite:
        started.append(SmallSite(tmp_path, *kinds))
        return started[-1]

    yield start
    for site in started:
        if site.process.poll() is None:
            site.process.kill()
        site.process.wait(timeout=10)


def test_a_service_that_dies_is_started_again(small_site: Callable[..., SmallSite]) -> None:
    site = small_site("plain")
    site.wait_for("all ready")
    first = site.pid("plain")
    os.kill(first, signal.SIGKILL)
    site.wait_for(r"plain ended \(signal SIGKILL\); starting it again in 0\.5 s\n.*plain ready")
    assert site.pid("plain") != first
    assert not is_gone(site.pid("plain"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(small_site: Callable[..., SmallSite], number: signal.Signals) -> None:
    site = small_site("plain", "parent")
    site.wait_for("all ready")
    pids = [site.pid("plain"), site.pid("parent"), int((site.folder / "parent.pid.child").read_text())]
    site.process.send_signal(number)
    assert site.process.wait(timeout=15) == 0
    assert all(is_gone(pid) for pid in pids)


def test_one_that_does_not_listen_is_killed_within_the_promise(small_site: Callable[..., SmallSite]) -> None:
    site = small_site("deaf")
    site.wait_for("all ready")
    began = time.monotonic()
    site.process.terminate()
    assert site.process.wait(timeout=15) == 0
    assert time.monotonic() - began < 15
    assert is_gone(site.pid("deaf"))


def test_a_second_request_to_stop_does_not_wait(small_site: Callable[..., SmallSite]) -> None:
    site = small_site("deaf")
    site.wait_for("all ready")
    began = time.monotonic()
    site.process.terminate()
    time.sleep(0.5)
    site.process.send_signal(signal.SIGINT)
    assert site.process.wait(timeout=15) == 0
    assert time.monotonic() - began < 4


def test_killing_the_supervisor_kills_its_services(small_site: Callable[..., SmallSite]) -> None:
    site = small_site("plain", "deaf")
    site.wait_for("all ready")
    pids = [site.pid("plain"), site.pid("deaf")]
    site.process.kill()
    wait_until(lambda: all(is_gone(pid) for pid in pids), 5)


def test_leftovers_of_a_killed_run_are_ended_by_the_next(tmp_path: Path) -> None:
    survivor = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    earlier = Register(tmp_path / "processes.json")
    earlier.note(survivor.pid)
    assert Register(tmp_path / "processes.json").end_earlier() == 1
    assert is_gone(survivor.pid)
    survivor.wait(timeout=5)


def test_a_pid_that_is_used_again_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text(f'{{"{os.getpid()}": 1.0}}')
    assert Register(tmp_path / "processes.json").end_earlier() == 0


def test_one_that_never_comes_up_ends_the_start_with_its_log(small_site: Callable[..., SmallSite]) -> None:
    site = small_site("plain", "broken")
    assert site.process.wait(timeout=30) == 1
    text = site.output.read_text()
    assert "failed: broken does not start (exit 1)" in text
    assert "this cannot work" in text
    assert is_gone(site.pid("plain"))


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "LARGEST_BYTES", 100)
    monkeypatch.setattr(logfile, "LOOK_EACH_SECONDS", 0.0)
    log = logfile.LogFile(tmp_path / "web.log")
    with log.open() as stream:
        stream.write(b"a" * 200)
        stream.flush()
        log.rotate_if_large()
        stream.write(b"after\n")
        stream.flush()
    assert (tmp_path / "web.log").read_bytes() == b"after\n"
    assert (tmp_path / "web.log.1").read_bytes() == b"a" * 200
