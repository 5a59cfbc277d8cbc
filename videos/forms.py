"""The forms of the library and the video page."""

from __future__ import annotations

from typing import ClassVar

from django import forms

from videos.models import Preset, Video


class LibraryFilter(forms.Form):
    """What the library shows; nonsense in the address falls back to the default."""

    SORTS: ClassVar[dict[str, tuple[str, tuple[str, ...]]]] = {
        "newest": ("Newest first", ("-id",)),
        "oldest": ("Oldest first", ("id",)),
        "name": ("Name", ("name", "id")),
        "largest": ("Largest first", ("-size", "-id")),
        "longest": ("Longest first", ("-length", "-id")),
    }

    q = forms.CharField(required=False, max_length=200)
    status = forms.ChoiceField(required=False, choices=[("", "Any state"), *Video.Status.choices])
    sort = forms.ChoiceField(required=False, choices=[(key, words) for key, (words, _) in SORTS.items()])

    def chosen(self, name: str) -> str:
        """The field's value, or an empty text where it was not valid."""
        self.is_valid()
        return str(self.cleaned_data.get(name, ""))

    @property
    def is_narrowed(self) -> bool:
        return bool(self.chosen("q") or self.chosen("status"))

    @property
    def order(self) -> tuple[str, ...]:
        """Each is that of an index of videos; `length` is DURATION_OR_NONE."""
        return self.SORTS.get(self.chosen("sort"), self.SORTS["newest"])[1]


class RenameForm(forms.Form):
    name = forms.CharField(max_length=255)


class ImportForm(forms.Form):
    """A video to fetch from elsewhere. What makes an address good is the service's business."""

    url = forms.CharField(
        label="Web address",
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/video.mp4"}),
    )
    name = forms.CharField(label="Name", max_length=255, required=False)


class PresetForm(forms.Form):
    """What people say of a preset; the operation itself is not typed again."""

    name = forms.CharField(
        max_length=80, widget=forms.TextInput(attrs={"placeholder": "such as Clips for the shop"})
    )
    description = forms.CharField(max_length=200, required=False)
    purpose = forms.ChoiceField(choices=Preset.Purpose.choices, initial=Preset.Purpose.OTHER)
