"""Reading the Authorization header, the same in every process that accepts tokens."""

from __future__ import annotations

_SCHEMES = {"bearer", "token"}


def token_from_authorization(header: str) -> str | None:
    """The token in `Bearer <token>` or `Token <token>`; None where the header is of another kind.

    A header of our kind with nothing or too much behind it gives a text that no token has.
    """
    scheme, _, rest = header.strip().partition(" ")
    return rest.strip() if scheme.lower() in _SCHEMES else None
