"""extract_audio: the sound of a video as a file of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import file_plan
from engine.codecs import AUDIO_CODECS, AudioCodec, label_of
from engine.containers import AUDIO_CONTAINERS, Container
from engine.operation import OperationType
from engine.parameters import WHOLE, Channels, Kilobits, Parameters
from engine.plan import Part
from engine.tracks import (
    SoundWish,
    audio_copied,
    audio_encoded,
    audio_obstacle,
    dropped_sound,
    dropped_subtitle,
    dropped_video,
    leftovers,
)
from engine.types.media import AudioStream, MediaInfo
from engine.types.plan import Plan
from problems import Problem


class AudioFormat(StrEnum):
    """Kinds of sound files that can be written."""

    AAC = "aac"
    MP3 = "mp3"
    WAV = "wav"
    OGG = "ogg"
    FLAC = "flac"
    M4A = "m4a"
    OPUS = "opus"


TrackNumber = Annotated[int, Field(ge=1, le=32), WHOLE]


class ExtractAudioParameters(Parameters):
    """Without `bitrate` and `channels` the sound is copied untouched where the format can carry it."""

    format: AudioFormat = Field(
        title="Format", description="The kind of sound file to make.", examples=["mp3"]
    )
    track: TrackNumber | None = Field(
        default=None,
        title="Track",
        description="Which sound track, counted from 1. Empty takes the main one.",
    )
    bitrate: Kilobits | None = Field(
        default=None,
        title="Bit rate",
        description="Kilobits per second of the result. Empty keeps the source's quality where possible.",
    )

    channels: Channels | None = Field(
        default=None,
        title="Channels",
        description="At most so many channels: 1 is mono, 2 stereo, 6 is 5.1. Empty keeps them.",
        json_schema_extra={"x-empty": "As they are"},
    )

    @field_validator("bitrate")
    @classmethod
    def _lossless_has_no_bitrate(cls, bitrate: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("format")
        if bitrate is not None and name is not None and not _codec_of(AUDIO_CONTAINERS[name]).kbits:
            sentence = "A bit rate has no meaning for {format}, which is lossless."
            raise PydanticCustomError("not_applicable", sentence, {"format": AUDIO_CONTAINERS[name].label})
        return bitrate


def _codec_of(container: Container) -> AudioCodec:
    return AUDIO_CODECS[container.audio or "aac"]


def _plan(parameters: ExtractAudioParameters, media: MediaInfo) -> Plan:
    track = _track(parameters, media)
    container = AUDIO_CONTAINERS[parameters.format]
    part = _part(parameters, media, track, container)
    way = (
        "copied without loss"
        if part.recipe.action == "copy"
        else f"encoded to {label_of(part.expected.codec)}"
    )
    video = media.main_video
    left_out = [
        *(dropped_sound(other, "Another sound track is taken.") for other in media.audio if other != track),
        *(dropped_subtitle(other, "Only the sound is taken.") for other in media.subtitles),
        *([dropped_video(video, "Only the sound is taken.")] if video else []),
        *leftovers(media, video),
    ]
    return file_plan(
        "extract_audio",
        media,
        container,
        [part],
        role="audio",
        summary=f"Sound as {container.label}, {way}.",
        left_out=left_out,
    )


def _track(parameters: ExtractAudioParameters, media: MediaInfo) -> AudioStream:
    if media.main_audio is None:
        raise Problem("no_audio_stream")
    if parameters.track is None:
        return media.main_audio
    if parameters.track > len(media.audio):
        count = len(media.audio)
        have = "1 sound track" if count == 1 else f"{count} sound tracks"
        raise Problem(
            "parameters_do_not_fit", reason=f"Track {parameters.track} was asked for; the video has {have}."
        )
    return media.audio[parameters.track - 1]


def _part(
    parameters: ExtractAudioParameters, media: MediaInfo, track: AudioStream, container: Container
) -> Part:
    wish = SoundWish(kbits=parameters.bitrate, channels=parameters.channels)
    obstacle = audio_obstacle(media, track, container)
    why = wish.reason(track) or (f"Encoded because {obstacle}." if obstacle else None)
    if why is None:
        return audio_copied(media, track, container)
    return audio_encoded(media, track, _codec_of(container), why=why, wish=wish)


OPERATION = OperationType(
    type="extract_audio",
    title="Extract audio",
    description="Save the sound as a file of its own.",
    icon="music",
    Parameters=ExtractAudioParameters,
    plan=_plan,
)
