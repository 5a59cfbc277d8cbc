"""What is put around every media tool: limits of the kernel, a clean environment, death with its parent.

The layers are commands placed before the tool's own argv, each of which replaces itself by the next, so the
process id stays one. A layer whose command is missing (macOS, a minimal image) is left out; `layers` tells
which are active. `whitelist` holds the other half: what ffmpeg itself is allowed to open.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from engine.types.limits import Limits

# Kept from our own environment: only what an ffmpeg chosen by the operator may need to start.
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "FONTCONFIG_FILE")


def layers() -> tuple[str, ...]:
    """Names of the active layers, for health pages and logs."""
    return ("clean-environment", "own-session", *_commands())


def prefix(limits: Limits) -> list[str]:
    """The argv to put before a media tool."""
    commands = _commands()
    argv: list[str] = []
    if "setpriv" in commands:
        argv += [commands["setpriv"], "--pdeathsig", "KILL", "--no-new-privs", "--"]
    if "prlimit" in commands:
        argv += [
            commands["prlimit"],
            f"--as={limits.memory_bytes}",
            f"--fsize={limits.max_output_bytes}",
            f"--nofile={limits.open_files}",
            "--core=0",
            "--",
        ]
    if "nice" in commands and limits.nice > 0:
        argv += [commands["nice"], "-n", str(limits.nice)]
    return argv


def environment(*, fonts: Path | None = None) -> dict[str, str]:
    """The whole environment of a media tool: no secrets, no locale, no colours in its messages.

    `fonts` is a list for fontconfig in place of the system's.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {} if fonts is None else {"FONTCONFIG_FILE": str(fonts.absolute())}
    return {"PATH": os.defpath, "LC_ALL": "C", "AV_LOG_FORCE_NOCOLOR": "1", **passed_on, **own}


@functools.cache
def _commands() -> dict[str, str]:
    """Commands that are here and understand the options used; some systems have lesser namesakes."""
    trials = {
        "setpriv": ["--pdeathsig", "KILL", "--no-new-privs", "--", "true"],
        "prlimit": ["--core=0", "--", "true"],
        "nice": ["-n", "1", "true"],
    }
    found: dict[str, str] = {}
    for name, arguments in trials.items():
        path = shutil.which(name)
        if path and subprocess.run([path, *arguments], capture_output=True, check=False).returncode == 0:  # noqa: S603 - fixed argv
            found[name] = path
    return found
