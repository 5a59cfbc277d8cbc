"""Names of the original that cannot stay as they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from users.models import User

PLACEHOLDER_DOMAIN = "legacy.invalid"
_ILLEGAL = re.compile(r"[^\w.+-]")
_STEM_LENGTH = 140
_EMAIL_LENGTH = 254


def unmangled(text: str) -> str | None:
    """What was meant by UTF-8 that was read as Latin-1 ("cafÃ©"), or None where that is not certain.

    Certain means: every character is one byte of Latin-1, and the bytes are valid UTF-8 with characters
    beyond ASCII. Text that was right before hardly ever is.
    """
    try:
        meant = text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
    return meant if meant != text and meant.isprintable() else None


def username_variants(wanted: str) -> Iterator[str]:
    """Legal names, the nearest first. Of an address the part before the @ is taken."""
    stem = wanted.partition("@")[0] if is_address(wanted) else wanted
    stem = _ILLEGAL.sub("_", User.normalize_username(stem))[:_STEM_LENGTH]
    if len(stem) < 2:  # noqa: PLR2004 - the shortest name we allow
        stem = f"user-{stem}" if stem else "user"
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def email_variants(username: str, wanted: str, key: str) -> Iterator[str]:
    """Addresses for an account, since the original had none: its name if that is one, else placeholders."""
    if is_address(wanted):
        yield wanted
    named = f"{username.lower()}@{PLACEHOLDER_DOMAIN}"
    if is_address(named):
        yield named
    yield f"user-{hashlib.sha256(key.encode()).hexdigest()[:16]}@{PLACEHOLDER_DOMAIN}"


def is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= _EMAIL_LENGTH
