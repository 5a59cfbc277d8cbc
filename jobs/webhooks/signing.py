"""Signatures by Standard Webhooks 1.0, the symmetric kind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
SECRET_BYTES = 32


def secret_new() -> str:
    """`whsec_` and 32 random bytes in Base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature_headers(
    *, message_id: str, timestamp: int, body: bytes, secrets_valid: Iterable[str]
) -> dict[str, str]:
    """The three headers of a message; one signature for each secret that receivers may have now."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    signatures = " ".join(_signature(secret, signed) for secret in secrets_valid)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures,
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
