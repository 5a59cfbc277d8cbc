"""What an operation is: a name, words for people, its parameters and its way to plan."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.parameters import Parameters
from engine.types import MediaInfo, Plan


@dataclass(frozen=True, slots=True)
class OperationType:
    """One entry of the catalogue; each file in `operations/` declares one as OPERATION.

    `icon` is the name of a lucide icon; `form` tells whether pages can offer the parameters as plain fields.
    `plan` is pure and raises Problem when the parameters do not fit the video; it gets an instance of
    `Parameters`.
    """

    type: str
    title: str
    description: str
    icon: str
    Parameters: builtins.type[Parameters]
    plan: Callable[[Any, MediaInfo], Plan]
    form: bool = True
