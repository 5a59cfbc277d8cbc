"""The operations there are, found by looking into `operations/`: adding a file there adds the operation."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from engine import operations as operations_package
from engine.operation import Holds, OperationType
from engine.parameters import validated
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from problems import Problem


@functools.cache
def operations() -> Mapping[str, OperationType]:
    """Every operation by its type, in the order of their names."""
    found: dict[str, OperationType] = {}
    for module in sorted(pkgutil.iter_modules(operations_package.__path__), key=lambda item: item.name):
        operation: OperationType = importlib.import_module(
            f"{operations_package.__name__}.{module.name}"
        ).OPERATION
        found[operation.type] = operation
    return MappingProxyType(found)


def operation_for(type: str) -> OperationType:  # noqa: A002 - the contract's word
    """The operation of this type. Raises Problem("unknown_operation")."""
    try:
        return operations()[type]
    except KeyError:
        raise Problem("unknown_operation", type=type) from None


def parameters_for(type: str, raw: Mapping[str, object]) -> BaseModel:  # noqa: A002 - the contract's word
    """The parameters as the operation reads them.

    Raises Problem("invalid_parameters") with a pointer and a sentence for each wrong field, or
    Problem("unknown_operation").
    """
    return validated(operation_for(type).Parameters, raw)


def normalised(parameters: BaseModel) -> dict[str, Any]:
    """The parameters as JSON with defaults filled in, so that equal wishes look equal."""
    return parameters.model_dump(mode="json", exclude_none=True)


def fingerprint(type: str, parameters: BaseModel) -> str:  # noqa: A002 - the contract's word
    """SHA-256 of the canonical JSON of type and normalised parameters, as 64 hex digits."""
    canonical = json.dumps(
        [type, normalised(parameters)], sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def others_for(type: str, parameters: BaseModel) -> Mapping[str, Holds]:  # noqa: A002 - the contract's word
    """The ids of further files that the parameters speak of, and what each has to hold."""
    operation = operation_for(type)
    return {} if operation.others is None else operation.others(parameters)


def plan_for(
    type: str,  # noqa: A002 - the contract's word
    parameters: BaseModel,
    media: MediaInfo,
    others: Mapping[str, MediaInfo] | None = None,
) -> Plan:
    """What will be done to this video. Pure; `others` are what the files of `others_for` hold.

    Raises Problem("no_video_stream"), ("no_audio_stream") or ("parameters_do_not_fit") when the wish and the
    video do not go together.
    """
    operation = operation_for(type)
    if operation.others is None:
        return operation.plan(parameters, media)
    known = others or {}
    for name, holds in operation.others(parameters).items():
        _insist(name, holds, known[name])
    return operation.plan(parameters, media, known)


_HELD: Mapping[Holds, Callable[[MediaInfo], bool]] = {
    Holds.PICTURE: lambda media: media.main_video is not None and media.container != "png",
    Holds.SOUND: lambda media: media.main_audio is not None,
    Holds.IMAGE: lambda media: media.main_video is not None and media.container == "png",
    Holds.WORDS: lambda media: bool(media.subtitles) and media.container == "srt",
}


def _insist(name: str, holds: Holds, media: MediaInfo) -> None:
    if not _HELD[holds](media):
        raise Problem("parameters_do_not_fit", reason=f"{name} holds no {holds}.")
