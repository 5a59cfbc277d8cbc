"""Processor time of a site, by its services, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> dict[str, float]:
    """Of the process and all below it, by the name of the service; with what ended meanwhile and was waited
    for."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name may have blanks and brackets in it; what follows the last bracket has none.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(folder.name)
        parents[pid] = int(fields[1])
        used[pid] = sum(map(int, fields[11:15])) / _TICKS
    found: defaultdict[str, float] = defaultdict(float)
    for pid, seconds in used.items():
        chain = [pid]
        while chain[-1] != root and chain[-1] in parents:
            chain.append(parents[chain[-1]])
        if chain[-1] == root:
            found[_service(chain[-2]) if len(chain) > 1 else "supervisor"] += seconds
    return dict(found)


def _service(pid: int) -> str:
    """What the process is for: `VIDEOPROC_PROCESS`, else its program."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        command = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
    named = [item for item in environment if item.startswith(b"VIDEOPROC_PROCESS=")]
    return named[0].partition(b"=")[2].decode() if named else command
