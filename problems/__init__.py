"""Everything that can go wrong, by stable code.

This is the lowest floor: standard library only, imported by every other room. A room raises
`Problem("code", **data)`; the edges turn it into an RFC 9457 response, a page or a job's error.
The table itself is in `problems/catalogue/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from problems.catalogue import KINDS
from problems.kind import Kind

__all__ = ["KINDS", "FieldError", "Kind", "Problem", "kind_for"]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field. `pointer` is an RFC 6901 JSON pointer into the request body."""

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """An anticipated failure with a code from the catalogue.

    `data` fills the placeholders of the kind's sentence and is shown to programs as extra members.
    `errors` names each wrong field. A code that is not in the catalogue is a programming error and
    raises KeyError at once.
    """

    def __init__(self, code: str, *, errors: Sequence[FieldError] = (), **data: Any) -> None:
        self.kind: Kind = KINDS[code]
        self.data: Mapping[str, Any] = data
        self.errors: tuple[FieldError, ...] = tuple(errors)
        super().__init__(self.detail)

    @property
    def code(self) -> str:
        return self.kind.code

    @property
    def status(self) -> int:
        return self.kind.status

    @property
    def retryable(self) -> bool:
        return self.kind.retryable

    @property
    def hint(self) -> str:
        return self.kind.hint

    @property
    def detail(self) -> str:
        """What happened, as one sentence for a person."""
        return self.kind.detail.format_map(self.data)


def kind_for(code: str) -> Kind:
    """The catalogue's entry for a stored code; a code retired since then reads as `internal_error`."""
    return KINDS.get(code, KINDS["internal_error"])
