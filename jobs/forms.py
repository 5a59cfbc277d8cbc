"""Forms made from the engine's declarations, and the filter of the jobs page.

An operation's Parameters model says everything about its fields; the form only gives them a shape. Values
are judged by the engine alone, so that pages and API never disagree.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.forms.utils import ErrorDict

from engine import catalogue
from engine.codecs import label_of
from engine.containers import (
    ANIMATION_CONTAINERS,
    AUDIO_CONTAINERS,
    PICTURE_CONTAINERS,
    VIDEO_CONTAINERS,
    WORDS_CONTAINERS,
)
from engine.types.media import MediaInfo
from jobs.models import Job
from jobs.pickers import Offers, picker, upload_name, uploads_in

_KEPT = {"default", "examples", "x-empty", "x-asset"}
_CONTAINERS = {
    **WORDS_CONTAINERS,
    **ANIMATION_CONTAINERS,
    **PICTURE_CONTAINERS,
    **AUDIO_CONTAINERS,
    **VIDEO_CONTAINERS,
}


class OperationForm(forms.Form):
    """The parameters of one kind of operation, with the video's own figures as hints."""

    def __init__(
        self,
        type_: str,
        media: MediaInfo | None,
        data: Any = None,
        *,
        files: Any = None,
        offers: Offers | None = None,
    ) -> None:
        super().__init__(data, files, prefix=type_, auto_id="id_%s")
        self.type = type_
        self.operation = catalogue.operation_for(type_)
        model = self.operation.Parameters
        schema = model.model_json_schema()
        self._advanced = {
            name for name, property_ in schema["properties"].items() if property_.get("x-advanced")
        }
        for name, info in model.model_fields.items():
            kind = _resolved(schema["properties"][name], schema)
            required = info.is_required()
            field = picker(kind, offers or Offers(None), required=required)
            field = field or _field(kind, name, required=required)
            field.label = info.title or name.replace("_", " ").capitalize()
            field.help_text = info.description or ""
            if name == "format" and info.is_required() and media is not None:
                field.initial = next(value for value in kind["enum"] if value != media.container)
            self.fields[name] = field
        if media is not None:
            self._hint(media)

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """What everyone sees."""
        return [bound for bound in self if bound.name not in self._advanced]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        """What is folded away until it is asked for."""
        return [bound for bound in self if bound.name in self._advanced]

    @property
    def opens_advanced(self) -> bool:
        """Whether something folded away was filled in wrong."""
        return any(bound.errors for bound in self.advanced_fields)

    def full_clean(self) -> None:
        """Judges nothing: the engine does, and its answer is put in with `problem_show`."""
        self._errors = ErrorDict()
        self.cleaned_data = {}

    def parameters(self) -> dict[str, Any]:
        """What was filled in, for the engine to judge."""
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            value = field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
            if value not in (None, "", []):
                found[name] = value
        return found

    @property
    def uploads(self) -> dict[str, UploadedFile[Any]]:
        """Small files that were sent along, by the parameter that they are for."""
        sent = uploads_in(self.files, map(self.add_prefix, self.fields))
        return {name: sent[self.add_prefix(name)] for name in self.fields if self.add_prefix(name) in sent}

    @property
    def awaits_upload(self) -> bool:
        """Whether a file is chosen that was not sent yet: a preview only tells that there is one."""
        return any(self.data.get(upload_name(self.add_prefix(name))) for name in self.fields)

    def _hint(self, media: MediaInfo) -> None:
        picture = media.main_video
        if picture is None:
            return
        for name, size in (("width", picture.display_width), ("height", picture.display_height)):
            if name in self.fields:
                self.fields[name].widget.attrs["placeholder"] = f"now {size}"


def _resolved(property_: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The property without its null alternative and its reference."""
    kinds = [kind for kind in property_.get("anyOf", [property_]) if kind.get("type") != "null"]
    kind = kinds[0]
    if "$ref" in kind:
        kind = schema["$defs"][kind["$ref"].rpartition("/")[2]]
    outer = {key: value for key, value in property_.items() if key in _KEPT}
    return {**kind, **outer}


def _field(kind: dict[str, Any], name: str, *, required: bool) -> forms.Field:
    default = kind.get("default")
    if isinstance(default, list):
        default = ", ".join(map(str, default))
    if "enum" in kind:
        choices = [(value, _words(name, value)) for value in kind["enum"]]
        if not required and default is None:
            choices = [("", kind.get("x-empty", "Automatic")), *choices]
        return forms.ChoiceField(choices=choices, required=required, initial=default)
    if kind.get("type") == "boolean":
        return forms.BooleanField(required=False, initial=default)
    example = kind.get("examples", [None])[0]
    attrs = {} if example is None else {"placeholder": f"such as {example}"}
    if kind.get("type") in ("integer", "number"):
        bounds = {"min": kind.get("minimum"), "max": kind.get("maximum")}
        attrs |= {key: value for key, value in bounds.items() if value is not None}
        attrs["step"] = "1" if kind["type"] == "integer" else "any"
        return forms.CharField(required=required, initial=default, widget=forms.NumberInput(attrs))
    return forms.CharField(required=required, initial=default, widget=forms.TextInput(attrs))


def _words(name: str, value: str | int) -> str:
    """A choice as people call it."""
    if isinstance(value, int):
        return str(value)
    if name == "format" and value in _CONTAINERS:
        label = _CONTAINERS[value].label
        return label if label.lower() == value else f"{label} (.{value})"
    label = label_of(value)
    return value.replace("_", " ").capitalize() if label == value else label


class JobsFilter(forms.Form):
    """What the jobs page shows; nonsense in the address falls back to everything."""

    LIVE = "live"

    status = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any state"),
            (LIVE, "Waiting or running"),
            ("completed", "Done"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
        ],
    )
    type = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _types_offer(self.fields["type"])

    def chosen(self, name: str) -> str:
        """The field's value, or an empty text where it was not valid."""
        self.is_valid()
        return str(self.cleaned_data.get(name, ""))

    @property
    def is_narrowed(self) -> bool:
        return bool(self.chosen("status") or self.chosen("type"))


class StatisticsFilter(forms.Form):
    """What the page of statistics counts; nonsense in the address falls back to the default."""

    DAYS = 30

    days = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=str(DAYS),
        choices=[(7, "7 days"), (DAYS, "30 days"), (90, "90 days"), (365, "A year")],
    )
    type = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _types_offer(self.fields["type"])

    def chosen(self, name: str) -> str:
        """The field's value, or an empty text where it was not valid."""
        self.is_valid()
        return str(self.cleaned_data.get(name, ""))

    @property
    def number_of_days(self) -> int:
        self.is_valid()
        return int(self.cleaned_data.get("days", self.DAYS))


def _types_offer(field: forms.Field) -> None:
    """Every type of jobs, and none, as choices."""
    kinds = [(type_, operation.title) for type_, operation in catalogue.operations().items()]
    assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared so; tells the type checker
    field.choices = [("", "Any operation"), *kinds, (Job.INTAKE, "Inspection of an upload")]
