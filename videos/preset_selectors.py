"""Everything that reads presets. The site's are everybody's to use and an administrator's to change."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from problems import FieldError, Problem
from users.ids import public_id_is_valid
from users.models import User
from videos.models import Preset

PRESETS_MAX = 100
"""How many a user may have."""


def presets_for(viewer: User) -> QuerySet[Preset]:
    """The viewer's own, and those of the site that are offered; unordered."""
    return Preset.objects.filter(Q(owner=viewer) | Q(owner=None, enabled=True))


def presets_own(viewer: User) -> list[Preset]:
    """The viewer's own by name; never more than `PRESETS_MAX`."""
    return sorted(Preset.objects.filter(owner=viewer), key=lambda preset: preset.name.casefold())


def presets_offered(viewer: User) -> list[Preset]:
    """What the viewer can use now: their own by name, then the site's in its order."""
    own = [preset for preset in presets_own(viewer) if preset.enabled]
    return own + list(
        Preset.objects.filter(owner=None, enabled=True).order_by("position", "id")[:PRESETS_MAX]
    )


def preset_get_for(viewer: User, preset_id: str) -> Preset:
    """One that the viewer can see. Raises `not_found`."""
    if not public_id_is_valid("pre", preset_id):
        raise Problem("not_found")
    preset = presets_for(viewer).filter(pk=preset_id).first()
    if preset is None:
        raise Problem("not_found")
    return preset


def preset_own_get_for(viewer: User, preset_id: str) -> Preset:
    """One that the viewer may change. Raises `not_found`, or `permission_denied` for one of the site."""
    preset = preset_get_for(viewer, preset_id)
    if preset.owner_id is None:
        raise Problem("permission_denied")
    return preset


def preset_usable_for(viewer: User, preset_id: str) -> Preset:
    """One that the viewer can use. Raises `invalid_request` that points at `/preset`, as it stands in a wish,
    or `preset_disabled`."""
    try:
        preset = preset_get_for(viewer, preset_id)
    except Problem:
        detail = "There is no such preset." if preset_id else "Choose a preset."
        fault = FieldError("/preset", "not_found" if preset_id else "blank", detail)
        raise Problem("invalid_request", errors=[fault]) from None
    if not preset.enabled:
        raise Problem("preset_disabled")
    return preset
