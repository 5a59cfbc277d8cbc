"""What set-up says to the person at the terminal."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


class SetupFailed(Exception):
    """Set-up cannot go on; the text says what to do."""


def say(text: str) -> None:
    """One line; a terminal that is gone is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"  {text}\n")
        sys.stdout.flush()


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Say what begins, and how long it took."""
    say(f"{text} …")
    began = time.monotonic()
    yield
    say(f"{text} done ({time.monotonic() - began:.1f} s)")


def run(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    folder: Path | None = None,
    seconds: float = 1800.0,
) -> str:
    """Run a command quietly and return what it printed. Raises SetupFailed with the end of its output."""
    command = [str(part) for part in argv]
    try:
        done = subprocess.run(  # noqa: S603 - a list made by set-up
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=False,  # the set-up lock goes along, see stamps.locked
            check=False,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupFailed(f"{command[0]}: {error}") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        shown = "\n".join(output.strip().splitlines()[-15:])
        raise SetupFailed(f"`{' '.join(command[:4])} …` failed (exit {done.returncode}):\n{shown}")
    return output
