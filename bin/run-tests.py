"""`bin/test`: linters, types, contracts, Django's checks, then the tests; stops at the first that fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from bootstrap import browser, node_tests
from bootstrap.console import SetupFailed

HOME = Path(__file__).resolve().parent.parent
PACKAGES = ["problems", "telemetry", "engine", "users", "videos", "jobs", "videoproc"]
SCRIPTS = ["bin/launch.py", "bin/run-tests.py", "bin/bootstrap"]
TOOLS = Path(sys.executable).parent
# Enough for Django to start; nothing that is kept is signed with it.
CHECK_ENVIRONMENT = {
    "VIDEOPROC_SECRET_KEY": "only-for-checks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ",
    "VIDEOPROC_PUBLIC_URL": "https://video.example.org",
}


def main(arguments: list[str]) -> int:
    """Run all steps; `arguments` go to pytest. The exit code is that of the step that failed."""
    os.chdir(HOME)
    environment = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    checks = environment | CHECK_ENVIRONMENT
    python = sys.executable
    with_servers = [python, "-m", "videoproc.embedded.servers", "--"]
    steps: list[tuple[str, list[str], Mapping[str, str]]] = [
        ("lint", [python, "-m", "ruff", "check", "."], environment),
        ("format", [python, "-m", "ruff", "format", "--check", "."], environment),
        ("import contracts", [str(TOOLS / "lint-imports")], environment),
        ("types", [python, "-m", "mypy", *PACKAGES, "tests", *SCRIPTS], checks),
        (
            "migrations",
            [*with_servers, python, "manage.py", "makemigrations", "--check", "--dry-run"],
            checks,
        ),
        ("deployment checks", [python, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], checks),
    ]
    for name, argv, variables in steps:
        if code := _run(name, argv, variables):
            return code
    try:
        environment |= browser.test_environment(HOME) | node_tests.test_environment(HOME)
    except SetupFailed as failure:
        sys.stderr.write(f"\nVideoproc: no browser or no Node.js for the tests: {failure}\n")
        return 1
    pytest = [python, "-m", "pytest"]
    if arguments:
        return _run("tests", [*with_servers, *pytest, *arguments], environment)
    # The site's tests wait for clocks and processes more than they work: the others run beside them.
    on_a_bucket = [python, "-m", "tests.bucket.seaweed", "--", *with_servers, *pytest, "tests/videos"]
    with Beside(environment) as beside:
        beside.start(
            ("tests of the engine", [*pytest, "tests/engine"]),
            ("tests of videos with their files in a bucket", on_a_bucket),
        )
        argv = [*with_servers, *pytest, "--ignore=tests/engine"]
        code = _run("tests of the site", argv, environment, beside=beside)
        return beside.code() or code


class Beside:
    """Runs steps one after the other in the background and shows what they said once all have ended."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._ended: list[tuple[str, int, IO[bytes]]] = []
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def start(self, *steps: tuple[str, list[str]]) -> None:
        self._thread = threading.Thread(target=self._work, args=(steps,))
        self._thread.start()

    def _work(self, steps: tuple[tuple[str, list[str]], ...]) -> None:
        for name, argv in steps:
            if self._stopped:
                return
            output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was shown
            self._child = subprocess.Popen(  # noqa: S603 - made above
                argv, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
            self._ended.append((name, self._child.wait(), output))

    def terminate(self) -> None:
        self._stopped = True
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def code(self) -> int:
        """Wait for all steps, show them, and tell the first exit code that is not 0."""
        if self._thread is not None:
            self._thread.join()
        for name, code, output in self._ended:
            sys.stdout.write(f"\n== {name}\n")
            sys.stdout.flush()
            with output:
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
            outcome = "passed" if code == 0 else f"FAILED (exit {code})"
            sys.stdout.write(f"== {name} {outcome}\n")
        return next((abs(code) for _, code, _ in self._ended if code), 0)


def _run(
    name: str,
    argv: list[str],
    environment: Mapping[str, str],
    *,
    beside: Beside | None = None,
) -> int:
    """Run one step to its end; what runs `beside` it is told to stop together with it."""
    sys.stdout.write(f"\n== {name}\n")
    sys.stdout.flush()
    began = time.monotonic()
    child = subprocess.Popen(argv, env=dict(environment))  # noqa: S603 - made above

    def stop(*_: object) -> None:
        child.terminate()
        if beside is not None:
            beside.terminate()

    signal.signal(signal.SIGTERM, stop)
    # The child gets a Ctrl-C from the terminal too; a handler, unlike "ignore", is not inherited.
    signal.signal(signal.SIGINT, lambda *_: None)
    code = child.wait()
    outcome = "passed" if code == 0 else f"FAILED (exit {code})"
    sys.stdout.write(f"== {name} {outcome} ({time.monotonic() - began:.1f} s)\n")
    sys.stdout.flush()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
