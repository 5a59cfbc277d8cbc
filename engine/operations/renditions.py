"""renditions: the same video as several files of different picture sizes, from one decode."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import scored, video_plan
from engine.codecs import Preset, Quality
from engine.containers import VIDEO_CONTAINERS, Container
from engine.ladder import Rungs, rungs_of, together
from engine.operation import OperationType
from engine.parameters import ADVANCED, Parameters, Score
from engine.pictures import Geometry
from engine.plan import Coding, Part, main_video, video_copied, video_encoded, video_obstacle
from engine.tracks import audio_parts, subtitle_parts
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Lane, Plan, StepPlan, StreamDecision
from engine.types.recipes import Run


class RenditionsFormat(StrEnum):
    """Kinds of files the sizes can be."""

    MP4 = "mp4"
    MOV = "mov"
    WEBM = "webm"
    MKV = "mkv"


class RenditionsParameters(Parameters):
    """Sizes are called by their short side: 720 is 1280x720 for a wide video, 720x1280 for an upright one."""

    sizes: Rungs | None = Field(
        default=None,
        title="Sizes",
        description=(
            "Short sides in pixels, such as 1080, 720, 480: one file for each. Sizes above the source are "
            "left out; if none is left, there is one file of the source's size. Empty takes the usual ones."
        ),
    )
    format: RenditionsFormat = Field(
        default=RenditionsFormat.MP4,
        title="Format",
        description="The kind of files to make.",
        examples=["mp4"],
    )
    quality: Quality = Field(
        default=Quality.MEDIUM,
        title="Picture quality",
        description="For H.264, low, medium and high are CRF 28, 23 and 19.",
    )
    preset: Preset = Field(
        default=Preset.MEDIUM,
        title="Encoding speed",
        description="Slower makes smaller files of the same quality.",
        json_schema_extra=ADVANCED,
    )
    score: Score = None

    @field_validator("sizes")
    @classmethod
    def _largest_first(cls, sizes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if sizes == ():
            raise PydanticCustomError("required", "Name at least one size, or leave it out.")
        return None if sizes is None else tuple(sorted(set(sizes), reverse=True))


def _plan(parameters: RenditionsParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS[parameters.format]
    rungs, too_large = rungs_of(stream, parameters.sizes)
    pictures = {
        rung: _picture(parameters, media, stream, container, geometry) for rung, geometry in rungs.items()
    }
    audio, subtitles = audio_parts(media, container), subtitle_parts(media, container)
    plans = [
        video_plan("renditions", media, container, picture, summary="", audio=audio, subtitles=subtitles)
        for picture in pictures.values()
    ]
    outputs = [
        plan.outputs[0].model_copy(update={"role": f"{rung}p"})
        for rung, plan in zip(rungs, plans, strict=True)
    ]
    recipes = [
        plan.steps[0].runs[0].files[0].model_copy(update={"role": output.role})
        for output, plan in zip(outputs, plans, strict=True)
    ]
    by_part = dict(zip((id(picture) for picture in pictures.values()), recipes, strict=True))
    runs = tuple(
        Run(expected_duration=media.duration, files=tuple(by_part[id(one)] for one in some))
        for some in together(pictures.values(), lambda one: (one,))
    )
    encodes = any(plan.steps[0].lane is Lane.ENCODE for plan in plans)
    step = StepPlan(
        position=0,
        kind="encode" if encodes else "remux",
        lane=Lane.ENCODE if encodes else Lane.SHORT,
        runs=runs,
    )
    plan = Plan(
        operation="renditions",
        summary=_summary(container, rungs, too_large),
        streams=_decisions(plans[0].streams, list(pictures.values()), len(runs)),
        outputs=tuple(outputs),
        steps=(step,),
        estimated_size=sum(plan.estimated_size or 0 for plan in plans),
        estimated_seconds=round(sum(plan.estimated_seconds or 0.0 for plan in plans), 1),
    )
    return scored(plan, parameters.score, media)


def _picture(
    parameters: RenditionsParameters,
    media: MediaInfo,
    stream: VideoStream,
    container: Container,
    geometry: Geometry,
) -> Part:
    same = geometry.size == (stream.display_width, stream.display_height)
    if same and video_obstacle(media, stream, container) is None:
        return video_copied(media, stream, container, why="The picture has this size already, so it is kept.")
    coding = Coding(quality=parameters.quality, preset=parameters.preset)
    return video_encoded(media, stream, container, why="Encoded", coding=coding, geometry=geometry)


def _decisions(
    streams: tuple[StreamDecision, ...], pictures: list[Part], runs: int
) -> tuple[StreamDecision, ...]:
    """Those of the first size, with all of them said of the picture."""
    encoded = [part for part in pictures if part.recipe.action == "encode"]
    if not encoded:
        return streams
    sizes = ", ".join(f"{part.expected.width}x{part.expected.height}" for part in encoded)
    times = "once" if runs == 1 else f"{runs} times, to spare memory,"
    notes = encoded[0].decision.why.removeprefix("Encoded").removesuffix(".")
    kept = "" if len(encoded) == len(pictures) else "; in the source's own size it is copied"
    why = f"Decoded {times} and encoded as {sizes}{notes}{kept}."
    index = encoded[0].decision.source_index
    told = encoded[0].decision.model_copy(update={"why": why})
    return tuple(told if one.source_index == index else one for one in streams)


def _summary(container: Container, rungs: dict[int, Geometry], too_large: list[int]) -> str:
    sizes = ", ".join(f"{size.size[0]}x{size.size[1]}" for size in rungs.values())
    files = "One file" if len(rungs) == 1 else f"{len(rungs)} files"
    text = f"{files} as {container.label}: {sizes}"
    if too_large:
        text += f"; {', '.join(f'{rung}p' for rung in too_large)} would be larger than the source"
    return f"{text}."


OPERATION = OperationType(
    type="renditions",
    title="Several sizes",
    description="Make files of several picture sizes at once, from one decode.",
    icon="images",
    Parameters=RenditionsParameters,
    plan=_plan,
)
