"""Which interpreter the environment is made from: one that the site's account can start too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bootstrap.console import SetupFailed, say
from bootstrap.home import is_open

MINIMUM, LIMIT = (3, 11), (3, 15)
PLACES = ("/usr/bin", "/usr/local/bin", "/opt/python/bin")
NAMES = ("python3", "python3.13", "python3.12", "python3.14", "python3.11")
# Parts of an installation that the site has no use for.
NOT_COPIED = shutil.ignore_patterns(
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "__pycache__",
    "*.a",
    "include",
    "share",
)


def for_environment(home: Path, *, as_root: bool) -> Path:
    """This interpreter if the site's account can reach it, else another, else a copy. Raises SetupFailed."""
    own = Path(sys.executable).resolve()
    if not as_root or is_open(own):
        return own
    for place in PLACES:
        for name in NAMES:
            candidate = Path(place, name)
            if candidate.exists() and is_open(candidate) and _fits(candidate):
                return candidate.resolve()
    return _copy(home)


def _fits(python: Path) -> bool:
    test = f"import sys; sys.exit(not {MINIMUM} <= sys.version_info < {LIMIT})"
    return subprocess.run([str(python), "-I", "-c", test], check=False, capture_output=True).returncode == 0  # noqa: S603


def _copy(home: Path) -> Path:
    """Copy this interpreter's installation to where every account can reach it. Raises SetupFailed."""
    source = Path(sys.base_prefix).resolve()
    target = home / ".python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = target / "bin" / f"python{version}"
    if not python.exists():
        say(f"only root can reach {source}: copying Python {version} to {target}")
        draft = target.with_name(".python.new")
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "bin").mkdir(parents=True)
        shutil.copytree(
            source / "lib" / f"python{version}", draft / "lib" / f"python{version}", ignore=NOT_COPIED
        )
        for library in (source / "lib").glob("libpython*"):
            shutil.copy2(library, draft / "lib" / library.name)
        shutil.copy2(Path(sys.executable).resolve(), draft / "bin" / f"python{version}")
        for folder, _, files in os.walk(draft):
            Path(folder).chmod(0o755)
            for name in files:
                path = Path(folder, name)
                path.chmod(0o755 if os.access(path, os.X_OK) and path.stat().st_mode & 0o111 else 0o644)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    if not _fits(python):
        raise SetupFailed(
            f"The only Python here is below {source}, where the site's account cannot go, and a copy of it "
            "does not run. Install one for the whole machine (apt-get install python3), "
            "or start as an ordinary user."
        )
    return python
