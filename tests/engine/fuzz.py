"""Damages small real videos in many repeatable ways and looks at what the engine makes of them.

    python -m tests.engine.fuzz --files 10000 --seed 7

Whatever a file is, looking at it ends in time, in a code that the catalogue knows and that blames the file,
and leaves no process, no file and no descriptor behind. The same seed damages the same files in the same way.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.control import Control
from engine.decoding import decode
from engine.probe import probe
from engine.types.limits import Limits
from engine.whitelist import UPLOADS
from problems import KINDS, Problem
from tests.engine.clips import CONTAINERS, Clips

KINDS_OF_FILES = ("mp4", "mkv", "webm", "avi", "ts", "flv", "ogv", "mov")
CLEAN, DAMAGED = "clean", "damaged"
PATIENCE = 60.0
AT_ONCE = 4
# What would be said of the service and not of the file.
_OURS = {"sandbox_failed", "tool_missing", "tool_lacks", "internal_error", "storage_failed", "disk_full"}
# zzuf's habit: from one bit in ten thousand to one in a hundred.
_RATIOS = (0.0001, 0.0004, 0.002, 0.01)
_EDGES = (0, 1, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)
_LIMITS = Limits(probe_seconds=20, threads=1, max_output_bytes=1024**2)


def _flipped(data: bytearray, chance: random.Random) -> None:
    for _ in range(max(1, round(len(data) * 8 * chance.choice(_RATIOS)))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def _sizes(data: bytearray, chance: random.Random) -> None:
    """Numbers of one to eight bytes become ones at the edge, at first where boxes and elements begin."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(min(len(data), 4096) if chance.random() < 0.7 else len(data))
        width = chance.choice("BHIQ")
        value = chance.choice(_EDGES) & ((1 << 8 * struct.calcsize(width)) - 1)
        number = struct.pack(f"{chance.choice('<>')}{width}", value)
        data[at : at + len(number)] = number


def _moved(data: bytearray, chance: random.Random) -> None:
    """A piece stands somewhere else as well."""
    length = chance.randrange(1, max(2, len(data) // 8))
    begin, end = chance.randrange(len(data)), chance.randrange(len(data))
    piece = data[begin : begin + length]
    data[end : end + (length if chance.random() < 0.5 else 0)] = piece


def _blank(data: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(data)), chance.randrange(1, max(2, len(data) // 4))
    data[at : at + length] = bytes([chance.choice((0, 0xFF))]) * len(data[at : at + length])


_WAYS: Sequence[Callable[[bytearray, random.Random], None]] = (
    _flipped,
    _flipped,
    _cut,
    _sizes,
    _sizes,
    _moved,
    _blank,
)


def seeds(clips: Clips) -> dict[str, bytes]:
    """A small file of each kind."""
    shape = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=1", "-f", "lavfi", "-i", "sine=d=1"]
    return {
        kind: clips.made(f"fuzz-{kind}", *shape, *CONTAINERS[kind]).read_bytes() for kind in KINDS_OF_FILES
    }


def damaged(whole: bytes, chance: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_WAYS)(data, chance)
        if not data:
            return b"\0"
    return bytes(data)


@dataclass(frozen=True)
class Ending:
    """What became of one file."""

    number: int
    kind: str
    code: str
    seconds: float


def examined(path: Path) -> str:
    """Looks at the file as an intake would: a probe, then a short decode."""
    try:
        probe(path, reading=UPLOADS, limits=_LIMITS, control=Control())
        found = decode(path, reading=UPLOADS, limits=_LIMITS, control=Control(), length=1.0)
    except Problem as problem:
        return problem.code
    if found.unfinished:
        return "input_corrupt"
    return DAMAGED if found.errors else CLEAN


def run(files: int, seed: int, *, folder: Path, keep: Path | None = None) -> list[Ending]:
    """Damage and examine so many files. With `keep`, those that ended badly are left there."""
    wholes = seeds(Clips(folder / "seeds"))
    scratch = folder / "scratch"
    scratch.mkdir()

    def one(number: int) -> Ending:
        chance = random.Random(f"{seed}-{number}")  # noqa: S311 - repeatable damage, no secret
        kind = KINDS_OF_FILES[number % len(KINDS_OF_FILES)]
        path = scratch / str(number) / "source"
        path.parent.mkdir()
        path.write_bytes(damaged(wholes[kind], chance))
        began = time.monotonic()
        ending = Ending(number, kind, examined(path), time.monotonic() - began)
        if keep is not None and bad(ending):
            path.rename(keep / f"{seed}-{number}-{kind}")
        path.unlink(missing_ok=True)
        path.parent.rmdir()  # raises where anything else was left
        return ending

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(files)))


def bad(ending: Ending) -> bool:
    """Whether this should not have come of a damaged file."""
    known = ending.code in {CLEAN, DAMAGED} or (ending.code in KINDS and ending.code not in _OURS)
    return not known or ending.seconds > PATIENCE


def open_now() -> tuple[set[int], int]:
    """The children of this process, and how many descriptors it has."""
    own = os.getpid()
    children: set[int] = set()
    for task in Path(f"/proc/{own}/task").iterdir():
        children.update(map(int, (task / "children").read_text().split()))
    return children, len(list(Path(f"/proc/{own}/fd").iterdir()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the files that ended badly")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        endings = run(options.files, options.seed, folder=Path(name), keep=options.keep)
        left = list(Path(name, "scratch").iterdir())
    print(f"{len(endings)} files in {time.monotonic() - began:.0f} s")  # noqa: T201 - a program's output
    for code, count in Counter(ending.code for ending in endings).most_common():
        print(f"{count:8} {code}")  # noqa: T201
    print(f"the longest took {max(ending.seconds for ending in endings):.1f} s")  # noqa: T201
    failures = [ending for ending in endings if bad(ending)]
    for ending in failures:
        print(f"seed {options.seed}: {ending}")  # noqa: T201
    if left:
        print(f"left behind: {left}")  # noqa: T201
    return 1 if failures or left else 0


if __name__ == "__main__":
    sys.exit(main())
