"""Pages of a list without counting it: the one row too many tells whether there is a next page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

_Row = TypeVar("_Row", bound=Model)
_LAST = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """One page, numbered from 1."""

    rows: Sequence[Any]
    number: int
    has_next: bool

    @property
    def has_other_pages(self) -> bool:
        return self.has_next or self.number > 1

    @property
    def next_number(self) -> int:
        return self.number + 1

    @property
    def previous_number(self) -> int:
        return self.number - 1


def page_of(rows: QuerySet[_Row], wanted: str, *, size: int) -> Page:
    """The page `wanted`, as it stands in the address; anything that is no page number gives the first."""
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < len(str(_LAST)) else 1
    number = max(1, number)
    first = (number - 1) * size
    found = list(rows[first : first + size + 1])
    return Page(found[:size], number, has_next=len(found) > size)
