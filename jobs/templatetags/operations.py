"""The parts of other floors' pages that show operations and jobs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, NamedTuple

from django import template
from django.utils import timezone

from engine import catalogue
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.results import Verification
from jobs import selectors
from jobs.eta import queue_end
from jobs.forms import OperationForm
from jobs.models import Job
from jobs.pickers import Offers
from problems import Kind, kind_for
from users.ids import public_id_is_valid
from users.viewer import viewer_of
from videos.models import Operation, Preset, Video
from videos.preset_selectors import presets_offered

register = template.Library()

_NAMED = {"vid": "another video", "ast": "a file of yours"}


@register.simple_tag
def problem_words(code: str) -> Kind:
    """Title and hint of a stored error code."""
    return kind_for(code)


@register.filter
def job_title(type_: str) -> str:
    """What a job does, in words."""
    if type_ == Job.INTAKE:
        return "Inspection"
    known = catalogue.operations().get(type_)
    return known.title if known else type_.replace("_", " ").capitalize()


@register.filter
def job_icon(type_: str) -> str:
    """The icon of what a job does."""
    known = catalogue.operations().get(type_)
    return known.icon if known else "search-check" if type_ == Job.INTAKE else "settings"


@register.filter
def parameter_words(operation: Operation | Preset) -> str:
    """`Width 1280 · Fit contain`: the parameters with their titles."""
    return " · ".join(f"{title} {value}" for title, value in parameter_pairs(operation))


@register.filter
def parameter_pairs(operation: Operation | Preset | None) -> list[tuple[str, str]]:
    """Titles and values of the parameters, in the order of their declaration; a plain no is left out."""
    if operation is None:
        return []
    known = catalogue.operations().get(operation.type)
    fields = known.Parameters.model_fields if known else {}
    pairs = []
    for name in [*fields, *(name for name in operation.parameters if name not in fields)]:
        value = operation.parameters.get(name)
        if value is None or value is False:
            continue
        title = (fields[name].title if name in fields else None) or name.replace("_", " ").capitalize()
        pairs.append((title, _words(value)))
    return pairs


def _words(value: Any) -> str:
    """A value as people read it; steps of a pipeline by what they do."""
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if isinstance(value, dict):
        return job_title(value["type"]) if "type" in value else ", ".join(map(str, value.values()))
    text = "yes" if value is True else str(value)
    # Nobody knows a video by its id.
    prefix = text[:3]
    return _NAMED[prefix] if prefix in _NAMED and public_id_is_valid(prefix, text) else text


@register.filter
def form_values(fix: dict[str, Any]) -> str:
    """A proposed wish as the fields of its form, in JSON; fields it does not name are emptied."""
    fields = catalogue.operation_for(fix["type"]).Parameters.model_fields
    given = {name: fix["parameters"].get(name) for name in fields}
    return json.dumps(
        {
            f"{fix['type']}-{name}": "" if value in (None, False) else str(value)
            for name, value in given.items()
        }
    )


@register.filter
def checks_of(stored: dict[str, Any]) -> list[str]:
    """What was checked before the result was shown, a line for each; also of results checked long ago."""
    report = Verification.model_validate({"report": [], **stored}).report
    return [f"{check.name[:1].upper()}{check.name[1:]}: {check.actual}" for check in report]


@register.simple_tag
def plan_of(stored: dict[str, Any] | None) -> Plan | None:
    """The plan as it was stored with its job."""
    return None if stored is None else Plan.model_validate(stored)


@register.simple_tag
def place_in_queue(job: Job) -> int | None:
    """The job's place, from 1; None where it does not wait."""
    return selectors.queue_position(job)


class Words(NamedTuple):
    """Seconds from now, to be put into words as `frontend/live.js` does. None while it is being estimated."""

    seconds: float
    low: float
    high: float
    start: float | None = None


@register.inclusion_tag("jobs/estimate.html")
def expected(job: Job) -> dict[str, Any]:
    """When a job will begin and end; nothing for one that neither waits nor runs."""
    found = selectors.estimate(job)
    if found is None or found.ends is None or found.seconds is None:
        return {"job": found, "words": None}
    now = found.ends.at - timedelta(seconds=found.seconds)
    start = None if found.starts is None else max(0.0, (found.starts.at - now).total_seconds())
    low, high = (max(0.0, (moment - now).total_seconds()) for moment in found.ends[1:])
    return {"job": found, "words": Words(found.seconds, low, high, start)}


@register.inclusion_tag("jobs/queue_end.html")
def all_work_done() -> dict[str, Any]:
    """When the whole site will have nothing to do."""
    end = queue_end()
    words = None
    if end.ends is not None:
        now = timezone.now()
        words = Words(*(max(0.0, (moment - now).total_seconds()) for moment in end.ends))
    return {"end": end, "words": words}


@register.inclusion_tag("jobs/intake.html")
def intake_state(video: Video) -> dict[str, Any]:
    """How the inspection of a fresh upload goes."""
    return {"job": selectors.intake_latest(video), "video": video}


@register.inclusion_tag("jobs/operations_list.html", takes_context=True)
def operations_list(context: template.Context, video: Video, swap: bool = False) -> dict[str, Any]:
    """Everything asked of this video, newest first, live. `swap`: it replaces the list of an open page."""
    entries = selectors.operations_with_latest_job(video)
    selectors.queue_positions_note([entry.job for entry in entries if entry.job is not None])
    return {
        "video": video,
        "swap": swap,
        "entries": entries,
        "results": sum(len(entry.operation.outputs.all()) for entry in entries),
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("jobs/operation_form.html", takes_context=True)
def fresh_form(context: template.Context, video: Video, type_: str) -> dict[str, Any]:
    """An empty form in place of one that was just sent."""
    media = MediaInfo.model_validate(video.media_info)
    form = OperationForm(type_, media, offers=Offers(video.owner))
    return {"video": video, "form": form, "csrf_token": context.get("csrf_token")}


_PURPOSE_ICONS = {
    Preset.Purpose.WATCHING: "monitor-play",
    Preset.Purpose.SHARING: "send",
    Preset.Purpose.LISTENING: "headphones",
    Preset.Purpose.KEEPING: "archive",
    Preset.Purpose.STREAMING: "radio",
    Preset.Purpose.OTHER: "wand-sparkles",
}


@register.filter
def purpose_icon(preset: Preset) -> str:
    """The icon of what a preset is for."""
    return _PURPOSE_ICONS[Preset.Purpose(preset.purpose)]


@register.inclusion_tag("jobs/preset_form.html", takes_context=True)
def preset_form(context: template.Context, video: Video) -> dict[str, Any]:
    """The presets by purpose, to choose one. One that was just refused stays chosen and says why."""
    offered = presets_offered(viewer_of(context["request"]))
    return {
        "video": video,
        "groups": [
            (purpose.label, found)
            for purpose in Preset.Purpose
            if (found := [preset for preset in offered if preset.purpose == purpose])
        ],
        "problem": context.get("preset_problem"),
        "chosen": context.get("preset_chosen"),
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("jobs/operations_panel.html", takes_context=True)
def operations_panel(context: template.Context, video: Video) -> dict[str, Any]:
    """A form for each operation there is. One that was just refused keeps what was typed."""
    media = MediaInfo.model_validate(video.media_info)
    refused = context.get("operation_form")
    offers = Offers(video.owner)
    forms = [
        refused
        if refused is not None and refused.type == type_
        else OperationForm(type_, media, offers=offers)
        for type_, operation in catalogue.operations().items()
        if operation.form
    ]
    return {
        "video": video,
        "forms": forms,
        "csrf_token": context.get("csrf_token"),
        "request": context["request"],
        "preset_problem": context.get("preset_problem"),
        "preset_chosen": context.get("preset_chosen"),
    }
