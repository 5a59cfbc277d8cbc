"""`bin/test`: linters, types, contracts, Django's checks, then the tests; stops at the first that fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

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
    # The engine's tests need no servers and are half of the work: they run beside the others.
    with tempfile.TemporaryFile() as output:
        engine = subprocess.Popen(  # noqa: S603 - made above
            [*pytest, "tests/engine"], env=dict(environment), stdout=output, stderr=subprocess.STDOUT
        )
        argv = [*with_servers, *pytest, "--ignore=tests/engine"]
        code = _run("tests of the site", argv, environment, beside=engine)
        sys.stdout.write("\n== tests of the engine\n")
        sys.stdout.flush()
        engine_code = engine.wait()
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout.buffer)
    outcome = "passed" if engine_code == 0 else f"FAILED (exit {engine_code})"
    sys.stdout.write(f"== tests of the engine {outcome}\n")
    return code or engine_code


def _run(
    name: str,
    argv: list[str],
    environment: Mapping[str, str],
    *,
    beside: subprocess.Popen[bytes] | None = None,
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
