"""Where packages come from. uv does not read pip's configuration, so it is told what pip was told."""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

PUBLIC_INDEX = "https://pypi.org/simple"


def pip_setting(name: str) -> str:
    """A setting of pip's, from the environment or the first of its files that has it; empty if none has."""
    if value := os.environ.get("PIP_" + name.upper().replace("-", "_")):
        return value
    home = Path.home()
    files: list[str | Path] = [
        os.environ.get("PIP_CONFIG_FILE", ""),
        sys.prefix + "/pip.conf",
        home / ".config/pip/pip.conf",
        home / ".pip/pip.conf",
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
    ]
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("install", "global"):
            if value := parser.get(section, name, fallback=""):
                return value.strip()
    return ""


def index_url() -> str:
    """The index that pip would ask first."""
    return os.environ.get("UV_DEFAULT_INDEX") or pip_setting("index-url") or PUBLIC_INDEX


def certificates() -> str:
    """File of trusted certificates, if this machine names one of its own."""
    named = (os.environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return next((file for file in named if file), "") or pip_setting("cert")


def uv_environment(home: Path) -> dict[str, str]:
    """The environment for uv: pip's index and certificates, no downloads of interpreters."""
    chosen = {"UV_DEFAULT_INDEX": index_url(), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    if file := certificates():
        chosen["SSL_CERT_FILE"] = file
    if not os.access(Path.home(), os.W_OK):
        chosen["UV_CACHE_DIR"] = str(home / ".tools" / "uv-cache")
    inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return {**inherited, **chosen}
