"""Presets: made, changed and deleted by their owners, and by administrators for the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from engine import catalogue
from problems import FieldError, Problem
from users.models import User
from videos.models import Preset
from videos.names import name_clean
from videos.preset_selectors import PRESETS_MAX

_NAME_ONCE = "preset_name_once"


def preset_parameters(
    *,
    owner: User | None,
    type: str,  # noqa: A002 - the API's word
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """The parameters as a preset stores them.

    Raises `unknown_operation`, or `invalid_parameters` with each wrong field, also where a preset of the site
    speaks of somebody's own files.
    """
    read = catalogue.parameters_for(type, parameters)
    if owner is None and (others := catalogue.others_for(type, read)):
        detail = f"A preset of the site cannot speak of {', '.join(others)}: that belongs to one user."
        raise Problem("invalid_parameters", errors=[FieldError("/parameters", "not_found", detail)])
    return catalogue.normalised(read)


@transaction.atomic
def preset_create(
    *,
    owner: User,
    name: str,
    type: str,  # noqa: A002 - the API's word
    parameters: Mapping[str, Any],
    description: str = "",
    purpose: str = Preset.Purpose.OTHER,
    enabled: bool = True,
) -> Preset:
    """A new preset of this user.

    Raises `invalid_request` for a name that is empty or taken, `too_many_presets`, and the Problems of
    `preset_parameters`.
    """
    stored = preset_parameters(owner=owner, type=type, parameters=parameters)
    User.objects.select_for_update(of=["self"]).get(pk=owner.pk)
    if Preset.objects.filter(owner=owner).count() >= PRESETS_MAX:
        raise Problem("too_many_presets", limit=PRESETS_MAX)
    preset = Preset(
        owner=owner,
        name=_name(name),
        description=name_clean(description),
        purpose=purpose,
        type=type,
        parameters=stored,
        enabled=enabled,
    )
    _save(preset)
    return preset


def preset_update(*, preset: Preset, **changes: Any) -> Preset:
    """Changes what is named of `name`, `description`, `purpose`, `type`, `parameters` and `enabled`.

    Raises the Problems of `preset_create`; nothing is changed then.
    """
    if {"type", "parameters"} & set(changes):
        changes["type"] = changes.get("type", preset.type)
        changes["parameters"] = preset_parameters(
            owner=preset.owner,
            type=changes["type"],
            parameters=changes.get("parameters", preset.parameters),
        )
    if "name" in changes:
        changes["name"] = _name(changes["name"])
    if "description" in changes:
        changes["description"] = name_clean(changes["description"])
    for field, value in changes.items():
        setattr(preset, field, value)
    _save(preset)
    return preset


def preset_delete(*, preset: Preset) -> None:
    """What was made with it stays."""
    preset.delete()


def _name(text: str) -> str:
    cleaned = name_clean(text)
    if not cleaned:
        raise Problem("invalid_request", errors=[FieldError("/name", "blank", "Give the preset a name.")])
    return cleaned


def _save(preset: Preset) -> None:
    try:
        with transaction.atomic():
            preset.save()
    except IntegrityError as error:
        if _NAME_ONCE not in str(error):
            raise
        detail = f"There is a preset “{preset.name}” already."
        raise Problem("invalid_request", errors=[FieldError("/name", "name_taken", detail)]) from None
