"""compress: a smaller file, of a size that was asked for or of a quality that was asked for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from engine.assembly import Kept, carried_out, scored, video_plan
from engine.budget import Budget, budget
from engine.codecs import AUDIO_CODECS, VIDEO_CODECS, Preset, Quality, VideoCodec, label_of
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import OperationType
from engine.parameters import ADVANCED, FileSize, Kilobits, Parameters, Score
from engine.plan import Coding, Part, main_video, video_copied, video_encoded, video_obstacle
from engine.ranges import insist_on_clock
from engine.tracks import SoundWish, audio_copied, audio_encoded, audio_obstacle, audio_parts
from engine.types.media import MediaInfo, VideoStream
from engine.types.plan import Plan
from engine.types.value import Scalar
from problems import Problem

# A file written anew may be a little larger than its source without any stream being touched.
_REWRITTEN = 1.005
_REWRITTEN_BYTES = 5_000
_USUAL_RATE = 30.0
_MEGABYTE = 1e6
_LEAST_AV1_SIDE = 64
# How far beyond the words low and high a quality is looked for, on the scale of the codec.
_FINER, _COARSER = 8, 12


class CompressFormat(StrEnum):
    """Kinds of files a small video is put into."""

    MP4 = "mp4"
    MKV = "mkv"
    WEBM = "webm"
    MOV = "mov"


class CompressCodec(StrEnum):
    """Codecs that can be held to a size or a quality."""

    H264 = "h264"
    HEVC = "hevc"
    VP9 = "vp9"
    AV1 = "av1"


def _usual_name(value: object) -> object:
    return "hevc" if value == "h265" else value


class CompressParameters(Parameters):
    """Exactly one of the two targets is needed."""

    target_size: FileSize | None = Field(
        default=None,
        title="Largest size",
        description="The result is never larger: bytes, or a size such as 25 MB (25,000,000) or 25 MiB.",
        examples=["25 MB"],
    )
    target_quality: Annotated[float, Field(ge=60, le=98)] | None = Field(
        default=None,
        title="Quality",
        description=(
            "Or: as small as possible with this VMAF, measured on samples. From about 93 on most people "
            "see no difference; 85 is fair."
        ),
        examples=[93],
    )
    format: CompressFormat = Field(
        default=CompressFormat.MP4, title="Format", description="The kind of file to make.", examples=["mp4"]
    )
    video_codec: Annotated[CompressCodec, BeforeValidator(_usual_name)] | None = Field(
        default=None,
        title="Video codec",
        description="H.265, VP9 and AV1 look better in the same size; H.264 plays everywhere. Empty takes "
        "the format's usual one.",
        examples=["h264"],
    )
    shrink: bool = Field(
        default=True,
        title="Smaller picture",
        description="Allow fewer pixels and frames where the size asked for is too small for all of them.",
        json_schema_extra=ADVANCED,
    )
    preset: Preset = Field(
        default=Preset.MEDIUM,
        title="Encoding speed",
        description="Slower looks better in the same size.",
        examples=["medium"],
        json_schema_extra=ADVANCED,
    )
    audio_bitrate: Kilobits | None = Field(
        default=None,
        title="Audio bit rate",
        description="Kilobits per second of each sound track. Empty takes what suits the size.",
        json_schema_extra=ADVANCED,
    )
    score: Score = None

    @field_validator("video_codec")
    @classmethod
    def _codec_fits_format(cls, codec: CompressCodec | None, info: ValidationInfo) -> CompressCodec | None:
        container = VIDEO_CONTAINERS.get(info.data.get("format", ""))
        if codec is not None and container is not None and codec not in container.video_encodes:
            allowed = " or ".join(
                label_of(name) for name in container.video_encodes if name in list(CompressCodec)
            )
            raise PydanticCustomError(
                "not_a_choice",
                "{format} files are made with {allowed}.",
                {"format": container.label, "allowed": allowed},
            )
        return codec

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.target_size is None and self.target_quality is None:
            raise PydanticCustomError("required", "Give a largest size or a quality.")
        if self.target_size is not None and self.target_quality is not None:
            raise PydanticCustomError("conflict", "Give a largest size or a quality, not both.")
        return self


def _plan(parameters: CompressParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    container = VIDEO_CONTAINERS[parameters.format]
    if parameters.target_size is not None:
        plan = _to_size(parameters, media, stream, container, parameters.target_size)
        return scored(plan, parameters.score, media)
    return _to_quality(parameters, media, stream, container, parameters.target_quality or 0.0)


# ------------------------------------------------------------------------------------------------- size


def _to_size(
    parameters: CompressParameters, media: MediaInfo, stream: VideoStream, container: Container, size: int
) -> Plan:
    codec = parameters.video_codec
    small = media.size * _REWRITTEN + _REWRITTEN_BYTES <= size
    if small and codec in (None, stream.codec) and video_obstacle(media, stream, container) is None:
        why = "Copied as it is: the video is small enough already."
        picture = video_copied(media, stream, container, why)
        wish = SoundWish(kbits=parameters.audio_bitrate)
        plan = video_plan(
            "compress",
            media,
            container,
            picture,
            summary=f"The video has {_megabytes(media.size)} already, less than {_megabytes(size)}.",
            audio=audio_parts(media, container, wish=wish),
        )
        return carried_out(plan, "target_size", bytes=size, fixed=0, bits=0)
    # More bytes than the source has would be of no use to anyone.
    aim = min(size, media.size) if media.size else size
    shares = _shares(parameters, media, stream, container, aim)
    if not shares.enough:
        reason = f"{_megabytes(size)} is too little for {media.duration:.0f} s of this video"
        raise Problem("parameters_do_not_fit", reason=f"{reason}; take a larger size or trim it first.")
    width, height = shares.geometry.size
    if _rules(parameters, container).name == "av1" and min(width, height) < _LEAST_AV1_SIDE:
        reason = f"The AV1 encoder cannot hold a picture of {width}x{height} to a size; take another codec."
        raise Problem("parameters_do_not_fit", reason=reason)
    picture, audio = _parts(parameters, media, stream, container, shares)
    plan = video_plan(
        "compress",
        media,
        container,
        picture,
        summary=f"To at most {_megabytes(size)}: {width}x{height} at {shares.video_bits / 1000:.0f} kbit/s.",
        audio=audio,
    )
    plan = plan.model_copy(
        update={"estimated_size": aim, "estimated_seconds": _twice(plan.estimated_seconds)}
    )
    return carried_out(
        plan, "target_size", bytes=aim, fixed=shares.fixed_bytes, bits=round(shares.video_bits)
    )


def _shares(
    parameters: CompressParameters, media: MediaInfo, stream: VideoStream, container: Container, size: int
) -> Budget:
    return budget(
        media,
        stream,
        size,
        video=_rules(parameters, container),
        audio=AUDIO_CODECS[container.audio or "aac"],
        copies=container.copies_audio,
        kbits=parameters.audio_bitrate,
        shrink=parameters.shrink,
    )


def _parts(
    parameters: CompressParameters,
    media: MediaInfo,
    stream: VideoStream,
    container: Container,
    shares: Budget,
) -> tuple[Part, Kept]:
    width, height = shares.geometry.size
    why = f"Encoded in two passes at {shares.video_bits / 1000:.0f} kbit/s"
    if width < stream.display_width - 1:
        why += f", at {width}x{height} so that it stays clear"
    coding = Coding(codec=_rules(parameters, container).name, preset=parameters.preset, fps=shares.fps)
    picture = video_encoded(media, stream, container, why=why, coding=coding, geometry=shares.geometry)
    sounds = []
    for sound in shares.sounds:
        if sound.kbits is None and audio_obstacle(media, sound.track, container) is None:
            sounds.append(audio_copied(media, sound.track, container))
            continue
        wish = SoundWish(kbits=sound.kbits, channels=sound.channels)
        reason = "Encoded, to leave room for the picture."
        codec = AUDIO_CODECS[container.audio or "aac"]
        sounds.append(audio_encoded(media, sound.track, codec, why=reason, wish=wish))
    return picture, (sounds, [])


# ---------------------------------------------------------------------------------------------- quality


def _to_quality(
    parameters: CompressParameters, media: MediaInfo, stream: VideoStream, container: Container, score: float
) -> Plan:
    insist_on_clock(media)
    rules = _rules(parameters, container)
    coding = Coding(codec=rules.name, preset=parameters.preset)
    why = f"Encoded with the largest CRF that still gives VMAF {score:g} on samples"
    picture = video_encoded(media, stream, container, why=why, coding=coding)
    wish = SoundWish(kbits=parameters.audio_bitrate)
    plan = video_plan(
        "compress",
        media,
        container,
        picture,
        summary=f"As small as VMAF {score:g} allows, found on samples, as {rules.label}.",
        audio=audio_parts(media, container, wish=wish),
    )
    plan = plan.model_copy(update={"estimated_seconds": _twice(plan.estimated_seconds)})
    low, high = rules.crf or (0, 51)
    settings: dict[str, Scalar] = {
        "vmaf": score,
        "start": rules.quality_number(Quality.MEDIUM),
        "low": max(low, rules.quality_number(Quality.HIGH) - _FINER),
        "high": min(high, rules.quality_number(Quality.LOW) + _COARSER),
        "pixels": stream.display_width * stream.display_height * (stream.frame_rate or _USUAL_RATE),
        "bits": stream.bit_rate or 0,
    }
    return carried_out(plan, "target_quality", **settings)


def _rules(parameters: CompressParameters, container: Container) -> VideoCodec:
    return VIDEO_CODECS[parameters.video_codec or container.video or "h264"]


def _twice(seconds: float | None) -> float | None:
    return None if seconds is None else round(2 * seconds, 1)


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.4g} MB"


OPERATION = OperationType(
    type="compress",
    title="Compress",
    description="Make the file smaller, to a size or to a quality.",
    icon="minimize-2",
    Parameters=CompressParameters,
    plan=_plan,
)
