"""Parts: what finished steps of a live job leave for its later steps, on the media volume.

    work/parts/<job_id>/<token>/<name>

The folder bears the fencing token of the claim that made it, so two workers that hold a step one after the
other never write to the same place. A part counts once the step's row names it; it goes when its job ends.
What a killed process leaves is found by the sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from django.conf import settings

from jobs.claiming import Claim
from jobs.models import Job, Step
from users.ids import public_id_is_valid
from videos import storage
from videos.crash_points import crash_point
from videos.storage import sync_folder

PartSizes = dict[str, int]
"""Bytes of each part by its name, as noted in the step's row."""


def parts_keep(claim: Claim, parts: Mapping[str, Path]) -> PartSizes:
    """Moves the parts of this try to where later steps find them, to stay after a power cut."""
    if not parts:
        return {}
    folder = _folder(claim.job.id, str(claim.token))
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    for name, path in parts.items():
        path.replace(folder / name)
    crash_point("parts_moved")
    for one in (folder, *folder.parents[:3]):
        sync_folder(one)
    for name in parts:
        storage.keep(folder / name)
    return {name: (folder / name).stat().st_size for name in parts}


def parts_drop(claim: Claim) -> None:
    """Removes what `parts_keep` moved, for a claim whose end was not recorded."""
    _remove(_folder(claim.job.id, str(claim.token)))


def parts_of(job_id: str) -> dict[str, Path]:
    """The parts of the job's finished steps that are there as they were left, by name."""
    noted = [item for step in _makers(job_id) for item in _noted(step).items()]
    return {name: storage.present(path) for name, (path, size) in noted if storage.is_there(path, size)}


def makers_of_missing(job_id: str) -> list[Step]:
    """Finished steps of the job with a part that is not there, or not as long as it was."""
    return [
        step
        for step in _makers(job_id)
        if not all(storage.is_there(path, size) for path, size in _noted(step).values())
    ]


def job_parts_discard(job_id: str) -> None:
    """Removes all parts of a job that has ended."""
    crash_point("before_discard")
    _remove(_root() / job_id)


def parts_sweep(*, untouched_seconds: float) -> int:
    """Removes what crashes left: parts of jobs that have ended, and parts no row of a live job names."""
    before = storage.disk_now() - untouched_seconds
    folders = [entry for entry in _entries(_root()) if public_id_is_valid("job", entry.name)]
    live = {job.id for job in Job.objects.filter(id__in=[entry.name for entry in folders], finished_at=None)}
    removed = 0
    for folder in folders:
        if folder.name not in live:
            removed += _sweep([folder], before)
            continue
        steps = Step.objects.filter(job__id=folder.name).only("result", "lease_token")
        known = {str(step.lease_token) for step in steps}
        known |= {str((step.result or {}).get("token")) for step in steps}
        removed += _sweep((entry for entry in _entries(folder) if entry.name not in known), before)
    return removed


def _makers(job_id: str) -> Iterable[Step]:
    done = Step.objects.filter(job__id=job_id, status=Step.Status.DONE, result__has_key="parts")
    return done.order_by("position")


def _noted(step: Step) -> dict[str, tuple[Path, int]]:
    result = step.result or {}
    folder = _folder(step.job_id, result["token"])
    return {name: (folder / name, size) for name, size in result["parts"].items()}


def _root() -> Path:
    return Path(settings.MEDIA) / "work" / "parts"


def _folder(job_id: str, token: str) -> Path:
    return _root() / job_id / token


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _sweep(folders: Iterable[Path], before: float) -> int:
    old = [folder for folder in folders if folder.stat().st_mtime < before]
    for folder in old:
        _remove(folder)
    return len(old)


def _remove(folder: Path) -> None:
    storage.discard_folder(folder)
    if folder.parent != _root():
        try:
            folder.parent.rmdir()
        except OSError:  # other tries have parts there
            return
