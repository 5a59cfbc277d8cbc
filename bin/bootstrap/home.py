"""Where the code runs from: the project's folder, or a copy that the site's account can reach.

Root gives up its rights for the processes that handle strangers' files. The account that they run under must
be able to walk to the code, the interpreter and the state; a project below a closed home (0700) is copied to
/var/lib/videoproc instead. Nothing above the project is ever opened.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path

from bootstrap.console import SetupFailed, say

SHARED = Path("/var/lib/videoproc")
# Made on the spot, private to a developer, or state: not part of the code.
NOT_CODE = frozenset(
    {
        ".git",
        ".venv",
        ".tools",
        ".ci",
        ".python",
        ".env",
        "var",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".import_linter_cache",
        ".hypothesis",
    }
)
BUILT = Path("frontend/dist")


def choose_home(project: Path, *, as_root: bool) -> Path:
    """The folder to run from: the project's own where the site's account can reach it. Raises SetupFailed."""
    if not as_root or is_open(project):
        return project
    digest = hashlib.sha256(os.fsencode(project)).hexdigest()[:10]
    home = SHARED / digest
    if not is_open(SHARED.parent):
        raise SetupFailed(
            f"The site's unprivileged account cannot reach {project}, nor {SHARED}. "
            "Move the project to a folder that every account can enter, such as /srv."
        )
    for folder in (SHARED, home):
        folder.mkdir(mode=0o755, exist_ok=True)
        if folder.lstat().st_uid != 0 or not stat.S_ISDIR(folder.lstat().st_mode):
            raise SetupFailed(f"{folder} does not belong to root. Move it away and start again.")
        folder.chmod(0o755)
    return home


def update_home(project: Path, home: Path) -> None:
    """Bring a copy up to date, and make the project's var a link to its state. Raises SetupFailed."""
    if copied := copy_code(project, home):
        say(f"only root can enter {project}: running from {home} ({copied} files brought up to date)")
    (home / "var").mkdir(mode=0o755, exist_ok=True)
    link_state(project / "var", home / "var")


def is_open(path: Path) -> bool:
    """Whether every account can walk to `path` and read there."""
    real = path.resolve()
    parents_open = all(
        parent.stat().st_mode & stat.S_IXOTH for parent in (real, *real.parents) if parent.is_dir()
    )
    return parents_open and bool(real.stat().st_mode & stat.S_IROTH)


def copy_code(project: Path, home: Path) -> int:
    """Make the code in `home` equal to the project's, readable for all; how many files that changed."""
    wanted: set[Path] = set()
    changed = 0
    for folder, folders, files in os.walk(project):
        here = Path(folder).relative_to(project)
        folders[:] = [name for name in folders if not _is_left_out(here / name)]
        (home / here).mkdir(mode=0o755, exist_ok=True)
        for name in files:
            relative = here / name
            if _is_left_out(relative):
                continue
            wanted.add(relative)
            changed += _copy_file(project / relative, home / relative)
    return changed + _remove_others(home, wanted)


def _remove_others(home: Path, wanted: set[Path]) -> int:
    folders_wanted = {parent for file in wanted for parent in file.parents}
    removed = 0
    for folder, folders, files in os.walk(home):
        here = Path(folder).relative_to(home)
        folders[:] = [name for name in folders if not _is_left_out(here / name)]
        for name in [name for name in folders if here / name not in folders_wanted]:
            shutil.rmtree(home / here / name)
            folders.remove(name)
            removed += 1
        for name in files:
            if not _is_left_out(here / name) and here / name not in wanted:
                (home / here / name).unlink()
                removed += 1
    return removed


def _is_left_out(relative: Path) -> bool:
    return relative.name in NOT_CODE or relative == BUILT


def _copy_file(source: Path, target: Path) -> bool:
    if not source.is_file():
        return False
    info = source.stat()
    mode = 0o755 if info.st_mode & stat.S_IXUSR else 0o644
    if target.is_file() and not target.is_symlink():
        known = target.stat()
        if (known.st_size, known.st_mtime_ns, stat.S_IMODE(known.st_mode)) == (
            info.st_size,
            info.st_mtime_ns,
            mode,
        ):
            return False
    draft = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, draft)
    draft.chmod(mode)
    os.utime(draft, ns=(info.st_atime_ns, info.st_mtime_ns))
    draft.replace(target)
    return True


def link_state(var: Path, real: Path) -> None:
    """Make the project's var a link to the state in the copy's folder. Raises SetupFailed."""
    if var.is_symlink():
        if var.resolve() != real.resolve():
            raise SetupFailed(
                f"{var} points to {var.resolve()}, not to {real}. Remove the link and start again."
            )
        return
    if var.exists():
        if any(real.iterdir()):
            raise SetupFailed(
                f"There is state in {var} and in {real}. Move one of them away and start again."
            )
        real.rmdir()
        shutil.move(var, real)
        say(f"moved {var} to {real}")
    var.symlink_to(real)
