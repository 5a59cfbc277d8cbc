"""Puts parts together into a whole plan of one step. Operations end here; `segments` divides it."""

from __future__ import annotations

from collections.abc import Iterable

from engine.containers import Container
from engine.plan import Part, estimated_seconds, estimated_size, expectation
from engine.ranges import INDEXED
from engine.tracks import audio_parts, leftovers, subtitle_parts
from engine.types.media import MediaInfo
from engine.types.plan import Expectation, Lane, Origin, OutputPlan, Plan, StepPlan, StreamDecision
from engine.types.recipes import FileRecipe, ProcedureCall, Run
from engine.types.value import Scalar

Kept = tuple[list[Part], list[StreamDecision]]
"""Streams of one kind that are kept, and decisions for those that are not."""


def video_plan(
    operation: str,
    media: MediaInfo,
    container: Container,
    picture: Part,
    *,
    summary: str,
    audio: Kept | None = None,
    subtitles: Kept | None = None,
) -> Plan:
    """One video file from one picture part, with every sound and subtitle track that the container holds.

    `audio` and `subtitles` are for operations that do something to them.
    """
    sound, silent = audio or audio_parts(media, container)
    words, unread = subtitles or subtitle_parts(media, container)
    parts = [picture, *sound, *words]
    used = next(stream for stream in media.video if stream.index == picture.recipe.source_index)
    return file_plan(
        operation,
        media,
        container,
        parts,
        role="video",
        summary=summary,
        left_out=[*silent, *unread, *leftovers(media, used)],
    )


def file_plan(
    operation: str,
    media: MediaInfo,
    container: Container,
    parts: list[Part],
    *,
    role: str,
    summary: str,
    left_out: Iterable[StreamDecision],
) -> Plan:
    """One file made of these parts in one run of one step."""
    origin = None if media.broken_clock else origin_of(parts)
    expected = expectation(media, container, parts).model_copy(update={"origin": origin})
    output = output_plan(container, role, expected)
    recipe = FileRecipe(
        role=role,
        muxer=container.muxer,
        streams=tuple(part.recipe for part in parts),
        options=dict(container.muxer_options),
        chapters=container.chapters and bool(media.chapters),
    )
    encodes = any(part.recipe.action == "encode" and part.recipe.kind != "subtitle" for part in parts)
    step = StepPlan(
        position=0,
        kind="encode" if encodes else "remux",
        lane=Lane.ENCODE if encodes else Lane.SHORT,
        runs=(Run(expected_duration=output.expectation.duration or media.duration, files=(recipe,)),),
    )
    decisions = sorted([*(part.decision for part in parts), *left_out], key=lambda item: item.source_index)
    return Plan(
        operation=operation,
        summary=summary,
        streams=tuple(decisions),
        outputs=(output,),
        steps=(step,),
        estimated_size=estimated_size(parts),
        estimated_seconds=estimated_seconds(parts),
    )


# Filters after which a picture may be dark or a sound quiet, and rightly so.
_DARKENS = frozenset({"crop", "fade", "volume", "afade"})


def origin_of(parts: Iterable[Part]) -> Origin:
    """The streams of the source to compare the file with: the first encoded ones, as copies cannot darken."""
    found: dict[str, int] = {}
    for part in parts:
        recipe = part.recipe
        first = recipe.kind not in found
        own = recipe.action == "encode" and recipe.input == 0
        if first and own and not _DARKENS & {item.name for item in recipe.filters}:
            found[recipe.kind] = recipe.source_index
        elif first:
            found[recipe.kind] = -1
    chosen = {kind: index for kind, index in found.items() if index >= 0}
    return Origin(picture=chosen.get("video"), sound=chosen.get("audio"))


def carried_out(plan: Plan, name: str, **settings: Scalar) -> Plan:
    """The plan with its runs done by a procedure, see engine/procedure.py."""
    call = ProcedureCall(name=name, settings=settings)
    steps = tuple(
        step.model_copy(
            update={"runs": tuple(run.model_copy(update={"procedure": call}) for run in step.runs)}
        )
        for step in plan.steps
    )
    return plan.model_copy(update={"steps": steps})


def expecting(plan: Plan, **changes: object) -> Plan:
    """The plan of one output, with changes to what the output must be."""
    (output,) = plan.outputs
    expected = output.expectation.model_copy(update=changes)
    return plan.model_copy(update={"outputs": (output.model_copy(update={"expectation": expected}),)})


def scored(plan: Plan, wanted: bool | None, media: MediaInfo) -> Plan:
    """The plan, measuring how like its source each output looks; not where no frame is found by its time."""
    if not wanted or media.container not in INDEXED:
        return plan
    outputs = tuple(
        output.model_copy(update={"expectation": output.expectation.model_copy(update={"score": True})})
        for output in plan.outputs
    )
    return plan.model_copy(update={"outputs": outputs})


def output_plan(container: Container, role: str, expected: Expectation) -> OutputPlan:
    """An output in this container, with its names for the web."""
    return OutputPlan(
        role=role,
        container=container.name,
        extension=container.extension,
        content_type=container.content_type,
        expectation=expected,
    )
