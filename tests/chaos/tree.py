"""The code under test: a copy of this tree that listens to the suite, and mutants of it that must be caught.

The copy differs from the original in one line, which loads `recorder` into every process of the site. A
mutant differs in one safety measure besides. So production code has no switch that turns a safety measure
off.
"""

from __future__ import annotations

import compileall
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_CODE = (
    "engine", "jobs", "problems", "telemetry", "users", "videoproc", "videos",
    "deploy", "frontend/dist", "static", "templates", "tests",
)  # fmt: skip
_FILES = ("manage.py", "pyproject.toml", "CHANGELOG.md")
_LISTEN = "\nfrom tests.chaos import recorder\n\nrecorder.listen()\n"


@dataclass(frozen=True, slots=True)
class Patch:
    """In one file of the tree, `old` (which is there once) becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One safety measure switched off.

    `faults` are those that need the measure, see `nemesis.FAULTS`; `breaks` are the invariants it stands for:
    a mutant counts as caught only where one of them is violated, whatever else goes wrong.
    """

    name: str
    what: str
    patches: tuple[Patch, ...]
    faults: tuple[str, ...]
    breaks: tuple[str, ...]


MUTANTS = (
    Mutant(
        "reconciler",
        "nothing brings back what dead workers and an emptied broker lost",
        (
            Patch(
                "jobs/reconcile.py",
                "    with _alone() as alone:\n",
                "    if True:\n        return Reconciled()\n    with _alone() as alone:\n",
            ),
        ),
        ("flush_broker", "kill_worker_encode", "flush_broker"),
        ("I1",),
    ),
    Mutant(
        "fencing",
        "a worker that lost its lease may still write",
        (
            Patch(
                "jobs/outcomes.py",
                "steps.filter(id=claim.step_id, lease_token=claim.token, status=Step.Status.ACTIVE).first()",
                "steps.filter(id=claim.step_id).first()",
            ),
            Patch(
                "jobs/leases.py",
                "    s.id = %(step)s AND s.lease_token = %(token)s AND s.status = 'active'\n",
                "    s.id = %(step)s\n",
            ),
        ),
        ("zombie",),
        ("I4",),
    ),
    Mutant(
        "verify",
        "what a tool left is published without a look at it",
        (
            Patch(
                "engine/verify.py",
                "    if media is None or not report.passed:\n",
                "    if media is None:\n",
            ),
        ),
        ("lying_tool", "lying_tool", "lying_tool"),
        ("I3",),
    ),
    Mutant(
        "fsync",
        "rows are committed before the files they name are on the disk",
        (
            Patch(
                "videos/storage.py",
                "        os.fchmod(file.fileno(), _FILE_MODE)\n        os.fsync(file.fileno())\n",
                "        os.fchmod(file.fileno(), _FILE_MODE)\n",
            ),
            Patch("engine/storage.py", "        os.fsync(descriptor)\n", "        pass\n"),
        ),
        ("power_loss",),
        ("I3", "I11"),
    ),
    Mutant(
        "fsync-order",
        "names are brought to the disk only a second later, when their rows are long committed",
        (
            Patch(
                "videos/storage.py",
                '    crash_point("file_moved")\n    sync_folder(target.parent)\n',
                '    crash_point("file_moved")\n'
                '    __import__("threading").Timer(1.0, sync_folder, [target.parent]).start()\n',
            ),
        ),
        ("clean",),
        ("I11",),
    ),
)


def tree_make(folder: Path, mutant: Mutant | None = None) -> Path:
    """A copy of the code in `folder`, readable for all. Raises ValueError where a patch does not fit."""
    for name in _CODE:
        # frontend/dist may be a link to a build elsewhere.
        shutil.copytree((ROOT / name).resolve(), folder / name, ignore=_left_out, dirs_exist_ok=True)
    for name in _FILES:
        shutil.copyfile(ROOT / name, folder / name)
    with (folder / "videoproc" / "__init__.py").open("a", encoding="utf-8") as file:
        file.write(_LISTEN)
    for patch in mutant.patches if mutant else ():
        _apply(folder, patch)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    compileall.compile_dir(folder, quiet=2, workers=1)
    return folder


def _apply(folder: Path, patch: Patch) -> None:
    path = folder / patch.file
    text = path.read_text(encoding="utf-8")
    if text.count(patch.old) != 1:
        raise ValueError(f"a mutant does not fit {patch.file} any more: {patch.old!r}")
    path.write_text(text.replace(patch.old, patch.new), encoding="utf-8")


def _left_out(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"__pycache__", "node_modules", "bench"}}
