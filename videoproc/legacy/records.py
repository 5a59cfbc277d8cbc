"""The original's records, checked. What a record cannot do without breaks it; the rest is left out."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

_MAX_ID = 2**53


def _number(value: object) -> object:
    """The original compares numbers; a tree edited by hand may hold them as text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value) else value


LegacyId = Annotated[int, Field(ge=0, le=_MAX_ID), BeforeValidator(_number)]


class Record(BaseModel):
    """Base of the records. Types are not guessed; keys we do not know are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", populate_by_name=True)
    optional: ClassVar[frozenset[str]] = frozenset()


class LegacyUser(Record):
    """A person. The password is plain text."""

    optional = frozenset({"name", "password"})

    id: LegacyId
    username: Annotated[str, Field(min_length=1, max_length=1000)]
    name: str = ""
    password: str | None = None


class LegacySession(Record):
    """Somebody signed in."""

    user_id: LegacyId = Field(alias="userId")
    token: str


class LegacyVideo(Record):
    """A video with everything made from it. Its size in pixels is not read: the file itself tells it.

    `video_id` and `extension` become parts of paths, so they are letters and digits or nothing.
    """

    optional = frozenset({"name", "extractedAudio", "resizes", "conversions"})

    video_id: Annotated[str, Field(alias="videoId", pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    extension: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,10}$")]
    user_id: LegacyId = Field(alias="userId")
    name: str = ""
    extracted_audio: bool = Field(default=False, alias="extractedAudio")
    resizes: dict[str, Any] = Field(default_factory=dict)
    conversions: dict[str, Any] = Field(default_factory=dict)


class Checked(NamedTuple):
    """A record, or None where it is broken, and what is wrong with it."""

    record: Any
    complaints: list[str]


def checked(model: type[Record], value: Any) -> Checked:
    """The record in `value`. Wrong optional fields are left out and complained about."""
    if not isinstance(value, dict):
        return Checked(None, [f"should be an object and is {_kind(value)}"])
    try:
        return Checked(model.model_validate(value), [])
    except ValidationError as error:
        wrong = {str(item["loc"][0]): f"{item['loc'][0]}: {_sentence(item)}" for item in error.errors()}
    if set(wrong) - model.optional:
        return Checked(None, list(wrong.values()))
    kept = {key: member for key, member in value.items() if key not in wrong}
    return Checked(model.model_validate(kept), [f"{sentence}; left out" for sentence in wrong.values()])


def _sentence(item: Any) -> str:
    if item["type"] == "missing":
        return "is missing"
    shown = repr(item["input"])
    return f"{item['msg']} (it is {shown if len(shown) <= 60 else shown[:57] + '...'})"  # noqa: PLR2004 - a line


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
