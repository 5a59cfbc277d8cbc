"""reverse: the end first, picture and sound."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from engine.assembly import Kept, video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import Parameters
from engine.pictures import frame_rate_text, natural
from engine.plan import main_video, video_encoded
from engine.tracks import audio_parts, dropped_sound, dropped_subtitle
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Plan
from engine.types.recipes import Filter
from problems import Problem

# All frames wait in memory until the last has come, at 1.5 bytes a pixel, or twice that beyond 8 bits.
_MOST_BYTES = 1_500_000_000
_PIXEL_BYTES = 1.5
_SHALLOW = 8
_USUAL_RATE = 25.0
_LONGEST_SOUND = 1_800.0  # seconds


class ReversedSound(StrEnum):
    """What becomes of the sound."""

    REVERSED = "reversed"
    MUTED = "muted"


class ReverseParameters(Parameters):
    """Only short videos can be reversed, because every frame has to be held until the last is known."""

    sound: ReversedSound = Field(
        default=ReversedSound.REVERSED,
        title="Sound",
        description="Play the sound backwards too, or leave it out.",
        examples=["reversed"],
    )


def _plan(parameters: ReverseParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    rate = stream.frame_rate or _USUAL_RATE
    _held_in_memory(media, stream, rate)
    silent = parameters.sound is ReversedSound.MUTED or not media.audio
    # Both are filled up to one length first, so that what ended together begins together.
    seconds = (stream.duration or media.duration) if silent else media.duration
    length = f"{seconds:.3f}"
    whole = {"stop_mode": "clone", "stop_duration": length}
    picture = video_encoded(
        media,
        stream,
        container,
        why="Encoded, because every frame gets another place",
        filters=(
            Filter(name="fps", options={"fps": frame_rate_text(rate), "start_time": 0}),
            Filter(name="tpad", options=whole),
            Filter(name="trim", options={"end": length}),
            Filter(name="reverse"),
        ),
    )
    if silent:
        audio: Kept = ([], [dropped_sound(track, "It is left out, as asked.") for track in media.audio])
    else:
        audio = audio_parts(
            media,
            container,
            why="Encoded, because it is played backwards.",
            filters=(
                Filter(name="aresample", options={"async": 1, "first_pts": 0}),
                Filter(name="apad", options={"whole_dur": length}),
                Filter(name="atrim", options={"end": length}),
                Filter(name="areverse"),
            ),
        )
    lost = [dropped_subtitle(track, "Its times do not go backwards.") for track in media.subtitles]
    return video_plan(
        "reverse",
        media.model_copy(update={"chapters": ()}),
        container,
        picture,
        summary="Backwards, from the end to the beginning.",
        audio=audio,
        subtitles=([], lost),
    )


def _held_in_memory(media: MediaInfo, stream: VideoStream, rate: float) -> None:
    """Raises Problem("parameters_do_not_fit") when the frames need more memory than there is for them."""
    width, height = natural(stream).size
    frame = width * height * _PIXEL_BYTES * (2 if stream.bit_depth > _SHALLOW else 1)
    most = min(_MOST_BYTES / frame / rate, _LONGEST_SOUND)
    if media.duration > most:
        reason = (
            f"All frames have to be held in memory, which is enough for {most:.0f} s of {width}x{height} "
            f"at {rate:g} frames a second. The video has {media.duration:.0f} s: trim or resize it first."
        )
        raise Problem("parameters_do_not_fit", reason=reason)


OPERATION = OperationType(
    type="reverse",
    title="Reverse",
    description="Play the video backwards.",
    icon="rewind",
    Parameters=ReverseParameters,
    plan=_plan,
)
