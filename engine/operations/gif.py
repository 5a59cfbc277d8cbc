"""gif: a short moving picture without sound, for messages and previews."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import file_plan
from engine.containers import ANIMATION_CONTAINERS, VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import ADVANCED, WHOLE, Parameters, Pixels, Seconds, parse_time
from engine.pictures import Fit, Geometry, encodable, fewer_frames, fitted
from engine.plan import Coding, Part, main_video, video_encoded
from engine.ranges import clock, insist_on_clock, of_part, range_of, within
from engine.tracks import dropped_sound, dropped_subtitle, leftovers
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import ExpectedStream, Plan, StreamDecision
from engine.types.recipes import Filter, StreamRecipe
from engine.types.value import Scalar
from problems import Problem

_LONGEST = 60.0
# All frames are held in memory until their common colours are known.
_MOST_BYTES = 1_500_000_000
_BYTES_PER_PIXEL = 4
_BITS_PER_PIXEL = 2.5
_SPEED = 15e6  # pixels per CPU second
_WEBP_BITS_PER_PIXEL, _WEBP_SPEED = 0.4, 3e6


ShortTime = Annotated[
    float,
    Field(gt=0, le=_LONGEST),
    BeforeValidator(parse_time),
    WithJsonSchema(
        {"type": ["number", "string"], "format": "timecode", "exclusiveMinimum": 0, "maximum": _LONGEST}
    ),
]

_LEAST_PICTURES = 2


class AnimationFormat(StrEnum):
    """Kinds of moving pictures that can be written."""

    GIF = "gif"
    WEBP = "webp"
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
        description="GIF plays everywhere; WebP and MP4 are much smaller and keep all colours.",
        examples=["gif"],
    )
    loop: Annotated[int, Field(ge=1, le=1000), WHOLE] | None = Field(
        default=None,
        title="Rounds",
        description="How many times it is played. Empty plays it for ever. MP4 leaves that to the player.",
        examples=[3],
        json_schema_extra=ADVANCED,
    )

    @field_validator("loop")
    @classmethod
    def _mp4_does_not_say(cls, loop: int | None, info: ValidationInfo) -> int | None:
        if loop is not None and info.data.get("format") is AnimationFormat.MP4:
            raise PydanticCustomError("not_applicable", "An MP4 cannot say how often it is played.")
        return loop


def _plan(parameters: GifParameters, media: MediaInfo) -> Plan:
    part = range_of(media, start=parameters.start, length=parameters.duration)
    if part.start:
        insist_on_clock(media)
    clip, _ = within(media, part)
    stream = main_video(clip)
    geometry = fitted(stream, width=parameters.width, height=None, fit=Fit.CONTAIN, upscale=False)
    rate = min(float(parameters.fps), stream.frame_rate or parameters.fps)
    shown = min(clip.duration, stream.duration or clip.duration)
    if parameters.format is AnimationFormat.WEBP and round(rate * shown) < _LEAST_PICTURES:
        reason = f"A moving WebP needs two pictures; {rate:g} a second for {shown:g} s are fewer."
        raise Problem("parameters_do_not_fit", reason=reason)
    width, height = geometry.size
    why = f"Drawn as {rate:g} pictures of {width}x{height} a second"
    if parameters.format is AnimationFormat.MP4:
        container = VIDEO_CONTAINERS["mp4"]
        fewer = (fewer_frames(rate, from_start=True),)
        # Messages and pages show it like a picture, so it is for every player: no high dynamic range.
        coding = Coding(codec=container.video)
        picture = video_encoded(
            clip, stream, container, why=why, coding=coding, geometry=geometry, filters=fewer
        )
    else:
        container = ANIMATION_CONTAINERS[parameters.format]
        paint = _painted if parameters.format is AnimationFormat.GIF else _drawn
        picture = paint(clip, stream, geometry, rate, why)
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
    plan = _loosened(plan, rate, parameters)
    return of_part(plan, part, media, left_out=[])


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
                fewer_frames(rate, from_start=True),
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


def _drawn(clip: MediaInfo, stream: VideoStream, geometry: Geometry, rate: float, why: str) -> Part:
    """A picture in all colours, as WebP."""
    width, height = geometry.size
    pixels = width * height * max(1.0, rate * clip.duration)
    source_pixels = stream.width * stream.height * (stream.frame_rate or rate) * clip.duration
    return Part(
        recipe=StreamRecipe(
            kind="video",
            source_index=stream.index,
            action="encode",
            encoder="libwebp_anim",
            options={"quality": 70},
            filters=(*encodable(stream, geometry), fewer_frames(rate, from_start=True)),
        ),
        expected=ExpectedStream(kind="video", codec="webp", width=width, height=height),
        decision=StreamDecision(
            kind="video", source_index=stream.index, action="encode", codec="webp", why=f"{why}."
        ),
        bits=_WEBP_BITS_PER_PIXEL * pixels,
        cpu_seconds=pixels / _WEBP_SPEED + source_pixels / 400e6,
    )


# How often to play it, as each format counts: GIF counts the rounds after the first.
_ROUNDS: Mapping[AnimationFormat, Callable[[int | None], int]] = {
    AnimationFormat.GIF: lambda loop: 0 if loop is None else loop - 1 or -1,
    AnimationFormat.WEBP: lambda loop: loop or 0,
}


def _loosened(plan: Plan, rate: float, parameters: GifParameters) -> Plan:
    """The plan for a file that knows no chapters and whose last frame may be shown for one tick more."""
    output = plan.outputs[0]
    expected = output.expectation
    slack = round(expected.duration_tolerance + 2 / rate, 3)
    step = plan.steps[0]
    run = step.runs[0]
    rounds = _ROUNDS.get(parameters.format)
    loop: dict[str, Scalar] = {} if rounds is None else {"loop": rounds(parameters.loop)}
    files = tuple(
        file.model_copy(update={"chapters": False, "options": {**file.options, **loop}}) for file in run.files
    )
    changes = {"duration_tolerance": slack, "animation": parameters.format is AnimationFormat.WEBP}
    return plan.model_copy(
        update={
            "outputs": (output.model_copy(update={"expectation": expected.model_copy(update=changes)}),),
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
