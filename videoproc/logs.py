"""Log lines, for people or as JSON: what happened, what it was about, and no secrets.

Which request, user, job and step a line is about comes from `telemetry.context`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from telemetry import context, tracing

HIDDEN = "[hidden]"
# Shorter ones are empty or words, and would tear holes into ordinary lines.
_SHORTEST_SECRET = 8
_SECRET_SHAPES = (
    # What follows a word that announces a secret, as in headers, addresses, forms and dictionaries.
    re.compile(r"""(?ix) (\b(?:authorization|cookie|set-cookie)\b ['"]? \s* [:=,] \s* ['"]?) [^'"\r\n]+"""),
    re.compile(
        r"""(?ix) (\b[\w-]*(?:password|passwd|secret[\w-]*|token|ticket|sessionid|_session|_csrf|api_?key)\b
        ['"]? \s* [:=] \s* ['"]?) [^\s'"&,;)}\]]+"""
    ),
    re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]+"),
    re.compile(r"(\w+://[^\s/:@]*:)[^\s/@]+(?=@)"),
    re.compile(r"(/password/reset/key/)[^\s/]+"),
    re.compile(r"()\bvp_\w{8,}"),
)


class _SafeFormatter(logging.Formatter):
    def __init__(self, format_: str | None = None, *, secrets: Iterable[str] = ()) -> None:
        super().__init__(format_, style="{")
        known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len)
        self._known = re.compile("|".join(map(re.escape, reversed(known)))) if known else None

    def safe(self, text: str) -> str:
        """The text without what looks like a secret, or is one of this site's."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for shape in _SECRET_SHAPES:
            text = shape.sub(rf"\1{HIDDEN}", text)
        return text


def _request_id(record: logging.LogRecord) -> str:
    over = getattr(record, "request", None)
    return getattr(over, context.ATTRIBUTE, context.current_request_id())


class TextFormatter(_SafeFormatter):
    """One line for people: time, level, logger, request, message, and what it is about."""

    def __init__(self, *, secrets: Iterable[str] = ()) -> None:
        super().__init__("{asctime} {levelname} {name} [{request_id}] {message}", secrets=secrets)

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = _request_id(record)
        return self.safe(super().format(record))


class JsonFormatter(_SafeFormatter):
    """One JSON object a line."""

    def __init__(self, *, secrets: Iterable[str] = (), process: str = "videoproc") -> None:
        super().__init__(secrets=secrets)
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
            "message": self.safe(record.getMessage()),
            "request_id": _request_id(record),
            **context.fields(),
            **tracing.ids(),
        }
        if line["request_id"] == context.NO_REQUEST:
            del line["request_id"]
        if record.exc_info:
            line["exception"] = self.safe(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = self.safe(record.stack_info)
        return json.dumps(line, ensure_ascii=False, default=str)
