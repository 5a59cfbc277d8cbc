"""The virtual environment in .venv: made once, brought up to date when the lock of requirements changes.

.venv/.videoproc.json   what is in it; written last
.venv/.unfinished       there while it is being changed: after a kill it is made anew
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bootstrap import indexes, installer, interpreter, stamps
from bootstrap.console import SetupFailed, run, say, step
from bootstrap.home import is_open

STAMP = ".videoproc.json"
RUNTIME, DEVELOPMENT = "requirements.txt", "requirements-dev.txt"
NO_WAY = """Neither uv nor pip could install the packages. On Debian and Ubuntu this usually helps:
    apt-get install python3-venv ca-certificates
What was tried last:
"""


def python_of(home: Path) -> Path:
    """The environment's interpreter."""
    return home / ".venv" / "bin" / "python"


def is_current(home: Path, *, development: bool) -> bool:
    """Whether the environment has what the locks say."""
    known = stamps.read(home / ".venv" / STAMP)
    wanted = _wanted(home, development=development)
    return python_of(home).exists() and all(known.get(name) == value for name, value in wanted.items())


def make_current(home: Path, *, development: bool, as_root: bool) -> None:
    """Install what the locks say. Raises SetupFailed. The caller holds the set-up lock."""
    if is_current(home, development=development):
        return
    folder = home / ".venv"
    # What the tests need stays once it is in: bin/up must not undo bin/test.
    known = stamps.read(folder / STAMP)
    development = development or bool(known.get(DEVELOPMENT))
    base = interpreter.for_environment(home, as_root=as_root)
    mark = folder / ".unfinished"
    same_place = not known or known.get("folder") == str(folder)
    reusable = same_place and not mark.exists() and _runs(home, as_root=as_root)
    # Nor may it take a developer's tools out of an environment that was made by hand.
    development = development or (reusable and not known)
    with step("installing Python packages"):
        _install(home, base, reusable=reusable, development=development, as_root=as_root)
    stamps.write(folder / STAMP, _wanted(home, development=development))
    mark.unlink()


def _install(home: Path, base: Path, *, reusable: bool, development: bool, as_root: bool) -> None:
    folder = home / ".venv"
    lock = home / (DEVELOPMENT if development else RUNTIME)
    failure = SetupFailed("there is no uv")
    if uv := installer.find_uv(home):
        environment = indexes.uv_environment(home)
        if as_root:
            # Hard links would carry the modes of root's cache, which may be closed to others.
            environment["UV_LINK_MODE"] = "copy"
        # The second try trusts the system's own certificates: a private index may need that.
        for more in ({}, {"UV_SYSTEM_CERTS": "1"}):
            try:
                _install_by_uv(uv, home, base, lock, environment | more, reusable=reusable)
            except SetupFailed as error:
                failure = error
            else:
                return
        say("uv could not do it; trying pip")
    try:
        _install_by_pip(folder, base, lock)
    except SetupFailed as error:
        raise SetupFailed(f"{NO_WAY}{failure}\n{error}") from error


def _install_by_uv(
    uv: Path, home: Path, base: Path, lock: Path, environment: dict[str, str], *, reusable: bool
) -> None:
    folder = home / ".venv"
    if not reusable:
        run([uv, "venv", "--quiet", "--clear", "--python", base, folder], environment=environment)
    (folder / ".unfinished").touch()
    (folder / STAMP).unlink(missing_ok=True)
    options: list[str | Path] = [
        "--quiet",
        "--require-hashes",
        "--compile-bytecode",
        "--python",
        python_of(home),
    ]
    run([uv, "pip", "sync", *options, lock], environment=environment)


def _install_by_pip(folder: Path, base: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    run([base, "-m", "venv", folder], environment=os.environ)
    (folder / ".unfinished").touch()
    options = ["--quiet", "--require-hashes", "--disable-pip-version-check"]
    run([folder / "bin" / "python", "-m", "pip", "install", *options, "-r", lock], environment=os.environ)


def _wanted(home: Path, *, development: bool) -> dict[str, Any]:
    locks = [RUNTIME, DEVELOPMENT] if development else [RUNTIME]
    hashes = {name: stamps.digest([home / name], home) for name in locks}
    return {**hashes, "folder": str(home / ".venv")}


def _runs(home: Path, *, as_root: bool) -> bool:
    """Whether there is an environment that works, also for the site's account."""
    python = python_of(home)
    if not python.exists() or (as_root and not is_open(python)):
        return False
    return subprocess.run([str(python), "-c", ""], check=False, capture_output=True).returncode == 0  # noqa: S603


def compile_code(home: Path, folders: list[str]) -> None:
    """Compile the project's own modules, which the site's account may not be allowed to do."""
    present = [folder for folder in folders if (home / folder).is_dir()]
    run([python_of(home), "-m", "compileall", "-q", *present], environment=os.environ, folder=home)
