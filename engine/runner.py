"""The only place that starts a media tool."""

from __future__ import annotations

from problems import Problem


class Stopped(Exception):  # noqa: N818 - it is a request obeyed, not an error
    """The stop event was set; the tool's process group has been killed."""


class RunFailed(Problem):
    """A media tool or the check of its output failed; `log` is the tail of its messages, paths removed."""

    def __init__(self, code: str, *, log: str = "", **data: object) -> None:
        self.log = log
        super().__init__(code, **data)
