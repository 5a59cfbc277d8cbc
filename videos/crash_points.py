"""Places where a crash hurts most, so that the chaos suite can die, or freeze, exactly there.

    crash_point("outputs_placed")

does nothing on a normal site: it compares one name with None. Only where VIDEOPROC_CRASH_POINTS names a
folder does it look there for a file of the point's name. The one process that manages to rename that file
sends itself the signal whose number is in it: SIGKILL is a crash on this very line, SIGSTOP a freeze that
outlasts a lease. So every armed point is hit once, and the folder afterwards tells by whom. See
docs/jobs-lifecycle.md for the list.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_folder = os.environ.get("VIDEOPROC_CRASH_POINTS")


def crash_point(name: str) -> None:
    """Ends or freezes this process if the chaos suite has armed the point; else does nothing."""
    if _folder is not None:
        _hit(Path(_folder), name)


def _hit(folder: Path, name: str) -> None:
    armed, mine = folder / name, folder / f"{name}.hit"
    try:
        armed.rename(mine)
    except FileNotFoundError:
        return
    number = int(mine.read_text())
    mine.with_suffix(f".hit-{os.getpid()}").write_text(str(number))
    os.kill(os.getpid(), number)
    # The signal takes the whole process, but this thread might still get a few lines further.
    time.sleep(0.05)
