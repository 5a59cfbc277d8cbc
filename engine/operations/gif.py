"""gif: a short moving picture without sound, for messages and previews."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from engine.assembly import file_plan
from engine.containers import ANIMATION_CONTAINERS, VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import WHOLE, Parameters, Pixels, Seconds, parse_time
from engine.pictures import Fit, Geometry, encodable, fitted
from engine.plan import Part, main_video, video_encoded
from engine.ranges import clock, of_part, range_of, within
from engine.tracks import dropped_sound, dropped_subtitle, leftovers
from engine.types import (
    ExpectedStream,
    Filter,
    MediaInfo,
    Plan,
    StreamDecision,
    StreamRecipe,
    VideoStream,
)
from problems import Problem

_LONGEST = 60.0
# All frames are held in memory until their common colours are known.
_MOST_BYTES = 1_500_000_000
_BYTES_PER_PIXEL = 4
_BITS_PER_PIXEL = 2.5
_SPEED = 15e6  # pixels per CPU second


ShortTime = Annotated[
    float,
    Field(gt=0, le=_LONGEST),
    BeforeValidator(parse_time),
    WithJsonSchema(
        {"type": ["number", "string"], "format": "timecode", "exclusiveMinimum": 0, "maximum": _LONGEST}
    ),
]


class AnimationFormat(StrEnum):
    """Kinds of moving pictures that can be written."""

    GIF = "gif"
    MP4 = "mp4"


class GifParameters(Parameters):
    """Never enlarged, and never more frames a second than the video has."""

    start: Seconds = Field(
        default=0.0,
        title="Start",
        description="Where the moving picture begins: seconds, or HH:MM:SS.mmm.",
        examples=["00:00:05"],
    )
    duration: ShortTime = Field(
        default=5.0, title="Duration", description="How long it is: at most 60 seconds.", examples=[5]
    )
    width: Pixels = Field(
        default=480, title="Width", description="Width in pixels; the height follows. Never enlarged."
    )
    fps: Annotated[int, Field(ge=1, le=50), WHOLE] = Field(
        default=12, title="Frames a second", description="More look smoother and make a larger file."
    )
    format: AnimationFormat = Field(
        default=AnimationFormat.GIF,
        title="Format",
        description="GIF plays everywhere; MP4 is much smaller and keeps all colours.",
    )


def _plan(parameters: GifParameters, media: MediaInfo) -> Plan:
    part = range_of(media, start=parameters.start, length=parameters.duration)
    clip, _ = within(media, part)
    stream = main_video(clip)
    geometry = fitted(stream, width=parameters.width, height=None, fit=Fit.CONTAIN, upscale=False)
    rate = min(float(parameters.fps), stream.frame_rate or parameters.fps)
    width, height = geometry.size
    why = f"Drawn as {rate:g} pictures of {width}x{height} a second"
    if parameters.format is AnimationFormat.MP4:
        container = VIDEO_CONTAINERS["mp4"]
        fewer = (_fewer(rate),)
        picture = video_encoded(clip, stream, container, why=why, geometry=geometry, filters=fewer)
    else:
        container = ANIMATION_CONTAINERS["gif"]
        picture = _painted(clip, stream, geometry, rate, why)
    used = main_video(media)
    left_out: list[StreamDecision] = [
        *(dropped_sound(track, "A moving picture has no sound.") for track in media.audio),
        *(dropped_subtitle(track, "A moving picture has no subtitles.") for track in media.subtitles),
        *leftovers(media, used),
    ]
    plan = file_plan(
        "gif",
        clip,
        container,
        [picture],
        role="animation",
        summary=(
            f"From {clock(part.start)} to {clock(part.end)} as {container.label}, {width}x{height}, "
            f"{rate:g} frames a second."
        ),
        left_out=left_out,
    )
    return of_part(_loosened(plan, rate), part, media, left_out=[])


def _painted(clip: MediaInfo, stream: VideoStream, geometry: Geometry, rate: float, why: str) -> Part:
    """A picture of 256 colours, chosen for what moves in it."""
    width, height = geometry.size
    pixels = width * height * max(1.0, rate * clip.duration)
    if pixels * _BYTES_PER_PIXEL > _MOST_BYTES:
        reason = (
            f"A GIF of {clip.duration:g} s with {rate:g} frames of {width}x{height} a second is too large. "
            "MP4 can carry it, or take fewer seconds, frames or pixels."
        )
        raise Problem("parameters_do_not_fit", reason=reason)
    chain = encodable(stream, geometry, pixel_format="bgra")
    source_pixels = stream.width * stream.height * (stream.frame_rate or rate) * clip.duration
    return Part(
        recipe=StreamRecipe(
            kind="video",
            source_index=stream.index,
            action="encode",
            encoder="gif",
            filters=(
                *chain,
                _fewer(rate),
                Filter(name="split", gives=("seen", "painted")),
                Filter(
                    name="palettegen", options={"stats_mode": "diff"}, takes=("seen",), gives=("colours",)
                ),
                Filter(
                    name="paletteuse",
                    options={"dither": "bayer", "bayer_scale": 4, "diff_mode": "rectangle"},
                    takes=("painted", "colours"),
                ),
            ),
        ),
        expected=ExpectedStream(kind="video", codec="gif", width=width, height=height),
        decision=StreamDecision(
            kind="video",
            source_index=stream.index,
            action="encode",
            codec="gif",
            why=f"{why}, in 256 colours chosen for this part.",
        ),
        bits=_BITS_PER_PIXEL * pixels,
        cpu_seconds=pixels / _SPEED + source_pixels / 400e6,
    )


def _fewer(rate: float) -> Filter:
    """Rounded up, each frame is the one of its moment; rounded to the nearest, it is a later one."""
    return Filter(name="fps", options={"fps": f"{rate:g}", "round": "up"})


def _loosened(plan: Plan, rate: float) -> Plan:
    """The plan for a file that knows no chapters and whose last frame may be shown for one tick more."""
    output = plan.outputs[0]
    expected = output.expectation
    slack = round(expected.duration_tolerance + 2 / rate, 3)
    step = plan.steps[0]
    run = step.runs[0]
    files = tuple(file.model_copy(update={"chapters": False}) for file in run.files)
    return plan.model_copy(
        update={
            "outputs": (
                output.model_copy(
                    update={"expectation": expected.model_copy(update={"duration_tolerance": slack})}
                ),
            ),
            "steps": (step.model_copy(update={"runs": (run.model_copy(update={"files": files}),)}),),
        }
    )


OPERATION = OperationType(
    type="gif",
    title="GIF",
    description="Make a short moving picture without sound.",
    icon="film",
    Parameters=GifParameters,
    plan=_plan,
)
