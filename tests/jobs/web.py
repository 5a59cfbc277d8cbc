"""The real web process: daphne, on a socket of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import websockets.sync.client
from django.conf import settings

from tests.jobs.worker import ROOT, wait_for

Socket = websockets.sync.client.ClientConnection


class Site:
    """A real daphne; the web process of the site."""

    def __init__(self, address: Path, environment: dict[str, str], log: Path) -> None:
        self.address = address
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daphne", "-u", str(address), "videoproc.asgi:application"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_for(address.exists, seconds=60, what="daphne listens")

    def connect(self, *, cookie: str = "", ticket: str = "", origin: str = "http://127.0.0.1:8000") -> Socket:
        return websockets.sync.client.unix_connect(
            str(self.address),
            f"ws://127.0.0.1/ws/v1/events{'?ticket=' + ticket if ticket else ''}",
            origin=websockets.Origin(origin),
            additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"} if cookie else {},
        )
