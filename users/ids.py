"""Public identifiers: `usr_0192…`, the one form of an id that leaves the database.

In PostgreSQL an id is a native `uuid` of version 7 (RFC 9562), so it sorts by creation time and one
primary-key index serves look-ups and newest-first paging. In Python, in URLs and in the API it is the
prefix of its kind, an underscore and 32 hexadecimal digits.
"""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import uuid_utils.compat
from django.core.exceptions import ValidationError
from django.db import models

if TYPE_CHECKING:
    _UUIDField = models.UUIDField[Any, Any]
else:  # django-stubs makes fields generic; Django itself does not
    _UUIDField = models.UUIDField


def public_id_new(prefix: str) -> str:
    """A fresh time-ordered id of the kind `prefix`."""
    return f"{prefix}_{uuid_utils.compat.uuid7().hex}"


def public_id_at(prefix: str, moment: datetime) -> str:
    """A fresh id that sorts as if it had been made at `moment`: for what comes from elsewhere."""
    milliseconds = max(0, int(moment.timestamp() * 1000)) & (2**48 - 1)
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return f"{prefix}_{number:032x}"


def public_id_floor(prefix: str, moment: datetime) -> str:
    """The bound below which all ids made before `moment` lie, and none made since."""
    return f"{prefix}_{max(0, int(moment.timestamp() * 1000)) << 80:032x}"


def public_id_is_valid(prefix: str, value: str) -> bool:
    """Whether `value` has the form of an id of this kind; says nothing about its existence."""
    return re.fullmatch(rf"{prefix}_[0-9a-f]{{32}}", value) is not None


def raw_id(public_id: str) -> uuid.UUID:
    """What the database has for a valid public id, for SQL written by hand."""
    return uuid.UUID(hex=public_id.rpartition("_")[2])


class PublicIdField(_UUIDField):
    """A UUID column whose Python value is the prefixed public id."""

    def __init__(self, *, prefix: str, **options: Any) -> None:
        self.prefix = prefix
        options.setdefault("default", self.new)
        options.setdefault("editable", False)
        super().__init__(**options)

    def new(self) -> str:
        return public_id_new(self.prefix)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, options = super().deconstruct()
        if options.get("default") == self.new:
            del options["default"]
        options.pop("editable", None)
        return name, path, args, {**options, "prefix": self.prefix}

    def from_db_value(self, value: uuid.UUID | None, *_: Any) -> str | None:
        return None if value is None else f"{self.prefix}_{value.hex}"

    def to_python(self, value: Any) -> str | None:
        """The prefixed form of `value`; raises ValidationError where it is no id of this kind."""
        if value is None:
            return None
        if isinstance(value, uuid.UUID):
            return f"{self.prefix}_{value.hex}"
        if isinstance(value, str) and public_id_is_valid(self.prefix, value):
            return value
        raise ValidationError(f"Not an id of the form {self.prefix}_…", code="invalid")

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        text = self.to_python(value)
        return None if text is None else uuid.UUID(hex=text.removeprefix(f"{self.prefix}_"))

    def formfield(self, **options: Any) -> Any:
        # UUIDField's form field would refuse the prefix.
        return models.Field.formfield(self, **options)
