"""What a person may ask of an operation: the base model, shared field types, and errors people can act on.

One pydantic model per operation is the only declaration of its parameters: the API's validation, the HTML
form, the OpenAPI schema and the documentation all come from it. So every field carries a title, a
description and its bounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails, PydanticCustomError

from problems import FieldError, Problem

MAX_SECONDS = 86_400.0
_CLOCK = re.compile(r"(?:(?:(\d{1,3}):)?([0-5]?\d):)?(\d{1,6}(?:\.\d{1,6})?)")


class Parameters(BaseModel):
    """Base of every operation's parameters: unknown keys, infinities and NaN are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def _not_a_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "Must be a whole number, not true or false.")
    return value


def parse_time(value: object) -> float:
    """Seconds from a number or from `SS.mmm`, `MM:SS.mmm` or `HH:MM:SS.mmm`, to the millisecond."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(float(value), 3)
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError("time", "Must be seconds, such as 90.5, or a time, such as 00:01:30.500.")
    hours, minutes, seconds = found.groups()
    if minutes is not None and float(seconds) >= 60:  # noqa: PLR2004 - a minute
        raise PydanticCustomError("time", "The seconds of a time such as 00:01:30 must be less than 60.")
    return round(int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds), 3)


def _parse_bitrate(value: object) -> object:
    """Kilobits per second as a number, or as people write it for ffmpeg: `128k`."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,6}k", value.strip(), re.IGNORECASE):
        return int(value.strip()[:-1])
    return _not_a_boolean(value)


ADVANCED: JsonDict = {"x-advanced": True}
"""For `json_schema_extra`: forms keep the field out of sight until more is asked for."""

WHOLE = BeforeValidator(_not_a_boolean)
"""Goes last into an Annotated int, so that the bounds before it reach the JSON Schema."""

Pixels = Annotated[int, Field(ge=16, le=8192), WHOLE]

SECONDS_SCHEMA: dict[str, Any] = {
    "type": ["number", "string"],
    "format": "timecode",
    "minimum": 0,
    "maximum": MAX_SECONDS,
    "pattern": r"^(?:(?:\d{1,3}:)?[0-5]?\d:)?\d{1,6}(?:\.\d{1,6})?$",
    "examples": [90, 12.5, "00:01:30.500"],
}

Seconds = Annotated[
    float,
    Field(ge=0, le=MAX_SECONDS),
    BeforeValidator(parse_time),
    WithJsonSchema(SECONDS_SCHEMA),
]

VideoId = Annotated[
    str,
    Field(pattern=r"^vid_[0-9a-f]{32}$"),
    WithJsonSchema({"type": "string", "format": "video", "pattern": r"^vid_[0-9a-f]{32}$"}),
]
"""Another video of the same owner."""

AssetId = Annotated[
    str,
    Field(pattern=r"^ast_[0-9a-f]{32}$"),
    WithJsonSchema({"type": "string", "format": "asset", "pattern": r"^ast_[0-9a-f]{32}$"}),
]
"""A small file of the same owner. `json_schema_extra` PICTURES or SUBTITLES says which kind."""

PICTURES: JsonDict = {"x-asset": "picture"}
SUBTITLES: JsonDict = {"x-asset": "subtitles"}

Kilobits = Annotated[
    int,
    Field(ge=32, le=512),
    BeforeValidator(_parse_bitrate),
    WithJsonSchema({"type": "integer", "minimum": 32, "maximum": 512, "examples": [128, 192]}),
]


_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmg]i?|)b?", re.IGNORECASE)
_LEAST_BYTES, _MOST_BYTES = 10_000, 64 * 1024**3


def parse_size(value: object) -> object:
    """Bytes from a number or from a text such as `25 MB` (25,000,000) or `25 MiB` (26,214,400)."""
    if not isinstance(value, str):
        return _not_a_boolean(value)
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise PydanticCustomError("size", "Must be bytes, such as 25000000, or a size, such as 25 MB.")
    return int(float(found[1]) * _UNITS[found[2].lower()])


FileSize = Annotated[
    int,
    Field(ge=_LEAST_BYTES, le=_MOST_BYTES),
    BeforeValidator(parse_size),
    WithJsonSchema(
        {
            "type": ["integer", "string"],
            "minimum": _LEAST_BYTES,
            "maximum": _MOST_BYTES,
            "pattern": r"^\d{1,15}(?:\.\d{1,6})?\s*(?:[kKmMgG][iI]?)?[bB]?$",
            "examples": ["25 MB", 25_000_000],
        }
    ),
]


def _only_if_wanted(value: bool | None) -> bool | None:
    """Not to want it is the same as not to speak of it."""
    return value or None


Score = Annotated[
    bool | None,
    AfterValidator(_only_if_wanted),
    Field(
        title="Measure the quality",
        description="Compare samples of the result with the source (VMAF) and note the figure in its report.",
        json_schema_extra=ADVANCED,
    ),
]
"""Goes into an operation that encodes the whole picture; its plan then ends with `assembly.scored`."""


def _number_of_text(value: object) -> object:
    """Forms send numbers as text."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


Channels = Annotated[Literal[1, 2, 6], BeforeValidator(_number_of_text)]


_COLOUR = r"^(?:#[0-9a-fA-F]{6}|black|white|gray|grey|red|green|blue|yellow)$"


def parse_colour(value: object) -> str:
    """A colour in small letters."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if re.fullmatch(_COLOUR, text) is None:
        raise PydanticCustomError("colour", "Must be #rrggbb, such as #1e293b, or a name such as black.")
    return text


Colour = Annotated[str, BeforeValidator(parse_colour), WithJsonSchema({"type": "string", "pattern": _COLOUR})]
"""`#rrggbb`, or one of a few names that ffmpeg knows too."""


def validated(model: type[Parameters], raw: Mapping[str, object]) -> Parameters:
    """The parameters as the model reads them. Problem("invalid_parameters") names each wrong field."""
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        errors = [_field_error(model, item) for item in error.errors(include_url=False)]
        raise Problem("invalid_parameters", errors=errors) from None


# pydantic's kind of error -> our code and sentence. The context fills the placeholders.
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "model_type": ("not_an_object", "Must be an object."),
    "dict_type": ("not_an_object", "Must be an object."),
    "tuple_type": ("not_a_list", "Must be a list."),
    "missing": ("required", "This is required."),
    "greater_than_equal": ("too_small", "Must be at least {ge:g}."),
    "greater_than": ("too_small", "Must be more than {gt:g}."),
    "less_than_equal": ("too_large", "Must be at most {le:g}."),
    "less_than": ("too_large", "Must be less than {lt:g}."),
    "int_type": ("not_an_integer", "Must be a whole number."),
    "int_parsing": ("not_an_integer", "Must be a whole number."),
    "int_parsing_size": ("not_an_integer", "Must be a whole number of sane size."),
    "int_from_float": ("not_an_integer", "Must be a whole number, without a fraction."),
    "float_type": ("not_a_number", "Must be a number."),
    "float_parsing": ("not_a_number", "Must be a number."),
    "finite_number": ("not_a_number", "Must be a finite number."),
    "bool_type": ("not_a_boolean", "Must be true or false."),
    "bool_parsing": ("not_a_boolean", "Must be true or false."),
    "enum": ("not_a_choice", "Must be one of {expected}."),
    "literal_error": ("not_a_choice", "Must be one of {expected}."),
    "time": ("not_a_time", "{message}"),
    "size": ("not_a_size", "{message}"),
    "colour": ("not_a_colour", "{message}"),
    "string_type": ("not_a_text", "Must be a text."),
    "string_unicode": ("not_a_text", "Must be a text of valid characters."),
    "string_pattern_mismatch": (
        "not_a_choice",
        "Must be an id: letters such as vid_ or ast_, and 32 digits from 0 to f.",
    ),
    "string_too_short": ("too_short", "Must have at least {min_length} characters."),
    "too_short": ("too_short", "Must have at least {min_length}."),
    "too_long": ("too_long", "Must have at most {max_length}."),
    "string_too_long": ("too_long", "Must have at most {max_length} characters."),
}


def _field_error(model: type[Parameters], item: ErrorDetails) -> FieldError:
    path = [str(part) for part in item["loc"]]
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in ("parameters", *path))
    if item["type"] == "extra_forbidden":
        # Deeper down it is another model's.
        known = f" Known are: {', '.join(model.model_fields)}." if len(path) == 1 else ""
        return FieldError(pointer, "unknown", f"There is no such parameter.{known}")
    context: dict[str, Any] = {"message": item["msg"], **item.get("ctx", {})}
    code, sentence = _SENTENCES.get(item["type"], (item["type"], "{message}"))
    return FieldError(pointer, code, sentence.format_map(context))
