"""Pages of a list by the place of their rows, not by counting them: the last page costs what the first does.

An address names the row that its page begins behind. The one row too many tells whether there is a further
page.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import BooleanField, F, Field, Func, Model, QuerySet, Value

_Row = TypeVar("_Row", bound=Model)
# Behind which row of the list, or before which.
AFTER, BEFORE = "after", "before"


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `next` and `previous` are the places that their pages begin at, None where there is none."""

    rows: Sequence[Any]
    next: str | None
    previous: str | None
    is_first: bool

    @property
    def has_other_pages(self) -> bool:
        return self.next is not None or not self.is_first


class _Beyond(Func):
    """Columns compared as one, which an index over them serves."""

    output_field = BooleanField()

    def __init__(self, columns: Sequence[Any], values: Sequence[Any], sign: str) -> None:
        super().__init__(*columns, *values)
        self.sign = sign

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]  # it has further options
        parts, parameters = [], []
        for expression in self.source_expressions:
            sql, given = compiler.compile(expression)
            parts.append(sql)
            parameters += given
        half = len(parts) // 2
        return f"({', '.join(parts[:half])}) {self.sign} ({', '.join(parts[half:])})", parameters


def page_of(
    rows: QuerySet[_Row], address: Mapping[str, str], *, size: int, by: Sequence[str] = ("-id",)
) -> Page:
    """The page that the address asks for; nonsense in it gives the first.

    `by` are columns or annotations without nulls, all rising or all with "-" falling, the last unique. An
    index over them serves every page.
    """
    falling = by[0].startswith("-")
    names = [name.removeprefix("-") for name in by]
    if (values := _place(rows, names, address.get(AFTER))) is not None:
        found = list(_beyond(rows, names, values, "<" if falling else ">").order_by(*by)[: size + 1])
        before = _token(found[0], names) if found else None
        return Page(found[:size], _more(found, size, names), before, is_first=False)
    if (values := _place(rows, names, address.get(BEFORE))) is not None:
        back = [name if falling else f"-{name}" for name in names]
        found = list(_beyond(rows, names, values, ">" if falling else "<").order_by(*back)[: size + 1])
        if len(found) > size:
            found = found[:size][::-1]
            return Page(found, _token(found[-1], names), _token(found[0], names), is_first=False)
    found = list(rows.order_by(*by)[: size + 1])
    return Page(found[:size], _more(found, size, names), None, is_first=True)


def place_of(row: Model, *, by: Sequence[str] = ("-id",)) -> str:
    """What an address says of the page behind this row."""
    return _token(row, [name.removeprefix("-") for name in by])


def _more(found: Sequence[Model], size: int, names: Sequence[str]) -> str | None:
    return _token(found[size - 1], names) if len(found) > size else None


def _token(row: Model, names: Sequence[str]) -> str:
    text = json.dumps(
        [getattr(row, name) for name in names], ensure_ascii=False, separators=(",", ":"), default=str
    )
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(rows: QuerySet[_Row], names: Sequence[str], token: str | None) -> list[Any] | None:
    """The values that the token names, one of the right type for each column; None where it does not."""
    if not token:
        return None
    try:
        found = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not isinstance(found, list) or len(found) != len(names) or None in found:
            return None
        if b"\0" in "".join(map(str, found)).encode():
            return None
        fields = [_field(rows, name) for name in names]
        return [Value(field.to_python(value), field) for field, value in zip(fields, found, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, ValidationError):
        return None


def _field(rows: QuerySet[_Row], name: str) -> Field[Any, Any]:
    annotation = rows.query.annotations.get(name)
    found: Any = rows.model._meta.get_field(name) if annotation is None else annotation.output_field  # noqa: SLF001 - Django documents it
    return found  # type: ignore[no-any-return]  # either is a field


def _beyond(rows: QuerySet[_Row], names: Sequence[str], values: Sequence[Any], sign: str) -> QuerySet[_Row]:
    return rows.filter(_Beyond([F(name) for name in names], values, sign))
