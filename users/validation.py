"""Django's validation errors as problems with JSON pointers."""

from __future__ import annotations

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from problems import FieldError, Problem

# Constraint over expressions belong to no field in Django's eyes; these codes say which one it is.
_POINTERS = {"username_taken": "/username", "email_taken": "/email"}
_CODES = {("username", "unique"): "username_taken"}


def invalid_request(error: ValidationError) -> Problem:
    """`invalid_request` that names each wrong field once for each thing that is wrong with it."""
    found: dict[tuple[str, str], FieldError] = {}
    for field, members in error.error_dict.items():
        for member in members:
            code = _CODES.get((field, member.code or ""), member.code or "invalid")
            pointer = _POINTERS.get(code, "" if field == NON_FIELD_ERRORS else f"/{field}")
            found.setdefault((pointer, code), FieldError(pointer, code, " ".join(member.messages)))
    return Problem("invalid_request", errors=tuple(found.values()))
