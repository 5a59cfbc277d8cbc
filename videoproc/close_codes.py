"""Lets daphne close a WebSocket with the codes that RFC 6455 has for servers.

Its library takes 1000 and 3000-4999 only and answers anything else with 1011, "internal error"; a page
could not tell "too slow, come back" (1013) from a crash.
"""

from __future__ import annotations

from daphne.ws_protocol import WebSocketProtocol


def allow_registered_codes() -> None:
    """Call before the server takes connections."""
    WebSocketProtocol.serverClose = _server_close


def _server_close(protocol: WebSocketProtocol, code: int | None = None) -> None:
    protocol.sendCloseFrame(code=1000 if code is None else code, isReply=False)
