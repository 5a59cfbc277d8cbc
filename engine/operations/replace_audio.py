"""replace_audio: the same picture with the sound of another video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from engine.assembly import video_plan
from engine.codecs import AUDIO_CODECS, AudioCodec
from engine.containers import VIDEO_CONTAINERS
from engine.operation import Holds, OperationType
from engine.parameters import WHOLE, Parameters, Seconds, VideoId
from engine.plan import Part, main_video, video_copied, video_encoded, video_obstacle
from engine.ranges import clock, insist_on_clock
from engine.tracks import audio_encoded, audio_parts, dropped_sound
from engine.types.media import AudioStream, MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import SOURCE, Filter, Input
from problems import Problem

TrackNumber = Annotated[int, Field(ge=1, le=32), WHOLE]


class ReplaceAudioParameters(Parameters):
    """Whose sound, which of its tracks, and from where on."""

    sound: VideoId = Field(title="Sound of", description="Your video whose sound is taken.")
    track: TrackNumber = Field(
        default=1, title="Track", description="Which of its sound tracks, counted from 1."
    )
    start: Seconds = Field(
        default=0.0, title="Begin at", description="Where in that sound to begin.", examples=["00:00:05"]
    )
    keep: bool = Field(
        default=False, title="Keep the old sound", description="As further tracks after the new one."
    )


def _others(parameters: ReplaceAudioParameters) -> Mapping[str, Holds]:
    return {parameters.sound: Holds.SOUND}


def _plan(parameters: ReplaceAudioParameters, media: MediaInfo, others: Mapping[str, MediaInfo]) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    obstacle = video_obstacle(media, stream, container)
    picture = (
        video_copied(media, stream, container)
        if obstacle is None
        else video_encoded(media, stream, container, why=f"Encoded because {obstacle}")
    )
    other = others[parameters.sound]
    track = _track(parameters, other)
    length = stream.start_time + (stream.duration or media.duration)
    new = _new(parameters, media, track, codec=AUDIO_CODECS[container.audio or "aac"], length=length)
    kept, left_out = audio_parts(media, container) if parameters.keep and container.many_audio else ([], [])
    if not kept:
        left_out = [dropped_sound(old, "Another sound takes its place, as asked.") for old in media.audio]
    kept = [replace(old, recipe=old.recipe.model_copy(update={"default": False})) for old in kept]
    plan = video_plan(
        "replace_audio",
        media,
        container,
        picture,
        summary=_summary(parameters, other, length),
        audio=([new, *kept], left_out),
    )
    (step,) = plan.steps
    (run,) = step.runs
    inputs = (Input(source=SOURCE), Input(source=parameters.sound, start=parameters.start or None))
    (output,) = plan.outputs
    whole = media.duration if kept else length
    expected = output.expectation.model_copy(update={"duration": round(whole, 3)})
    output = output.model_copy(update={"expectation": expected})
    step = step.model_copy(update={"runs": (run.model_copy(update={"inputs": inputs}),)})
    # The decision about the other video's track is no decision about a stream of this one.
    streams = tuple(decision for decision in plan.streams if decision is not new.decision)
    return plan.model_copy(update={"outputs": (output,), "steps": (step,), "streams": streams})


def _track(parameters: ReplaceAudioParameters, other: MediaInfo) -> AudioStream:
    if parameters.track > len(other.audio):
        count = len(other.audio)
        reason = (
            f"Track {parameters.track} was asked for; that video has {count} sound track{'s' * (count != 1)}."
        )
        raise Problem("parameters_do_not_fit", reason=reason)
    if parameters.start >= other.duration:
        reason = f"The sound was to begin at {clock(parameters.start)}; it ends at {clock(other.duration)}."
        raise Problem("parameters_do_not_fit", reason=reason)
    if parameters.start:
        insist_on_clock(other)
    return other.audio[parameters.track - 1]


def _new(
    parameters: ReplaceAudioParameters,
    media: MediaInfo,
    track: AudioStream,
    *,
    codec: AudioCodec,
    length: float,
) -> Part:
    """The new track, exactly as long as the picture: cut, or filled up with silence."""
    clip = media.model_copy(update={"audio": (track,), "duration": length})
    part = audio_encoded(
        clip,
        track,
        codec,
        why="Encoded, so that it is as long as the picture.",
        filters=(
            Filter(name="aresample", options={"async": 1, "first_pts": 0}),
            Filter(name="apad", options={"whole_dur": f"{length:.4f}"}),
            Filter(name="atrim", options={"end": f"{length:.4f}"}),
        ),
    )
    recipe = part.recipe.model_copy(update={"input": 1, "default": True})
    return replace(part, recipe=recipe)


def _summary(parameters: ReplaceAudioParameters, other: MediaInfo, length: float) -> str:
    text = "The sound of another video" + (f", from {clock(parameters.start)} on" if parameters.start else "")
    short = length - (other.duration - parameters.start)
    text += f"; the last {short:.1f} s stay silent" if short > 0.05 else ""  # noqa: PLR2004 - hardly to be heard
    return f"{text}; the old sound is kept as well." if parameters.keep else f"{text}."


OPERATION = OperationType(
    type="replace_audio",
    title="Replace audio",
    description="Give the video the sound of another of your videos.",
    icon="music",
    Parameters=ReplaceAudioParameters,
    plan=_plan,
    others=_others,
    chained=False,
)
