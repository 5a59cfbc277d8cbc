"""The Node.js programs that tests run beside the site: other people's tus clients and their server."""

from __future__ import annotations

import shutil
from pathlib import Path

from bootstrap import frontend, stamps
from bootstrap.console import SetupFailed, run, step

FOLDER = Path("tests/tus")


def test_environment(home: Path) -> dict[str, str]:
    """Install them as their lock says, and name the Node.js that runs them. Raises SetupFailed."""
    npm, environment = frontend.find_npm(home)
    folder = home / FOLDER
    node = shutil.which("node", path=environment.get("PATH"))
    if node is None:
        raise SetupFailed("there is no Node.js for the tests of uploads")
    stamp = folder / "node_modules" / ".videoproc.json"
    wanted = stamps.digest([folder / "package.json", folder / "package-lock.json"], home)
    if stamps.read(stamp).get("lock") != wanted:
        with step("fetching the tus clients for the tests"):
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            run([*npm, "ci", *options], environment=environment, folder=folder)
            stamps.write(stamp, {"lock": wanted})
    return {"VIDEOPROC_NODE": node}
