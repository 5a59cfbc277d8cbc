"""convert: the same video in another kind of file, or encoded anew."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import scored, video_plan
from engine.codecs import AUDIO_CODECS, VIDEO_CODECS, Preset, Quality, label_of
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import OperationType
from engine.parameters import ADVANCED, WHOLE, Channels, Kilobits, Parameters, Score
from engine.pictures import capped_rate
from engine.plan import Coding, Part, main_video, video_copied, video_encoded, video_obstacle
from engine.tracks import SoundWish, audio_parts
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Plan
from problems import Problem


class VideoFormat(StrEnum):
    """Kinds of video files that can be written."""

    MP4 = "mp4"
    MOV = "mov"
    AVI = "avi"
    WEBM = "webm"
    MKV = "mkv"
    FLV = "flv"


class VideoCodecName(StrEnum):
    """Codecs a picture can be encoded to."""

    H264 = "h264"
    HEVC = "hevc"
    VP9 = "vp9"
    AV1 = "av1"
    MPEG4 = "mpeg4"
    PRORES = "prores"


class AudioCodecName(StrEnum):
    """Codecs sound can be encoded to."""

    AAC = "aac"
    OPUS = "opus"
    MP3 = "mp3"
    VORBIS = "vorbis"
    FLAC = "flac"
    PCM = "pcm_s16le"


def _usual_name(value: object) -> object:
    """H.265 is the same as HEVC, and PCM means samples of 16 bits."""
    return {"h265": "hevc", "pcm": "pcm_s16le"}.get(value, value) if isinstance(value, str) else value


class ConvertParameters(Parameters):
    """Picture and sound are kept untouched wherever the format can carry them and nothing else is asked."""

    format: VideoFormat = Field(title="Format", description="The kind of file to make.", examples=["mp4"])
    video_codec: Annotated[VideoCodecName, BeforeValidator(_usual_name)] | None = Field(
        default=None,
        title="Video codec",
        description="Codec of the picture. Empty keeps the source's codec if the format can carry it.",
        examples=["hevc"],
    )
    quality: Quality | None = Field(
        default=None,
        title="Quality",
        description=(
            "Encode the picture at this quality. Empty copies the picture where possible and encodes at "
            "medium where not. For H.264, low, medium and high are CRF 28, 23 and 19."
        ),
        examples=["medium"],
    )
    crf: Annotated[int, Field(ge=0, le=63), WHOLE] | None = Field(
        default=None,
        title="CRF",
        description=(
            "Encode at this number of the codec's own scale instead of a quality: smaller is better and "
            "larger. 0 to 51 for H.264 and H.265, 0 to 63 for VP9, 1 to 63 for AV1."
        ),
        examples=[23],
        json_schema_extra=ADVANCED,
    )
    preset: Preset = Field(
        default=Preset.MEDIUM,
        title="Encoding speed",
        description="Slower makes a smaller file of the same quality. Matters only where it is encoded.",
        examples=["fast"],
        json_schema_extra=ADVANCED,
    )
    fps: Annotated[float, Field(ge=1, le=120)] | None = Field(
        default=None,
        title="Most frames a second",
        description="A video with more is encoded with so many. Empty keeps them all.",
        examples=[30],
        json_schema_extra=ADVANCED,
    )
    audio_codec: Annotated[AudioCodecName, BeforeValidator(_usual_name)] | None = Field(
        default=None,
        title="Audio codec",
        description="Codec of the sound. Empty keeps the source's codec if the format can carry it.",
        examples=["aac"],
        json_schema_extra=ADVANCED,
    )
    audio_bitrate: Kilobits | None = Field(
        default=None,
        title="Audio bit rate",
        description="Kilobits per second of each sound track. Empty copies, or takes what suits the codec.",
        json_schema_extra=ADVANCED,
    )
    channels: Channels | None = Field(
        default=None,
        title="Channels",
        description="At most so many channels of sound: 1 is mono, 2 stereo, 6 is 5.1. Empty keeps them.",
        examples=[2],
        json_schema_extra={**ADVANCED, "x-empty": "As they are"},
    )
    score: Score = None

    @field_validator("video_codec", "audio_codec")
    @classmethod
    def _codec_fits_format(cls, codec: StrEnum | None, info: ValidationInfo) -> StrEnum | None:
        container = VIDEO_CONTAINERS.get(info.data.get("format", ""))
        if codec is None or container is None:
            return codec
        choices = container.video_encodes if info.field_name == "video_codec" else container.audio_encodes
        if codec not in choices:
            allowed = " or ".join(map(label_of, choices))
            sentence = "{format} files are made with {allowed}."
            raise PydanticCustomError(
                "not_a_choice", sentence, {"format": container.label, "allowed": allowed}
            )
        return codec

    @field_validator("crf")
    @classmethod
    def _crf_fits_codec(cls, crf: int | None, info: ValidationInfo) -> int | None:
        if crf is not None and info.data.get("quality") is not None:
            raise PydanticCustomError("conflict", "Give a quality or a CRF, not both.")
        codec = info.data.get("video_codec")
        fault = _crf_fault(crf, codec) if crf is not None and codec is not None else None
        if fault is not None:
            raise PydanticCustomError("not_applicable", "{fault}", {"fault": fault})
        return crf

    @field_validator("audio_bitrate")
    @classmethod
    def _lossless_has_no_bitrate(cls, bitrate: int | None, info: ValidationInfo) -> int | None:
        codec = info.data.get("audio_codec")
        if bitrate is not None and codec is not None and not AUDIO_CODECS[codec].kbits:
            sentence = "A bit rate has no meaning for {codec}, which is lossless."
            raise PydanticCustomError("not_applicable", sentence, {"codec": label_of(codec)})
        return bitrate


def _crf_fault(crf: int, codec: str) -> str | None:
    """Why this codec cannot be given this number."""
    bounds = VIDEO_CODECS[codec].crf
    if bounds is None:
        return f"{label_of(codec)} has no CRF; give a quality instead."
    low, high = bounds
    return None if low <= crf <= high else f"For {label_of(codec)} this is from {low} to {high}."


def _plan(parameters: ConvertParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS[parameters.format]
    picture = _picture(parameters, media, stream, container)
    copied = picture.recipe.action == "copy"
    way = (
        "the picture is copied without loss"
        if copied
        else f"the picture is encoded to {label_of(picture.expected.codec)}"
    )
    wish = SoundWish(
        codec=parameters.audio_codec.value if parameters.audio_codec else None,
        kbits=parameters.audio_bitrate,
        channels=parameters.channels,
    )
    plan = video_plan(
        "convert",
        media,
        container,
        picture,
        summary=f"To {container.label}; {way}.",
        audio=audio_parts(media, container, wish=wish),
    )
    return scored(plan, parameters.score, media)


def _picture(
    parameters: ConvertParameters, media: MediaInfo, stream: VideoStream, container: Container
) -> Part:
    codec = parameters.video_codec.value if parameters.video_codec else None
    obstacle = video_obstacle(media, stream, container)
    rate = capped_rate(stream, parameters.fps)
    if parameters.quality is not None:
        why = f"Encoded again at {parameters.quality} quality, as asked"
    elif parameters.crf is not None:
        why = f"Encoded again at CRF {parameters.crf}, as asked"
    elif codec is not None and codec != stream.codec:
        why = f"Encoded to {label_of(codec)}, as asked"
    elif obstacle is not None:
        why = f"Encoded because {obstacle}"
    elif rate is not None:
        why = "Encoded with fewer frames, as asked"
    else:
        return video_copied(media, stream, container)
    if codec is None and obstacle is None and stream.codec in container.video_encodes:
        codec = stream.codec
    coding = Coding(
        codec=codec,
        quality=parameters.quality or Quality.MEDIUM,
        crf=parameters.crf,
        preset=parameters.preset,
        fps=parameters.fps,
    )
    picture = video_encoded(media, stream, container, why=why, coding=coding)
    fault = None if parameters.crf is None else _crf_fault(parameters.crf, picture.expected.codec)
    if fault is not None:
        raise Problem("parameters_do_not_fit", reason=f"CRF {parameters.crf} was asked for. {fault}")
    return picture


OPERATION = OperationType(
    type="convert",
    title="Convert",
    description="Make a copy in another format, without loss wherever the format allows it.",
    icon="repeat",
    Parameters=ConvertParameters,
    plan=_plan,
)
