"""speed: faster or slower, sound included, at the same pitch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import Parameters
from engine.pictures import frame_rate_text
from engine.plan import main_video, video_encoded
from engine.tracks import audio_parts, dropped_subtitle
from engine.types.media import AudioStream, MediaInfo, VideoStream
from engine.types.plan import Plan
from engine.types.recipes import Filter
from engine.types.value import Scalar
from problems import Problem

_SAME = 1e-6

Factor = Annotated[float, Field(ge=0.25, le=4)]


class SpeedParameters(Parameters):
    """The pitch of voices and music stays what it was."""

    factor: Factor = Field(
        title="Speed",
        description="How many times as fast: 2 is twice as fast, 0.5 half as fast. From 0.25 to 4.",
        examples=[1.5],
    )


def _plan(parameters: SpeedParameters, media: MediaInfo) -> Plan:
    factor = round(parameters.factor, 4)
    if abs(factor - 1) < _SAME:
        raise Problem("parameters_do_not_fit", reason="A speed of 1 would change nothing.")
    main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    result = _at_speed(media, factor)
    stream = main_video(result)
    filters = [Filter(name="setpts", options={"expr": f"PTS/{factor:g}"})]
    if factor > 1 and stream.frame_rate:
        # More frames a second than the source had cost much and are hardly seen.
        filters.append(Filter(name="fps", options={"fps": frame_rate_text(stream.frame_rate)}))
    word = "faster" if factor > 1 else "slower"
    picture = video_encoded(
        result,
        stream,
        container,
        why=f"Encoded, because every frame gets another time: {factor:g} times as fast",
        filters=tuple(filters),
    )
    sound = audio_parts(
        result,
        container,
        why=f"Encoded, to play {word} at the same pitch.",
        filters=_sound(factor),
    )
    lost = [
        dropped_subtitle(track, "Its times would no longer go with the picture.") for track in media.subtitles
    ]
    plan = video_plan(
        "speed",
        result,
        container,
        picture,
        summary=f"{factor:g} times as fast: from {media.duration:.1f} s to {result.duration:.1f} s.",
        audio=sound,
        subtitles=([], lost),
    )
    return _compared(plan, factor)


def _compared(plan: Plan, factor: float) -> Plan:
    """The plan whose check knows that the result runs at another speed than its source."""
    output = plan.outputs[0]
    expected = output.expectation
    if expected.origin is None:
        return plan
    origin = expected.origin.model_copy(update={"speed": factor})
    expected = expected.model_copy(update={"origin": origin})
    return plan.model_copy(update={"outputs": (output.model_copy(update={"expectation": expected}),)})


def _sound(factor: float) -> tuple[Filter, ...]:
    # A track that begins late is filled with silence first, or its delay would keep its length. rubberband
    # keeps to the clock, where atempo is up to 90 ms early at a quarter and swallows short sounds at four
    # times; its short window and mixed transients put a click within 20 ms of its picture.
    stretch: dict[str, Scalar] = {"tempo": f"{factor:g}", "transients": "mixed", "window": "short"}
    return (
        Filter(name="aresample", options={"async": 1, "first_pts": 0}),
        Filter(name="rubberband", options=stretch),
    )


def _at_speed(media: MediaInfo, factor: float) -> MediaInfo:
    """The video as the result will be: its lengths, and a frame rate that is not more than it was."""
    return media.model_copy(
        update={
            "duration": media.duration / factor,
            "size": round(media.size / factor),
            "chapters": (),
            "video": tuple(_picture_at_speed(stream, factor) for stream in media.video),
            "audio": tuple(_sound_at_speed(track, factor) for track in media.audio),
        }
    )


def _picture_at_speed(stream: VideoStream, factor: float) -> VideoStream:
    rate = stream.frame_rate * min(1.0, factor) if stream.frame_rate else None
    return stream.model_copy(
        update={
            "start_time": stream.start_time / factor,
            "duration": stream.duration / factor if stream.duration else None,
            "frame_rate": rate,
            "frames": None,
        }
    )


def _sound_at_speed(track: AudioStream, factor: float) -> AudioStream:
    duration = (track.start_time + track.duration) / factor if track.duration else None
    return track.model_copy(update={"start_time": 0.0, "duration": duration})


OPERATION = OperationType(
    type="speed",
    title="Speed",
    description="Make the video faster or slower, with its sound at the same pitch.",
    icon="gauge",
    Parameters=SpeedParameters,
    plan=_plan,
)
