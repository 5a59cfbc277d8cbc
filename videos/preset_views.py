"""Pages of presets: one's own, and a new one from an operation."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from problems import Problem
from users.form_problems import problem_show
from users.viewer import viewer_of
from videos import preset_selectors
from videos.forms import PresetForm
from videos.models import Preset
from videos.selectors import operation_get_for, video_get_for
from videos.services import presets as services


@login_required
@never_cache
@require_safe
def presets(request: HttpRequest) -> HttpResponse:
    """The viewer's own, to rename and delete, and those of the site."""
    viewer = viewer_of(request)
    offered = preset_selectors.presets_offered(viewer)
    context = {
        "own": preset_selectors.presets_own(viewer),
        "of_the_site": [preset for preset in offered if preset.owner_id is None],
    }
    return render(request, "videos/presets.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def preset_new(request: HttpRequest) -> HttpResponse:
    """Save an operation under a name: one that was asked for (`?operation=`), or one that is filled in
    (`?type=&parameters=`). `video` is where the reader comes from and goes back to."""
    viewer = viewer_of(request)
    wish = _wish(request)
    form = PresetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.preset_create(
                owner=viewer, type=wish["type"], parameters=wish["parameters"], **form.cleaned_data
            )
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, f"The preset “{made.name}” is saved.")
            return redirect("video", wish["video"]) if wish["video"] else redirect("presets")
    return render(request, "videos/preset_new.html", {"form": form, **_shown(wish)})


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def preset_change(request: HttpRequest, preset_id: str) -> HttpResponse:
    """Another name, description or purpose."""
    preset = preset_selectors.preset_own_get_for(viewer_of(request), preset_id)
    given = {"name": preset.name, "description": preset.description, "purpose": preset.purpose}
    form = PresetForm(request.POST or None, initial=given)
    if request.method == "POST" and form.is_valid():
        try:
            services.preset_update(preset=preset, **form.cleaned_data)
        except Problem as problem:
            problem_show(form, problem)
        else:
            messages.success(request, "The preset is changed.")
            return redirect("presets")
    wish = {"type": preset.type, "parameters": preset.parameters, "video": ""}
    return render(request, "videos/preset_new.html", {"form": form, "changed": given["name"], **_shown(wish)})


@login_required
@require_POST
def preset_delete(request: HttpRequest, preset_id: str) -> HttpResponse:
    """Forget one of the viewer's own."""
    preset = preset_selectors.preset_own_get_for(viewer_of(request), preset_id)
    services.preset_delete(preset=preset)
    messages.success(request, f"The preset “{preset.name}” is deleted.")
    return redirect("presets")


def _wish(request: HttpRequest) -> dict[str, Any]:
    """What is to be saved, judged by the engine. Raises its Problems, and those of a damaged address."""
    viewer = viewer_of(request)
    given = request.POST if request.method == "POST" else request.GET
    if operation_id := given.get("operation"):
        operation = operation_get_for(viewer, operation_id)
        type_, parameters, video = operation.type, operation.parameters, operation.video_id
    else:
        type_, video = given.get("type", ""), given.get("video", "")
        try:
            parameters = json.loads(given.get("parameters", "{}"))
        except (ValueError, RecursionError):
            parameters = None
        if not isinstance(parameters, dict):
            raise Problem("malformed_body", reason="the parameters are no JSON object")
    if video:
        video_get_for(viewer, video)
    stored = services.preset_parameters(owner=viewer, type=type_, parameters=parameters)
    return {"type": type_, "parameters": stored, "video": video}


def _shown(wish: dict[str, Any]) -> dict[str, Any]:
    preset = Preset(type=wish["type"], parameters=wish["parameters"])
    return {"preset": preset, "parameters_json": json.dumps(wish["parameters"]), "video_id": wish["video"]}
