"""A supervisor with three stand-ins, run as a process of its own by the tests.

usage: python -m tests.embedded.small_site FOLDER KIND…. Prints what `bin/up` would; writes FOLDER/KIND.pid.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from videoproc.embedded.leftovers import Register
from videoproc.embedded.supervisor import Service, StartFailed, Supervisor

# Starts a child of its own, in another session as the media runner does, and ignores nothing.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
open(sys.argv[1] + ".child", "w").write(str(child.pid))
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""
DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""
PLAIN = """
import os, sys, time
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""
BROKEN = "import sys; sys.exit('this cannot work')"


def main(folder: Path, kinds: list[str]) -> int:
    """Run one stand-in for each of `kinds` until a signal comes."""
    programs = {"plain": PLAIN, "deaf": DEAF, "parent": PARENT, "broken": BROKEN}

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    care = Supervisor(folder, Register(folder / "processes.json"), say)
    care.install_signal_handlers()
    for kind in kinds:
        mark = folder / f"{kind}.pid"
        care.add(
            Service(
                name=kind,
                argv=[sys.executable, "-c", programs[kind], str(mark)],
                environment=os.environ,
                ready=lambda mark=mark: mark.exists() and mark.read_text() != "",  # type: ignore[misc]  # bound now
                folder=folder,
                before_start=lambda mark=mark: mark.unlink(missing_ok=True),  # type: ignore[misc]  # bound now
            )
        )
    try:
        care.wait_until_ready()
        say("all ready")
        care.run()
    except StartFailed as failure:
        say(f"failed: {failure}")
        return 1
    finally:
        care.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
