"""What came out: progress on the way, finished files, and what was checked on them."""

from __future__ import annotations

from pathlib import Path

from engine.types.media import MediaInfo
from engine.types.value import Value


class Progress(Value):
    """How far a step is: `fraction` 0-1 never falls, `speed` is in multiples of playing time."""

    fraction: float
    speed: float | None = None
    eta_seconds: float | None = None
    frame: int | None = None


class Check(Value):
    """One line of a verification report."""

    name: str
    passed: bool
    expected: str
    actual: str


class Verification(Value):
    """What was checked on a file before it may be shown to anyone."""

    report: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.report)


class MemberFile(Value):
    """One file of an artifact that is a folder; it is in MEMBERS beside the artifact's `path`."""

    name: str
    content_type: str
    size: int
    sha256: str


class Artifact(Value):
    """A finished, verified and fsynced file inside the working directory.

    With `members` it is all of the folder that `path` is in: `size` is the sum, and `sha256` that of a list
    of all files with theirs, as `sha256sum` writes it.
    """

    role: str
    path: Path
    extension: str
    content_type: str
    size: int
    sha256: str
    media_info: MediaInfo | None = None
    verification: Verification
    members: tuple[MemberFile, ...] = ()
