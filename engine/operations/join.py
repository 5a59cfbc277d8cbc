"""join: several videos, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.assembly import output_plan
from engine.codecs import AUDIO_CODECS
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import Holds, OperationType
from engine.parameters import Parameters, VideoId
from engine.pictures import Geometry, even, frame_rate_text, natural
from engine.plan import Part, estimated_seconds, estimated_size, main_video, video_encoded
from engine.ranges import clock
from engine.tracks import audio_encoded, dropped_sound, dropped_words, leftovers
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Expectation, ExpectedStream, Lane, Plan, StepPlan, StreamDecision
from engine.types.recipes import SOURCE, FileRecipe, Filter, Input, Run, StreamRecipe
from engine.types.value import Scalar

_RATE = 48_000
_FASTEST = 60.0
_DEFAULT_RATE = 25.0
_MOST = 20

Videos = Annotated[tuple[VideoId, ...], Field(max_length=_MOST)]


class JoinParameters(Parameters):
    """At least one other video; the same may come more than once."""

    before: Videos = Field(
        default=(),
        title="Before",
        description="Your videos that come first, such as an intro, in their order.",
    )
    after: Videos = Field(
        default=(), title="After", description="Your videos that follow, such as an outro, in their order."
    )

    @model_validator(mode="after")
    def _needs_another(self) -> Self:
        if not self.before and not self.after:
            raise PydanticCustomError("required", "Choose a video to come before or after this one.")
        return self


def _others(parameters: JoinParameters) -> Mapping[str, Holds]:
    return dict.fromkeys((*parameters.before, *parameters.after), Holds.PICTURE)


def _plan(parameters: JoinParameters, media: MediaInfo, others: Mapping[str, MediaInfo]) -> Plan:
    """Each video is brought into one shape as a part of its own, and the parts are put together by a copy.

    Sound waits as PCM until then and is encoded once for all: an encoder of sound adds a little silence each
    time it starts.
    """
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    size = natural(main_video(media)).size
    rate = min(main_video(media).frame_rate or _DEFAULT_RATE, _FASTEST)
    order = [*parameters.before, SOURCE, *parameters.after]
    held = {**others, SOURCE: media}
    audible = any(held[name].main_audio is not None for name in order)
    pictures = [_picture(held[name], container, size, rate) for name in order]
    lengths = [_length(held[name], rate) for name in order]
    runs = [
        _part_run(name, held[name], number, picture, audible=audible, length=length)
        for number, (name, picture, length) in enumerate(zip(order, pictures, lengths, strict=True))
    ]
    total = round(sum(lengths), 3)
    whole = media.model_copy(update={"duration": total, "chapters": ()})
    sound = _sound(whole, container) if audible else None
    parts = [pictures[order.index(SOURCE)], *([sound] if sound else [])]
    runs.append(_join_run(container, parts, len(order), total))
    output = output_plan(
        container,
        "video",
        Expectation(
            container=container.name,
            streams=tuple(part.expected for part in parts),
            duration=total,
            duration_tolerance=round(0.1 + 2 * len(order) / rate, 3),
            joined=True,
        ),
    )
    step = StepPlan(position=0, kind="encode", lane=Lane.ENCODE, runs=tuple(runs))
    used = main_video(media)
    return Plan(
        operation="join",
        summary=(
            f"{len(order)} videos, {clock(total)} long, at {size[0]}x{size[1]} and {rate:g} frames a second."
        ),
        streams=tuple(
            sorted(
                [*_decisions(media, parts), *leftovers(media, used)],
                key=lambda decision: decision.source_index,
            )
        ),
        outputs=(output,),
        steps=(step,),
        estimated_size=estimated_size([*pictures, *([sound] if sound else [])]),
        estimated_seconds=estimated_seconds(pictures),
    )


def _length(media: MediaInfo, rate: float) -> float:
    """The length of the picture as whole frames."""
    return max(1, round((main_video(media).duration or media.duration) * rate)) / rate


def _picture(media: MediaInfo, container: Container, size: tuple[int, int], rate: float) -> Part:
    """The picture inside the common size, black at the sides, at the common rate and in one colour space.

    All that is written into the stream's header is the same for every part then.
    """
    stream = main_video(media)
    part = video_encoded(
        media,
        stream,
        container,
        why="Encoded, so that all the videos have one shape and rate",
        geometry=_inside(stream, size),
        filters=(
            Filter(name="scale", options={"out_color_matrix": "bt709", "out_range": "tv"}),
            Filter(
                name="pad",
                options={"w": size[0], "h": size[1], "x": "(ow-iw)/2", "y": "(oh-ih)/2", "color": "black"},
            ),
            Filter(name="fps", options={"fps": frame_rate_text(rate), "start_time": 0}),
            Filter(
                name="setparams",
                options={
                    "range": "tv",
                    "colorspace": "bt709",
                    "color_primaries": "bt709",
                    "color_trc": "bt709",
                },
            ),
        ),
        size=size,
    )
    # The rate is set by a filter; a container's own wish would be that of this video alone.
    options = {key: value for key, value in part.recipe.options.items() if key != "r"}
    return replace(part, recipe=part.recipe.model_copy(update={"options": options}))


def _inside(stream: VideoStream, size: tuple[int, int]) -> Geometry:
    scale = min(size[0] / stream.display_width, size[1] / stream.display_height)
    scaled = (
        min(size[0], even(stream.display_width * scale)),
        min(size[1], even(stream.display_height * scale)),
    )
    return Geometry(scaled=scaled, size=scaled)


def _part_name(number: int) -> str:
    return f"video-{number}.mkv"


def _part_run(
    name: str, media: MediaInfo, number: int, picture: Part, *, audible: bool, length: float
) -> Run:
    streams = [picture.recipe.model_copy(update={"default": True, "language": None})]
    inputs = [Input(source=name)]
    if audible:
        track = media.main_audio
        inputs += [] if track else [Input(silence=length)]
        streams.append(
            StreamRecipe(
                kind="audio",
                input=0 if track else 1,
                source_index=track.index if track else 0,
                action="encode",
                encoder="pcm_s16le",
                filters=(
                    Filter(name="aformat", options={"sample_rates": _RATE, "channel_layouts": "stereo"}),
                    Filter(name="aresample", options={"async": 1, "first_pts": 0}),
                    Filter(name="apad", options={"whole_dur": f"{length:.4f}"}),
                    Filter(name="atrim", options={"end": f"{length:.4f}"}),
                ),
            )
        )
    recipe = FileRecipe(
        part=_part_name(number), muxer="matroska", streams=tuple(streams), options={"t": f"{length:.4f}"}
    )
    return Run(inputs=tuple(inputs), expected_duration=length, files=(recipe,))


def _sound(whole: MediaInfo, container: Container) -> Part:
    """The sound of all parts together, as the parts hold it."""
    codec = AUDIO_CODECS[container.audio or "aac"]
    stereo = StreamRecipe(kind="audio", source_index=1, action="encode", encoder=codec.encoder, default=True)
    track = whole.main_audio
    if track is None:
        options: dict[str, Scalar] = {"b": f"{2 * codec.kbits}k"} if codec.kbits else {}
        return Part(
            recipe=stereo.model_copy(update={"options": options}),
            expected=ExpectedStream(kind="audio", codec=codec.name),
            decision=StreamDecision(
                kind="audio",
                source_index=-1,
                action="encode",
                codec=codec.name,
                why="The sound of the others.",
            ),
            bits=2_000.0 * codec.kbits * whole.duration,
            cpu_seconds=0.0,
        )
    known = track.model_copy(update={"channels": 2, "channel_layout": "stereo"})
    part = audio_encoded(whole, known, codec, why="Encoded, so that all the videos have one kind of sound.")
    recipe = part.recipe.model_copy(update={"source_index": 1, "language": track.language})
    return replace(part, recipe=recipe)


def _join_run(container: Container, parts: list[Part], count: int, total: float) -> Run:
    copied = StreamRecipe(
        kind="video", source_index=0, action="copy", options=_tag(parts[0], container), default=True
    )
    recipe = FileRecipe(
        role="video",
        muxer=container.muxer,
        streams=(copied, *(part.recipe for part in parts[1:])),
        options=dict(container.muxer_options),
    )
    inputs = (Input(parts=tuple(map(_part_name, range(count)))),)
    return Run(inputs=inputs, expected_duration=total / 20, files=(recipe,))


def _tag(picture: Part, container: Container) -> dict[str, Scalar]:
    tag = container.tags.get(picture.expected.codec)
    return {"tag": tag} if tag else {}


def _decisions(media: MediaInfo, parts: list[Part]) -> list[StreamDecision]:
    """What happens to the streams of the video that was asked about."""
    used = media.main_audio
    decisions = [part.decision for part in parts if part.decision.source_index >= 0]
    decisions += [
        dropped_sound(track, "One sound track goes through all the videos.")
        for track in media.audio
        if track != used
    ]
    decisions += [dropped_words(track, "Only pictures and sound are joined.") for track in media.subtitles]
    return decisions


OPERATION = OperationType(
    type="join",
    title="Join",
    description="Put other videos of yours before or after this one.",
    icon="combine",
    Parameters=JoinParameters,
    plan=_plan,
    others=_others,
)
