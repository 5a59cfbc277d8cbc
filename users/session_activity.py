"""Notes where a browser session is used from, at most once a minute.

allauth does so at every request, which is two reads and a write for each page.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.usersessions.middleware import UserSessionsMiddleware
from django.http import HttpRequest

NOTED_FOR_SECONDS = 60.0
_MOST = 10_000


class SessionActivityMiddleware(UserSessionsMiddleware):  # type: ignore[misc]  # allauth has no types
    """Remembers, in this process, which sessions it has just noted, with the address and the browser."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self._noted: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request) if self._is_noted(request) else super().__call__(request)

    def _is_noted(self, request: HttpRequest) -> bool:
        """Whether that is so; from now on it is."""
        session_key = request.session.session_key
        if not session_key:
            return False
        use = (session_key, str(get_adapter().get_client_ip(request)), request.headers.get("User-Agent", ""))
        now = time.monotonic()
        if now - self._noted.get(use, -NOTED_FOR_SECONDS) < NOTED_FOR_SECONDS:
            return True
        self._noted[use] = now
        self._noted.move_to_end(use)
        while len(self._noted) > _MOST:
            self._noted.popitem(last=False)
        return False
