"""Start one child the way every process of the site is started."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from videoproc.embedded.accounts import Account

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent ends, so that they can be found and stopped."""
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def dies_with_parent(death_signal: int) -> Callable[[], None]:
    """A function for the child to call before exec: the kernel signals the child when its parent is gone.

    The setting is cleared by a change of account, so it must come after it; subprocess does it in that order.
    """
    parent = os.getpid()

    def arm() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    return arm


def start(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    account: Account | None = None,
    folder: Path | None = None,
    output: IO[bytes] | int | None = None,
    errors: IO[bytes] | None = None,
    death_signal: int = signal.SIGKILL,
    umask: int = 0o027,
    own_group: bool = True,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a process group of its own, under `account`, to be signalled when this process dies.

    The group keeps a Ctrl-C at the terminal away from it: the supervisor decides the order of stopping.
    `output` takes standard output, and standard error too unless `errors` does. Raises OSError.
    """
    return subprocess.Popen(  # noqa: S603 - argv is a list made by this package
        list(argv),
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors or (subprocess.STDOUT if output is not None else None),
        start_new_session=own_group,
        umask=umask,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        preexec_fn=dies_with_parent(death_signal),  # noqa: PLW1509 - the supervisor has no threads
    )


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the process and to all of its group; one that has ended is no error."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        if process.returncode is None:
            process.send_signal(number)
