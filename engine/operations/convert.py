"""convert: the same video in another kind of file."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from engine.assembly import video_plan
from engine.codecs import Quality, label_of
from engine.containers import VIDEO_CONTAINERS, Container
from engine.operation import OperationType
from engine.parameters import Parameters
from engine.plan import Part, main_video, video_copied, video_encoded, video_obstacle
from engine.types import MediaInfo, Plan, VideoStream


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


class ConvertParameters(Parameters):
    """Without `video_codec` and `quality` the picture is kept untouched wherever the format can carry it."""

    format: VideoFormat = Field(title="Format", description="The kind of file to make.", examples=["mp4"])
    video_codec: VideoCodecName | None = Field(
        default=None,
        title="Video codec",
        description="Codec of the picture. Empty keeps the source's codec if the format can carry it.",
    )
    quality: Quality | None = Field(
        default=None,
        title="Quality",
        description=(
            "Encode the picture at this quality. Empty copies the picture where possible and encodes at "
            "medium where not. For H.264, low, medium and high are CRF 28, 23 and 19."
        ),
    )

    @field_validator("video_codec")
    @classmethod
    def _codec_fits_format(cls, codec: VideoCodecName | None, info: ValidationInfo) -> VideoCodecName | None:
        container = VIDEO_CONTAINERS.get(info.data.get("format", ""))
        if codec is not None and container is not None and codec not in container.video_encodes:
            allowed = " or ".join(map(label_of, container.video_encodes))
            sentence = "{format} files are made with {allowed}."
            raise PydanticCustomError(
                "not_a_choice", sentence, {"format": container.label, "allowed": allowed}
            )
        return codec


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
    return video_plan("convert", media, container, picture, summary=f"To {container.label}; {way}.")


def _picture(
    parameters: ConvertParameters, media: MediaInfo, stream: VideoStream, container: Container
) -> Part:
    codec = parameters.video_codec.value if parameters.video_codec else None
    quality = parameters.quality or Quality.MEDIUM
    obstacle = video_obstacle(media, stream, container)
    if parameters.quality is not None:
        why = f"Encoded again at {quality} quality, as asked"
    elif codec is not None and codec != stream.codec:
        why = f"Encoded to {label_of(codec)}, as asked"
    elif obstacle is not None:
        why = f"Encoded because {obstacle}"
    else:
        return video_copied(media, stream, container)
    if codec is None and parameters.quality is not None and stream.codec in container.video_encodes:
        codec = stream.codec
    return video_encoded(media, stream, container, why=why, codec=codec, quality=quality)


OPERATION = OperationType(
    type="convert",
    title="Convert",
    description="Make a copy in another format, without loss wherever the format allows it.",
    icon="repeat",
    Parameters=ConvertParameters,
    plan=_plan,
)
