"""`bin/bench legacy_import`: the rate and the memory of an import of many distinct videos and users.

`VIDEOPROC_BENCH_VIDEOS` (2000) and `VIDEOPROC_BENCH_USERS` (200) set its size, `VIDEOPROC_BENCH_DISTINCT`
(all) how many of the videos differ, as libraries hold copies. Throw-away servers of its own; the figures go
to var/bench/legacy_import.json.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from engine.samples import sample_clip
from videoproc.embedded.servers import test_servers

ROOT = Path(__file__).resolve().parents[2]
CLIPS = 8
TARGET_SECONDS = 30 * 60  # for 10,000 videos and 1,000 users
TARGET_GROWTH = 1.5
_FULL = (10_000, 1_000)


def tree(folder: Path, *, videos: int, users: int, distinct: int) -> None:
    """So many videos are distinct: each of their clips ends in a box of its own, which players skip. Copies
    follow each other."""
    clips = []
    for number in range(CLIPS):
        path = folder / f"clip-{number}.mp4"
        sample_clip(path, seconds=1 + number % 3, width=320, height=180)
        clips.append(path.read_bytes())
    (folder / "data").mkdir()
    people = [
        {"id": n, "name": f"P {n}", "username": f"person{n}", "password": f"pw{n}"} for n in range(users)
    ]
    records = []
    for n in range(videos):
        name = f"{n:08x}"
        records.append({"videoId": name, "name": f"Film {n}", "extension": "mp4", "userId": n % users})
        (folder / "storage" / name).mkdir(parents=True)
        content = n * distinct // videos
        box = struct.pack(">I4sI", 12, b"free", content)
        (folder / "storage" / name / "original.mp4").write_bytes(clips[content % CLIPS] + box)
    for name, rows in (("users", people), ("sessions", []), ("videos", records)):
        (folder / "data" / name).write_text(json.dumps(rows))


class Figures(NamedTuple):
    """Of one import: wall seconds, peak resident KiB, CPU seconds of it and its tools."""

    seconds: float
    peak: int
    cpu_seconds: float


def measured(folder: Path, environment: dict[str, str]) -> Figures:
    command = [sys.executable, "-c", _CHILD, str(folder)]
    began = time.monotonic()
    done = subprocess.run(command, check=True, env=environment, cwd=ROOT, capture_output=True, text=True)
    seconds = time.monotonic() - began
    said = dict(line.split() for line in done.stdout.splitlines()[-2:])
    return Figures(seconds, int(said["PEAK"]), float(said["CPU"]))


_CHILD = """
import resource, sys, django
django.setup()
from django.core.management import call_command
call_command("import_legacy", sys.argv[1])
mine, tools = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print("PEAK", mine.ru_maxrss)
print("CPU", sum(usage.ru_utime + usage.ru_stime for usage in (mine, tools)))
"""


def main() -> None:
    videos = int(os.environ.get("VIDEOPROC_BENCH_VIDEOS", "2000"))
    users = int(os.environ.get("VIDEOPROC_BENCH_USERS", "200"))
    distinct = int(os.environ.get("VIDEOPROC_BENCH_DISTINCT", str(videos)))
    with tempfile.TemporaryDirectory(prefix="vp-bench-") as name, test_servers() as urls:
        folder = Path(name)
        environment = {
            **os.environ,
            "DATABASE_URL": urls.database,
            "REDIS_URL": urls.redis,
            "VIDEOPROC_VAR": str(folder / "var"),
            "VIDEOPROC_SECRET_KEY": "for-the-bench-only-0123456789-abcdefghijklmnopqrstuvwxyz",
            "DJANGO_SETTINGS_MODULE": "videoproc.settings",
        }
        migrate = [sys.executable, "-m", "django", "migrate", "-v", "0"]
        subprocess.run(migrate, check=True, env=environment, cwd=ROOT)
        figures = {}
        for case, part in (("small", 10), ("whole", 1)):
            (folder / case).mkdir()
            tree(folder / case, videos=videos // part, users=users // part, distinct=distinct // part)
            figures[case] = measured(folder / case, environment)
    # Accounts cost nearly the same time each, and so do videos.
    seconds, peak, cpu_seconds = figures["whole"]
    scaled = seconds * _FULL[0] / videos
    growth = peak / figures["small"].peak
    rows = [
        _row("videos per second", videos / seconds, "1/s", _FULL[0] / TARGET_SECONDS, at_least=True),
        _row("10,000 videos and 1,000 users", scaled, "s", TARGET_SECONDS),
        _row("wall time of this import", seconds, "s", TARGET_SECONDS),
        _row("CPU time of a video", 1000 * cpu_seconds / videos, "ms", 2 * 1000 * TARGET_SECONDS / _FULL[0]),
        _row("peak memory", peak / 1024, "MiB", 500),
        _row("memory, ten times as many", growth, "x", TARGET_GROWTH),
    ]
    for row in rows:
        figure = f"{row['value']:10.2f} {row['unit']:4} target {row['target']:8.2f}  met: {row['met']}"
        sys.stdout.write(f"{row['case']:32} {figure}\n")
    target = Path(os.environ.get("VIDEOPROC_VAR") or ROOT / "var") / "bench" / "legacy_import.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=2) + "\n")


def _row(case: str, value: float, unit: str, target: float, *, at_least: bool = False) -> dict[str, object]:
    met = value >= target if at_least else value <= target
    ratio = value / target
    return {
        "case": case,
        "value": value,
        "unit": unit,
        "baseline": None,
        "ratio": ratio,
        "target": target,
        "met": met,
    }


if __name__ == "__main__":
    main()
