"""Reading headers that tell who asks, the same in every process."""

from __future__ import annotations

from django.http import HttpRequest

_SCHEMES = {"bearer", "token"}


def token_from_authorization(header: str) -> str | None:
    """The token in `Bearer <token>` or `Token <token>`; None where the header is of another kind.

    A header of our kind with nothing or too much behind it gives a text that no token has.
    """
    scheme, _, rest = header.strip().partition(" ")
    return rest.strip() if scheme.lower() in _SCHEMES else None


def client_address(request: HttpRequest) -> str:
    """The address of whoever asks, as the edge saw it; it replaces what clients send."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return str(forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", ""))
