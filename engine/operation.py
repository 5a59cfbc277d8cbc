"""What an operation is: a name, words for people, its parameters and its way to plan."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.parameters import Parameters
from engine.types.plan import Plan


class Holds(StrEnum):
    """What a further file of an operation must hold."""

    PICTURE = "moving pictures"
    SOUND = "sound"
    IMAGE = "still picture"
    WORDS = "subtitles"


@dataclass(frozen=True, slots=True)
class OperationType:
    """One entry of the catalogue; each file in `operations/` declares one as OPERATION.

    `icon` is the name of a lucide icon; `form` tells whether pages can offer the parameters as plain fields.
    `plan` is pure and raises Problem when the parameters do not fit the video; it gets an instance of
    `Parameters` and what the video holds. `others` names further files that the parameters speak of, by the
    ids people know them by; then `plan` gets what these hold as well, by the same names, and reads them as
    sources of these names. Those that put whole tracks of others beside the video's own are not to be
    `chained`: a pipeline knows the streams of the video alone.
    """

    type: str
    title: str
    description: str
    icon: str
    Parameters: builtins.type[Parameters]
    plan: Callable[..., Plan]
    others: Callable[[Any], Mapping[str, Holds]] | None = None
    chained: bool = True
    form: bool = True
