"""join: several videos, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine import splice
from engine.assembly import output_plan
from engine.codecs import AUDIO_CODECS
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import Holds, OperationType
from engine.parameters import Parameters, VideoId
from engine.pictures import Geometry, even, frame_rate_text, natural
from engine.plan import (
    Coding,
    Part,
    estimated_seconds,
    estimated_size,
    main_video,
    video_copied,
    video_encoded,
)
from engine.ranges import clock
from engine.splice import Clip
from engine.tracks import audio_copied, audio_encoded, dropped_sound, dropped_words, leftovers
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Expectation, ExpectedStream, Lane, OutputPlan, Plan, StepPlan, StreamDecision
from engine.types.recipes import SOURCE, FileRecipe, Filter, Input, Run, StreamRecipe
from engine.types.value import Scalar

_RATE = 48_000
_FASTEST = 60.0
_DEFAULT_RATE = 25.0
_MOST = 20
_SOUND_SPEED = 20.0
_ONE_KIND = "Encoded, so that all the videos have one kind of sound."

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
    """Videos that are encoded alike are joined as they are; others are brought into one shape first."""
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    held = {**others, SOURCE: media}
    clips = [
        Clip(name, held[name], main_video(held[name]))
        for name in (*parameters.before, SOURCE, *parameters.after)
    ]
    unlike = splice.obstacle(clips, container)
    if unlike is not None:
        return _encoded(media, clips, container, unlike=unlike)
    whole = _encoded(media, clips, container, codec=main_video(media).codec)
    return _spliced(media, clips, container, whole)


def _encoded(
    media: MediaInfo,
    clips: Sequence[Clip],
    container: Container,
    *,
    unlike: str | None = None,
    codec: str | None = None,
) -> Plan:
    """Each video is brought into one shape as a part of its own, and the parts are put together by a copy.

    Sound waits as PCM until then and is encoded once for all: an encoder of sound adds a little silence each
    time it starts. `unlike` is why they cannot be joined as they are.
    """
    size = natural(main_video(media)).size
    rate = min(main_video(media).frame_rate or _DEFAULT_RATE, _FASTEST)
    audible = _audible(clips)
    why = f"Encoded, so that all the videos have one shape and rate{f': {unlike}' if unlike else ''}"
    coding = Coding(codec=codec)
    pictures = [_picture(clip.media, container, size, rate, why=why, coding=coding) for clip in clips]
    lengths = [_length(clip.media, rate) for clip in clips]
    runs = [
        _part_run(clip, number, picture, audible=audible, length=length)
        for number, (clip, picture, length) in enumerate(zip(clips, pictures, lengths, strict=True))
    ]
    total = round(sum(lengths), 3)
    sound = _sound(media, total, container) if audible else None
    own = pictures[[clip.source for clip in clips].index(SOURCE)]
    parts = [own, *([sound] if sound else [])]
    inputs = (Input(parts=tuple(map(_part_name, range(len(clips))))),)
    runs.append(_join_run(container, parts, inputs, total))
    summary = (
        f"{len(clips)} videos, {clock(total)} long, at {size[0]}x{size[1]} and {rate:g} frames a second."
    )
    return Plan(
        operation="join",
        summary=summary,
        streams=_decisions(media, parts),
        outputs=(_output(container, parts, total, slack=2 * len(clips) / rate),),
        steps=(StepPlan(position=0, kind="encode", lane=Lane.ENCODE, runs=tuple(runs)),),
        estimated_size=estimated_size([*pictures, *([sound] if sound else [])]),
        estimated_seconds=estimated_seconds(pictures),
    )


def _spliced(media: MediaInfo, clips: Sequence[Clip], container: Container, whole: Plan) -> Plan:
    """The pictures joined as they are, and sound as well where it is alike; else by `whole`, an encode."""
    stream = main_video(media)
    total = round(sum(clip.length for clip in clips), 3)
    why = f"Copied without loss: all {len(clips)} videos are encoded with the same settings."
    parts = [video_copied(media, stream, container, why=why)]
    runs = list(splice.piece_runs(clips, sound=False))
    unlike = splice.sound_obstacle(clips, container)
    waiting: str | None = None
    track = media.main_audio
    if _audible(clips) and unlike is None and track is not None:
        runs = list(splice.piece_runs(clips, sound=True))
        copied = audio_copied(media, track, container)
        told = copied.decision.model_copy(
            update={"why": "Copied as it is, to the nearest packet at each join."}
        )
        recipe = copied.recipe.model_copy(update={"input": 1, "source_index": 0})
        parts.append(replace(copied, recipe=recipe, decision=told))
        waiting = ""
    elif _audible(clips):
        waiting = f"sound.{container.extension}"
        sound = _sound(media, total, container, why=f"Encoded once for all: {unlike}.")
        runs += _sound_runs(clips, container, sound, waiting)
        recipe = sound.recipe.model_copy(
            update={"input": 1, "source_index": 0, "action": "copy", "encoder": None, "options": {}}
        )
        parts.append(replace(sound, recipe=recipe))
    inputs = splice.joined_inputs(clips, sound=waiting)
    runs.append(_join_run(container, parts, inputs, total))
    rate = stream.frame_rate or _DEFAULT_RATE
    (step,) = whole.steps
    step = step.model_copy(update={"kind": "join", "runs": tuple(runs), "otherwise": step.runs})
    return whole.model_copy(
        update={
            "summary": f"{len(clips)} videos, {clock(total)} long, joined without encoding the picture.",
            "streams": _decisions(media, parts),
            "outputs": (_output(container, parts, total, slack=2 * len(clips) / rate),),
            "steps": (step,),
            "estimated_size": sum(clip.media.size for clip in clips),
            "estimated_seconds": max(0.5, round(sum(run.expected_duration for run in runs) / 10, 1)),
        }
    )


def _audible(clips: Sequence[Clip]) -> bool:
    return any(clip.media.main_audio is not None for clip in clips)


def _output(container: Container, parts: Sequence[Part], total: float, *, slack: float) -> OutputPlan:
    expected = Expectation(
        container=container.name,
        streams=tuple(part.expected for part in parts),
        duration=total,
        duration_tolerance=round(0.1 + slack, 3),
        joined=True,
    )
    return output_plan(container, "video", expected)


def _length(media: MediaInfo, rate: float) -> float:
    """The length of the picture as whole frames."""
    return max(1, round((main_video(media).duration or media.duration) * rate)) / rate


def _picture(
    media: MediaInfo,
    container: Container,
    size: tuple[int, int],
    rate: float,
    *,
    why: str,
    coding: Coding,
) -> Part:
    """The picture inside the common size, black at the sides, at the common rate and in one colour space.

    All that is written into the stream's header is the same for every part then.
    """
    stream = main_video(media)
    part = video_encoded(
        media,
        stream,
        container,
        why=why,
        coding=coding,
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


def _part_run(clip: Clip, number: int, picture: Part, *, audible: bool, length: float) -> Run:
    streams = [picture.recipe.model_copy(update={"default": True, "language": None})]
    inputs = [Input(source=clip.source)]
    if audible:
        inputs, heard = _heard(clip, length)
        streams.append(heard)
    recipe = FileRecipe(
        part=_part_name(number), muxer="matroska", streams=tuple(streams), options={"t": f"{length:.4f}"}
    )
    return Run(inputs=tuple(inputs), expected_duration=length, files=(recipe,))


def _heard(clip: Clip, length: float) -> tuple[list[Input], StreamRecipe]:
    """The sound of a video as PCM, exactly so long, and what is read for it; silence where it has none."""
    track = clip.media.main_audio
    inputs = [Input(source=clip.source)]
    recipe = StreamRecipe(
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
    return [*inputs, *([] if track else [Input(silence=length)])], recipe


def _sound_runs(clips: Sequence[Clip], container: Container, sound: Part, name: str) -> list[Run]:
    """The runs that make all of the sound, encoded once, in the very kind of file the result is."""
    runs, parts = [], []
    for number, clip in enumerate(clips):
        parts.append(f"sound-{number}.mkv")
        inputs, recipe = _heard(clip, clip.length)
        file = FileRecipe(part=parts[-1], muxer="matroska", streams=(recipe,))
        runs.append(Run(inputs=tuple(inputs), expected_duration=clip.length / _SOUND_SPEED, files=(file,)))
    recipe = sound.recipe.model_copy(update={"source_index": 0})
    file = FileRecipe(part=name, muxer=container.muxer, streams=(recipe,))
    total = sum(clip.length for clip in clips)
    inputs = [Input(parts=tuple(parts))]
    return [*runs, Run(inputs=tuple(inputs), expected_duration=total / _SOUND_SPEED, files=(file,))]


def _sound(media: MediaInfo, total: float, container: Container, why: str = _ONE_KIND) -> Part:
    """The sound of all parts together, as the parts hold it."""
    whole = media.model_copy(update={"duration": total, "chapters": ()})
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
    part = audio_encoded(whole, known, codec, why=why)
    recipe = part.recipe.model_copy(update={"source_index": 1, "language": track.language})
    return replace(part, recipe=recipe)


def _join_run(container: Container, parts: Sequence[Part], inputs: tuple[Input, ...], total: float) -> Run:
    copied = StreamRecipe(
        kind="video", source_index=0, action="copy", options=_tag(parts[0], container), default=True
    )
    recipe = FileRecipe(
        role="video",
        muxer=container.muxer,
        streams=(copied, *(part.recipe for part in parts[1:])),
        options=dict(container.muxer_options),
    )
    return Run(inputs=inputs, expected_duration=total / 20, files=(recipe,))


def _tag(picture: Part, container: Container) -> dict[str, Scalar]:
    tag = container.tags.get(picture.expected.codec)
    return {"tag": tag} if tag else {}


def _decisions(media: MediaInfo, parts: Sequence[Part]) -> tuple[StreamDecision, ...]:
    """What happens to the streams of the video that was asked about."""
    used = media.main_audio
    decisions = [part.decision for part in parts if part.decision.source_index >= 0]
    decisions += [
        dropped_sound(track, "One sound track goes through all the videos.")
        for track in media.audio
        if track != used
    ]
    decisions += [dropped_words(track, "Only pictures and sound are joined.") for track in media.subtitles]
    decisions += leftovers(media, main_video(media))
    return tuple(sorted(decisions, key=lambda decision: decision.source_index))


OPERATION = OperationType(
    type="join",
    title="Join",
    description="Put other videos of yours before or after this one.",
    icon="combine",
    Parameters=JoinParameters,
    plan=_plan,
    others=_others,
    chained=False,
)
