"""The sandbox itself: how it is chosen and proved, what a tool can do in it, and its launcher."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import runner
from engine.binaries import ffmpeg_path, ffprobe_path
from engine.control import Control, Stopped
from engine.runner import Ending, Outcome
from engine.sandbox import attempts, choice, starting
from engine.sandbox.choice import SandboxTooWeak, choose, prove
from engine.sandbox.setting_up import LANDLOCK
from engine.sandbox.starting import LIMITS
from engine.types.limits import Limits
from tests.engine.clips import H264, Clips, picture
from tests.engine.layers import LAYERS, inside

__all__ = ["inside"]


@pytest.fixture
def other(clips: Clips) -> Path:
    """A video of another tenant."""
    return clips.made("tenant", *picture("64x64", seconds=1), *H264, "-f", "mpegts")


# ------------------------------------------------------------------------------------------- the choice


def test_this_machine_has_a_sandbox() -> None:
    assert LAYERS, "neither namespaces nor landlock"
    made = choose()
    assert made.layer == LAYERS[0]
    assert made.warning == ""


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_an_intruder_tries_works(layer: str) -> None:
    found = prove(layer)
    assert {name for name in attempts.NAMES if not found[name].startswith(attempts.STOPPED)} == set()
    assert found["allowed_read"] == "open: 1 bytes"
    assert found["allowed_write"] == "open: 1 byte"


def test_the_proof_would_notice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A layer that is set up and holds nothing is not taken."""
    for layer in LAYERS:
        found = prove(layer)
        monkeypatch.setattr(choice, "prove", lambda _, found=found: {**found, "other_file": "open: 1 bytes"})
        made = choose()
        assert made.layer == LIMITS
        assert "other_file" in made.refused[layer]
        assert "limits alone" in made.warning
        with pytest.raises(SandboxTooWeak, match="other_file"):
            choose(minimum=LANDLOCK)


def test_attempts_work_where_nothing_stops_them(tmp_path: Path) -> None:
    """Otherwise their failure inside a sandbox would prove nothing."""
    other = tmp_path / "other"
    other.write_text("x")
    with choice._listeners() as listening:
        found = attempts.carry_out(
            {
                "source": str(other),
                "scratch": str(tmp_path),
                "other": str(other),
                "outside": str(tmp_path / "new"),
                "pid": os.getppid(),
                **listening.addresses,
            }
        )
        assert set(listening.reached()) == {"loopback", "abstract_socket", "loopback_udp"}
    # A machine without a network of its own has nowhere to go to.
    assert {name for name in attempts.NAMES if found[name].startswith(attempts.STOPPED)} <= {"outside"}


@pytest.mark.parametrize("minimum", ["bubbles", "landlocked"])
def test_a_minimum_is_one_of_the_layers(monkeypatch: pytest.MonkeyPatch, minimum: str) -> None:
    monkeypatch.setattr(choice, "_chosen", None)
    monkeypatch.setenv(choice.MINIMUM, minimum)
    with pytest.raises(SandboxTooWeak, match="namespaces, landlock, limits"):
        choice.chosen()


def test_below_the_minimum_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choice, "_chosen", None)
    monkeypatch.setattr(choice, "SUPPORTED", False)
    monkeypatch.setenv(choice.MINIMUM, LANDLOCK)
    with pytest.raises(SandboxTooWeak, match="only on Linux"):
        runner.run([str(ffmpeg_path()), "-version"], cwd=tmp_path, limits=Limits(), control=Control())


# ----------------------------------------------------------------------------------- what a tool can do


@pytest.mark.parametrize("layer", LAYERS)
def test_a_source_cannot_be_written_and_nothing_else_is_seen(
    tmp_path: Path, clips: Clips, inside: Callable[[str], None], layer: str
) -> None:
    """Files, also where the command line says so: outputs go to the scratch folder or nowhere."""
    inside(layer)
    source = clips.container("mp4")
    before = source.read_bytes()
    work = tmp_path / "work"
    work.mkdir()
    outside = tmp_path / "outside.mp4"
    argv = [
        str(ffmpeg_path()),
        "-nostdin",
        "-y",
        "-v",
        "error",
        "-i",
        f"file:{source}",
        "-c",
        "copy",
        "-f",
        "mp4",
    ]
    for target in (source, outside):
        outcome = runner.run(
            [*argv, f"file:{work}/good.mp4", *argv[argv.index("-c") :], f"file:{target}"],
            cwd=work,
            limits=Limits(),
            control=Control(),
        )
        assert not outcome.succeeded
    assert source.read_bytes() == before
    assert not outside.exists()


@pytest.mark.parametrize("layer", LAYERS)
def test_no_link_survives_a_tool(
    tmp_path: Path, inside: Callable[[str], None], other: Path, layer: str
) -> None:
    """What would make us publish another tenant's file as a result."""
    inside(layer)
    script = f"#!/bin/sh\nln -s {other} link; mkfifo pipe; ln {other} hard; echo fine > good\n"
    folder = tmp_path / "work"
    outcome = shell(folder, script)
    assert "fine" in (folder / "good").read_text(), outcome.log
    assert sorted(path.name for path in folder.iterdir()) == ["good", "tool"]


def test_links_are_swept_where_nothing_stops_them(
    tmp_path: Path, inside: Callable[[str], None], other: Path
) -> None:
    inside(LIMITS)
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "ours").symlink_to(other)
    shell(folder, f"#!/bin/sh\nln -s {other} link; mkfifo pipe; mkdir -p in; ln -s {other} in/link\n")
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["in", "ours", "tool"]


def shell(folder: Path, script: str, *, limits: Limits | None = None) -> Outcome:
    """A script in the place of a media tool, with the folder as its scratch."""
    folder.mkdir(exist_ok=True)
    tool = folder / "tool"
    tool.write_text(script)
    tool.chmod(0o755)
    argv = [str(tool), f"file:{folder}/good"]
    return runner.run(argv, cwd=folder, limits=limits or Limits(), control=Control())


@pytest.mark.parametrize("layer", LAYERS)
def test_it_is_alone(tmp_path: Path, inside: Callable[[str], None], layer: str) -> None:
    """No other process to see or to signal, no home, no secrets, no password file."""
    inside(layer)
    outcome = shell(
        tmp_path / "work",
        f"#!/bin/sh\nkill -0 {os.getpid()} && echo signalled; ls /proc /home /root; cat /etc/passwd; env\n",
    )
    assert "signalled" not in outcome.stdout.decode()
    words = outcome.stdout.decode().split()
    assert {word.partition("=")[0] for word in words} <= {
        "PATH",
        "LC_ALL",
        "AV_LOG_FORCE_NOCOLOR",
        "PWD",
        "_",
        "OLDPWD",
        "SHLVL",
    }


# ----------------------------------------------------------------------------------------- the launcher


@pytest.mark.parametrize("layer", [*LAYERS, LIMITS])
def test_limits_hold_in_every_layer(tmp_path: Path, inside: Callable[[str], None], layer: str) -> None:
    inside(layer)
    limits = Limits(memory_bytes=3 * 1024**3, open_files=33, nice=7, max_output_bytes=512 * 1000)
    script = "#!/bin/sh\nulimit -v; ulimit -n; ulimit -c; nice; ulimit -f\n"
    outcome = shell(tmp_path / "work", script, limits=limits)
    assert outcome.stdout.decode().split() == [str(3 * 1024**2), "33", "0", str(os.nice(0) + 7), "1000"], (
        outcome.log
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_a_launcher_that_was_killed_is_replaced(
    tmp_path: Path, inside: Callable[[str], None], layer: str
) -> None:
    inside(layer)
    for _ in range(2):
        outcome = runner.run(
            [str(ffprobe_path()), "-version"], cwd=tmp_path, limits=Limits(), control=Control()
        )
        assert outcome.succeeded
        launcher = starting._own._launcher
        assert launcher is not None
        os.kill(launcher._pid, signal.SIGKILL)
        while Path(f"/proc/{launcher._pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_sandbox_that_cannot_be_set_up_is_told(
    tmp_path: Path, inside: Callable[[str], None], layer: str
) -> None:
    inside(layer)
    gone = tmp_path / "gone"
    gone.mkdir()
    argv = [str(ffmpeg_path()), "-version"]
    request = starting.start(argv, layer=layer, cwd=gone, limits=Limits())
    with request.stdout, request.stderr:
        assert b"ffmpeg" in request.stdout.read()
    os.waitpid(request.pid, 0)
    gone.rmdir()
    if layer == LANDLOCK:
        outcome = runner.run(argv, cwd=gone, limits=Limits(), control=Control())
        assert (outcome.ending, outcome.code) == (Ending.EXITED, 126)
        assert outcome.log.startswith("sandbox: cannot be set up: ")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_tool_ends_with_the_thread_that_started_it(
    tmp_path: Path, inside: Callable[[str], None], layer: str
) -> None:
    """And the launcher too: nothing is left of a thread."""
    inside(layer)
    control = Control()
    seen: list[int] = []

    def work() -> None:
        with pytest.raises(Stopped):
            runner.run(["/bin/sleep", "30"], cwd=tmp_path, limits=Limits(), control=control)
        launcher = starting._own._launcher
        assert launcher is not None
        seen.append(launcher._pid)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.3)
    control.stop()
    thread.join(timeout=10)
    assert seen
    assert not Path(f"/proc/{seen[0]}").exists()


def test_ffmpeg_with_shared_libraries_and_without(tmp_path: Path) -> None:
    """Both kinds start: the wheel's ffmpeg needs the C library, its ffprobe nothing."""
    for tool in (ffmpeg_path(), ffprobe_path()):
        outcome = runner.run([str(tool), "-version"], cwd=tmp_path, limits=Limits(), control=Control())
        assert outcome.succeeded, outcome.log
