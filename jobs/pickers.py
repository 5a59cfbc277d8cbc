"""Fields of operation forms that choose among the viewer's own videos and small files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from engine.small_files import PICTURE, SUBTITLES
from users.models import User
from videos.models import Video
from videos.selectors import assets_for, videos_for

MOST_OFFERED = 50
_ROWS = 5
_ACCEPTED = {PICTURE: ".png,.jpg,.jpeg,.webp", SUBTITLES: ".srt,.vtt,.ass"}

Choice = tuple[str, str]


class Offers:
    """What there is to choose from, the newest of each kind; looked up once, where it is asked for."""

    def __init__(self, owner: User | None) -> None:
        self._owner = owner
        self._assets: dict[str, list[Choice]] = {}

    @cached_property
    def videos(self) -> list[Choice]:
        """Ready videos."""
        if self._owner is None:
            return []
        ready = videos_for(self._owner).filter(status=Video.Status.READY).order_by("-id")
        return [(video.pk, _titled(video)) for video in ready.only("id", "name", "duration")[:MOST_OFFERED]]

    def assets(self, kind: str) -> list[Choice]:
        """Small files of this kind."""
        if self._owner is None:
            return []
        if kind not in self._assets:
            found = assets_for(self._owner).filter(kind=kind).order_by("-id").only("id", "filename")
            self._assets[kind] = [(asset.pk, asset.filename) for asset in found[:MOST_OFFERED]]
        return self._assets[kind]


def _titled(video: Video) -> str:
    minutes, seconds = divmod(round(video.duration or 0), 60)
    return f"{video.name} ({minutes}:{seconds:02})"


class _Picker(forms.Select):
    """A choice that shows what was chosen also when it is no longer offered."""

    def optgroups(self, name: str, value: Any, attrs: dict[str, Any] | None = None) -> Any:
        known = {str(key) for key, _ in self.choices}
        strange = [(one, one) for one in value if one and one not in known]
        before = self.choices
        self.choices = [*before, *strange]
        try:
            return super().optgroups(name, value, attrs)
        finally:
            self.choices = before


class AssetPicker(_Picker):
    """A file of one's own, or one that is sent along with the form."""

    template_name = "jobs/asset_picker.html"
    needs_multipart_form = True

    def __init__(self, kind: str, choices: Iterable[Choice]) -> None:
        super().__init__(choices=choices)
        self._kind = kind

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        return {**context, "upload": upload_name(name), "accepted": _ACCEPTED[self._kind]}


def upload_name(name: str) -> str:
    """The field that carries a file in place of a choice."""
    return f"{name}-upload"


class VideosPicker(_Picker):
    """Several videos in an order: a row for each. Rows after an empty one are hidden by the style sheet."""

    template_name = "jobs/videos_picker.html"

    def value_from_datadict(self, data: Mapping[str, Any], _files: Any, name: str) -> list[str]:
        found = data.getlist(name) if hasattr(data, "getlist") else data.get(name) or []
        return [found] if isinstance(found, str) else [one for one in found if one]

    def format_value(self, value: Any) -> list[str]:
        return [str(one) for one in value or []]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        chosen = self.format_value(value)
        context = super().get_context(name, chosen, attrs)
        filled = [*chosen, *[""] * (max(_ROWS, len(chosen) + 1) - len(chosen))]
        own = context["widget"]["attrs"]
        context["rows"] = [
            super(VideosPicker, self).get_context(
                name, [one], own if number == 0 else {**own, "id": f"{own.get('id')}_{number}"}
            )["widget"]
            for number, one in enumerate(filled)
        ]
        return context


def picker(kind: Mapping[str, Any], offers: Offers, *, required: bool) -> forms.Field | None:
    """The field for a parameter that names videos or a small file; None for all others."""
    widget = _widget(kind, offers, required=required)
    return None if widget is None else forms.Field(required=required, widget=widget)


def _widget(kind: Mapping[str, Any], offers: Offers, *, required: bool) -> forms.Widget | None:
    nothing = ("", str(kind.get("x-empty", "Choose one" if required else "None")))
    if kind.get("format") == "asset":
        return AssetPicker(kind["x-asset"], [nothing, *offers.assets(kind["x-asset"])])
    if kind.get("format") == "video":
        return _Picker(choices=[nothing, *offers.videos])
    if kind.get("type") == "array" and kind.get("items", {}).get("format") == "video":
        return VideosPicker(choices=[nothing, *offers.videos])
    return None


def uploads_in(files: Mapping[str, UploadedFile[Any]], names: Iterable[str]) -> dict[str, UploadedFile[Any]]:
    """By the names of the fields they stand for: the files that were sent along."""
    return {name: files[upload_name(name)] for name in names if upload_name(name) in files}
