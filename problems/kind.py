"""What is known of a problem before it happens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the catalogue."""

    code: str
    status: int
    title: str
    detail: str
    hint: str
    retryable: bool = False
