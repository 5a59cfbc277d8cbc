"""`manifest.json`: what a folder holds. It is written last, so without it the folder is not finished."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from videoproc.moving.collecting import Collected
from videoproc.moving.files import LIST, sha256_of

NAME = "manifest.json"
VERSION = 1


class MovingRefused(Exception):
    """Why an export, import, backup or restore cannot go on, as a sentence for the administrator."""


def target_prepare(folder: Path) -> None:
    """Make the folder, or go on in one that was not finished. Raises MovingRefused."""
    if (folder / NAME).exists():
        raise MovingRefused(f"{folder} holds a finished one already. Name another folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / f".{NAME}").exists():
        raise MovingRefused(f"{folder} is not empty.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)  # password hashes are in it
    (folder / f".{NAME}").touch()


def write(folder: Path, kind: str, collected: Collected, **more: Any) -> dict[str, Any]:
    """Everything else is on the disk before this names it."""
    content = {
        "format": f"videoproc-{kind}",
        "version": VERSION,
        "made_at": timezone.now().isoformat(),
        "site": settings.PUBLIC_URL,
        **more,
        "files": {
            "count": collected.count,
            "bytes": collected.bytes,
            "sha256": sha256_of(folder / LIST),
            "gone": collected.gone,
            "damaged": collected.damaged,
        },
    }
    os.sync()
    draft = folder / f".{NAME}"
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.rename(folder / NAME)
    os.sync()
    return content


def read(folder: Path, kind: str) -> dict[str, Any]:
    """The manifest of a finished folder whose lists are whole. Raises MovingRefused."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MovingRefused(f"{folder} has no {NAME}: it is not finished, or not one of ours.") from None
    except (OSError, ValueError) as error:
        raise MovingRefused(f"{folder / NAME} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != f"videoproc-{kind}":
        raise MovingRefused(f"{folder} holds no {kind} of Videoproc.")
    if content["version"] > VERSION:
        raise MovingRefused(f"{folder} was made by a newer Videoproc. Update this one first.")
    sums = {LIST: content["files"]["sha256"], **_sums(content)}
    for name, expected in sums.items():
        try:
            found = sha256_of(folder / name)
        except OSError as error:
            raise MovingRefused(str(error)) from error
        if found != expected:
            raise MovingRefused(f"{folder / name} was changed or damaged: its SHA-256 is not the noted one.")
    return content


def _sums(content: Mapping[str, Any]) -> dict[str, str]:
    return {part["file"]: part["sha256"] for part in content["rows"].values()}
