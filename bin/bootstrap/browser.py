"""A Chromium for the browser tests: the machine's own, else Debian's, else the one that npm carries.

The npm one comes as a compressed program with the libraries that a bare machine lacks. They must reach the
browser alone, so it is started through a wrapper.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tarfile
from pathlib import Path

from bootstrap import frontend, stamps
from bootstrap.console import SetupFailed, run, say, step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCK = Path(__file__).with_name("chromium")
UNPACK = (
    "const fs = require('fs'), zlib = require('zlib'); const [, from, to] = process.argv;"
    "fs.writeFileSync(to, zlib.brotliDecompressSync(fs.readFileSync(from)), { mode: 0o755 });"
)
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""
WRAPPER = """#!/bin/sh
export FONTCONFIG_FILE={fonts}
export LD_LIBRARY_PATH={libraries}
exec {program} "$@"
"""


def test_environment(home: Path) -> dict[str, str]:
    """Variables that name the browser, and the Node.js for its driver. Raises SetupFailed."""
    npm, environment = frontend.find_npm(home)
    node = shutil.which("node", path=environment.get("PATH"))
    driver = {"PLAYWRIGHT_NODEJS_PATH": node} if node else {}
    if chosen := os.environ.get("VIDEOPROC_CHROMIUM"):
        return {"VIDEOPROC_CHROMIUM": chosen, **driver}
    found = _on_path() or _from_debian() or _from_npm(home, npm, environment)
    return {"VIDEOPROC_CHROMIUM": found, **driver}


def _on_path() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _from_debian() -> str | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        with step("installing Debian's Chromium for the browser tests"):
            run(["apt-get", "update", "-qq"], environment=environment, seconds=300)
            packages = ["chromium", "fonts-dejavu-core"]
            run(
                ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
                environment=environment,
            )
    except SetupFailed as failure:
        say(f"Debian's Chromium cannot be installed, trying npm's: {failure}")
        return None
    return _on_path()


def _from_npm(home: Path, npm: list[str | Path], environment: dict[str, str]) -> str:
    lock = LOCK / "package-lock.json"
    folder = home / ".tools" / f"chromium-{stamps.digest([lock], LOCK)[:12]}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        with step("fetching a Chromium for the browser tests"):
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(LOCK / name, draft / name)
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            run([*npm, "ci", *options], environment=environment, folder=draft)
            _unpack(draft, environment)
        draft.rename(folder)
    _write_wrapper(folder)
    return str(folder / "chromium")


def _unpack(folder: Path, environment: dict[str, str]) -> None:
    packed = folder / "node_modules" / "@sparticuz" / "chromium" / "bin"
    program = folder / "program"
    program.mkdir()
    node = shutil.which("node", path=environment.get("PATH")) or "node"
    for name in ("chromium", "al2023.tar", "swiftshader.tar"):
        run([node, "-e", UNPACK, packed / f"{name}.br", program / name], environment=environment)
    for name in ("al2023.tar", "swiftshader.tar"):
        with tarfile.open(program / name) as archive:
            # Python before 3.11.4 has no filters; the archive is the locked one either way.
            if hasattr(tarfile, "data_filter"):
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(program)  # noqa: S202 - see above
        (program / name).unlink()


def _write_wrapper(folder: Path) -> None:
    fonts = folder / "fonts.conf"
    fonts.write_text(
        FONTS.format(fonts=folder / "node_modules" / "dejavu-fonts-ttf" / "ttf", cache=folder / "font-cache"),
        encoding="utf-8",
    )
    wrapper = folder / "chromium"
    wrapper.write_text(
        WRAPPER.format(
            fonts=shlex.quote(str(fonts)),
            libraries=shlex.quote(f"{folder}/program/lib:{folder}/program"),
            program=shlex.quote(f"{folder}/program/chromium"),
        ),
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
