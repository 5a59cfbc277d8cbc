"""The commands in bin/: make the environment current, then hand over to it."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

from bootstrap import frontend, home, installer, packages, stamps
from bootstrap.console import SetupFailed, run, say
from bootstrap.indexes import uv_environment

PROJECT = Path(__file__).resolve().parent.parent.parent
PYTHON_FOLDERS = ["problems", "telemetry", "engine", "users", "videos", "jobs", "videoproc"]


def main(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    name, rest = arguments[0], arguments[1:]
    # Ctrl-C ends set-up at once; the next start finds it unfinished and goes on.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    _open_standard_streams()
    os.umask(0o022)
    try:
        return COMMANDS[name](rest)
    except SetupFailed as failure:
        sys.stderr.write(f"\nVideoproc: {failure}\n")
        return 1


def _up(arguments: list[str]) -> int:
    folder = _prepared(development=False, port_check="--check" not in arguments)
    return _hand_over(folder, ["-m", "videoproc.up", *arguments])


def _test(arguments: list[str]) -> int:
    folder = _prepared(development=True)
    return _hand_over(folder, [str(folder / "bin" / "run-tests.py"), *arguments])


def _bench(arguments: list[str]) -> int:
    modules = (PROJECT / "tests" / "bench").glob("[a-z]*.py")
    known = sorted(file.stem for file in modules if "__main__" in file.read_text(encoding="utf-8"))
    names = list(takewhile(lambda word: not word.startswith("-"), arguments))
    if not names or set(names) - set(known):
        raise SetupFailed(f"usage: bin/bench NAME… [options], with names out of: {', '.join(known)}")
    folder = _prepared(development=True)
    for name in names:
        argv = [str(packages.python_of(folder)), "-m", f"tests.bench.{name}", *arguments[len(names) :]]
        if code := subprocess.run(argv, check=False, cwd=folder).returncode:  # noqa: S603 - our own module
            return code
    return 0


def _chaos(arguments: list[str]) -> int:
    return _hand_over(_prepared(development=True), ["-m", "tests.chaos", *arguments])


def _manage(arguments: list[str]) -> int:
    folder = _prepared(development=False)
    return _hand_over(folder, ["-m", "videoproc.embedded.manage", *arguments])


def _lock(arguments: list[str]) -> int:
    """Make the locks again from the short lists; with --upgrade, from the newest releases."""
    uv = installer.find_uv(PROJECT)
    if uv is None:
        raise SetupFailed("bin/lock needs uv: pip install uv")
    options = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    options += ["--no-emit-index-url", "--no-header", *arguments]
    bootstrap = PROJECT / "bin" / "bootstrap"
    for folder, name in (
        (PROJECT, "requirements"),
        (PROJECT, "requirements-dev"),
        (PROJECT, "requirements-node"),
        (bootstrap, "uv"),
    ):
        run(
            [uv, "pip", "compile", *options, f"{name}.in", "-o", f"{name}.txt"],
            environment=uv_environment(PROJECT),
            folder=folder,
        )
        say(f"{name}.txt")
    return 0


COMMANDS = {"up": _up, "test": _test, "bench": _bench, "chaos": _chaos, "manage": _manage, "lock": _lock}


def _prepared(*, development: bool, port_check: bool = False) -> Path:
    """The folder to run from, with everything in it up to date."""
    as_root = os.geteuid() == 0
    folder = home.choose_home(PROJECT, as_root=as_root)
    if folder != PROJECT:
        with stamps.locked(folder):
            home.update_home(PROJECT, folder)
    if not packages.is_current(folder, development=development) or not frontend.is_current(folder):
        if port_check:
            _refuse_taken_port()
        with stamps.locked(folder):
            packages.make_current(folder, development=development, as_root=as_root)
            frontend.make_current(folder)
    if as_root:
        packages.compile_code(folder, PYTHON_FOLDERS)
    return folder


def _refuse_taken_port() -> None:
    """Say it before minutes of set-up; the site checks again when it starts."""
    port = os.environ.get("PORT", "8000")
    if not port.isdecimal():
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((os.environ.get("VIDEOPROC_HOST") or "127.0.0.1", int(port)))
            probe.listen(1)
        except (OSError, OverflowError):
            raise SetupFailed(
                f"Port {port} is taken by another program. "
                "Set PORT to a free one, for example: PORT=8080 bin/up"
            ) from None


def _hand_over(folder: Path, arguments: list[str]) -> int:
    python = str(packages.python_of(folder))
    os.chdir(folder)
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
    sys.stdout.flush()
    os.execv(python, [python, *arguments])  # noqa: S606 - no shell is wanted


def _open_standard_streams() -> None:
    """A caller may have closed some: the next file opened would take their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            if not stat.S_ISCHR(os.fstat(number).st_mode):
                raise SetupFailed("the standard streams cannot be opened") from None
