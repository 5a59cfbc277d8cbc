"""hls: the video as a stream in several sizes, between which a player changes as the line allows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from engine.codecs import AUDIO_CODECS, label_of
from engine.containers import STREAMED_PICTURE, STREAMED_SOUND, WORDS_CONTAINERS
from engine.ladder import Rungs, listed, rungs_of, together
from engine.operation import OperationType
from engine.parameters import WHOLE, Parameters
from engine.pictures import Geometry
from engine.plan import (
    Coding,
    Part,
    estimated_seconds,
    estimated_size,
    expectation,
    main_video,
    video_encoded,
)
from engine.stream_playlists import CONTENT_TYPE
from engine.tracks import audio_copied, audio_encoded, dropped_subtitle, leftovers, subtitle_parts
from engine.types.media import AudioStream, MediaInfo, SubtitleStream, VideoStream
from engine.types.plan import Expectation, Lane, MemberPlan, OutputPlan, Plan, StepPlan, StreamDecision
from engine.types.recipes import FileRecipe, Filter, Run
from engine.types.value import Scalar

# Kilobits a second that the dearest moments of 1280x720 may take; larger pictures need less for each pixel.
_PEAK_KBITS = 3500
_PEAK_PIXELS = 1280 * 720
_PEAK_POWER = 0.75
_FAST = 35.0  # frames a second from which on more bits are given
_FAST_BITS = 1.5
# Never reached: only the moments asked for begin with a key frame, in every size the same.
_NO_OTHER_KEY_FRAMES = 9999
_LATE = 0.01
_WORDS = WORDS_CONTAINERS["vtt"]


class StreamCodec(StrEnum):
    """Codecs the picture is offered in."""

    H264 = "h264"
    AV1 = "av1"


_PRESETS: dict[StreamCodec, dict[str, Scalar]] = {
    StreamCodec.H264: {"preset": "fast", "sc_threshold": 0, "forced-idr": 1},
    StreamCodec.AV1: {},
}
_PEAK_SHARE = {StreamCodec.H264: 1.0, StreamCodec.AV1: 0.65}


Codecs = Annotated[
    tuple[StreamCodec, ...],
    Field(max_length=len(StreamCodec)),
    BeforeValidator(listed),
    WithJsonSchema(
        {
            "type": ["array", "string"],
            "items": {"type": "string", "enum": list(StreamCodec)},
            "minItems": 1,
            "examples": ["h264, av1"],
        }
    ),
]


class HlsParameters(Parameters):
    """Sizes are called by their short side: 720 is 1280x720 for a wide video, 720x1280 for an upright one."""

    rungs: Rungs | None = Field(
        default=None,
        title="Sizes",
        description=(
            "Short sides in pixels, such as 1080, 720, 480. Sizes above the source are left out; empty takes "
            "the usual ones."
        ),
    )
    segment_seconds: Annotated[int, Field(ge=1, le=10), WHOLE] = Field(
        default=4,
        title="Segment",
        description="Seconds between the moments at which a player can change the size, from 1 to 10.",
    )
    codecs: Codecs = Field(
        default=(StreamCodec.H264,),
        title="Codecs",
        description=(
            "h264 plays everywhere. With h264, av1 players that can take AV1 get the same picture in fewer "
            "bytes; it takes longer to make."
        ),
    )

    @field_validator("rungs")
    @classmethod
    def _largest_first(cls, rungs: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if rungs == ():
            raise PydanticCustomError("required", "Name at least one size, or leave it out.")
        return None if rungs is None else tuple(sorted(set(rungs), reverse=True))

    @field_validator("codecs")
    @classmethod
    def _h264_is_there(cls, codecs: tuple[StreamCodec, ...]) -> tuple[StreamCodec, ...]:
        if StreamCodec.H264 not in codecs:
            raise PydanticCustomError("required", "Must contain h264, which every player takes.")
        return tuple(codec for codec in StreamCodec if codec in codecs)


@dataclass(frozen=True, slots=True)
class _Rendition:
    """One media file of the stream."""

    member: MemberPlan
    part: Part
    options: dict[str, Scalar]

    @property
    def recipe(self) -> FileRecipe:
        return FileRecipe(
            role="stream",
            member=self.member.name,
            muxer="webvtt" if self.member.kind == "subtitle" else "mp4",
            streams=(self.part.recipe,),
            options=self.options,
        )


def _plan(parameters: HlsParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    shown = _from_the_beginning(media, stream)
    rungs, too_large = rungs_of(stream, parameters.rungs)
    pictures = [
        _picture(shown, stream, rung, codec, parameters.segment_seconds)
        for codec in parameters.codecs
        for rung in rungs.items()
    ]
    sounds = [
        _sound(media, track, number, parameters.segment_seconds)
        for number, track in enumerate(media.audio, 1)
    ]
    words = [
        _words(media, track, number)
        for number, track in enumerate((track for track in media.subtitles if track.is_text), 1)
    ]
    parts = [one.part for one in (*pictures, *sounds)]
    renditions = [*pictures, *sounds, *words]
    every = expectation(media, STREAMED_PICTURE, parts)
    output = OutputPlan(
        role="stream",
        container="hls",
        extension="m3u8",
        content_type=CONTENT_TYPE,
        expectation=every.model_copy(update={"container": "hls"}),
        members=tuple(one.member for one in renditions),
    )
    runs = tuple(
        Run(expected_duration=media.duration, files=tuple(one.recipe for one in some))
        for some in together(renditions, lambda one: (one.part,))
    )
    return Plan(
        operation="hls",
        summary=_summary(parameters, rungs, too_large, len(sounds), len(words)),
        streams=_decisions(media, parameters, renditions, len(runs)),
        outputs=(output,),
        steps=(StepPlan(position=0, kind="encode", lane=Lane.ENCODE, runs=runs),),
        estimated_size=estimated_size(parts),
        estimated_seconds=estimated_seconds(parts),
    )


def _from_the_beginning(media: MediaInfo, stream: VideoStream) -> MediaInfo:
    """The video as if its picture began with it: where it is late, its first frame is shown earlier."""
    if not _is_late(stream):
        return media
    duration = stream.start_time + stream.duration if stream.duration else None
    early = stream.model_copy(update={"start_time": 0.0, "duration": duration})
    return media.model_copy(update={"video": tuple(early if one == stream else one for one in media.video)})


def _is_late(stream: VideoStream) -> bool:
    return stream.start_time > 0.5 / (stream.frame_rate or 25.0)


def _picture(
    media: MediaInfo,
    stream: VideoStream,
    rung: tuple[int, Geometry],
    codec: StreamCodec,
    seconds: int,
) -> _Rendition:
    height, geometry = rung
    filters: tuple[Filter, ...] = ()
    if _is_late(stream):
        # Players line up tracks by their first moments, so both have to have the same.
        late = {"start_duration": f"{stream.start_time:.3f}", "start_mode": "clone"}
        filters = (
            Filter(name="setpts", options={"expr": "PTS-STARTPTS"}),
            Filter(name="tpad", options=dict(late)),
        )
    peak = _peak_kbits(geometry.size, stream.frame_rate, codec)
    part = video_encoded(
        media,
        stream,
        STREAMED_PICTURE,
        why="Encoded",
        coding=Coding(codec=codec.value),
        geometry=geometry,
        filters=filters,
    )
    options: dict[str, Scalar] = {
        **part.recipe.options,
        **_PRESETS[codec],
        "maxrate": f"{peak}k",
        "bufsize": f"{2 * peak}k",
        "g": _NO_OTHER_KEY_FRAMES,
        "force_key_frames": f"expr:gte(t,n_forced*{seconds})",
    }
    part = replace(
        part,
        recipe=part.recipe.model_copy(update={"options": options, "language": None}),
        bits=min(part.bits, peak * 1000 * media.duration),
    )
    suffix = "" if codec is StreamCodec.H264 else f"-{codec.value}"
    return _Rendition(
        member=MemberPlan(
            name=f"{height}p{suffix}.mp4",
            kind="video",
            content_type=STREAMED_PICTURE.content_type,
            expectation=_of_one(expectation(media, STREAMED_PICTURE, [part]), stream.duration),
        ),
        part=part,
        options=dict(STREAMED_PICTURE.muxer_options),
    )


def _peak_kbits(size: tuple[int, int], frame_rate: float | None, codec: StreamCodec) -> int:
    share = math.pow(size[0] * size[1] / _PEAK_PIXELS, _PEAK_POWER)
    more = _FAST_BITS if (frame_rate or 0.0) > _FAST else 1.0
    return max(100, round(_PEAK_KBITS * share * more * _PEAK_SHARE[codec]))


def _sound(media: MediaInfo, track: AudioStream, number: int, seconds: int) -> _Rendition:
    late = track.start_time > _LATE
    hidden = media.main_video is not None and media.main_video.preroll
    if track.codec == "aac" and track.profile == "LC" and not late and not hidden:
        part = audio_copied(media, track, STREAMED_SOUND)
    else:
        what = label_of(track.codec) + (f" {track.profile}" if track.codec == "aac" and track.profile else "")
        why = "it begins late" if late else f"{what} cannot be cut into segments that play everywhere"
        lined_up = (Filter(name="aresample", options={"async": 1, "first_pts": 0}),)
        codec = AUDIO_CODECS["aac"]
        part = audio_encoded(media, track, codec, why=f"Encoded because {why}.", filters=lined_up)
    part = replace(part, recipe=part.recipe.model_copy(update={"title": None, "default": True}))
    return _Rendition(
        member=MemberPlan(
            name=f"sound-{number}.mp4",
            kind="audio",
            content_type=STREAMED_SOUND.content_type,
            expectation=_of_one(expectation(media, STREAMED_SOUND, [part]), track.duration),
            language=track.language,
            title=track.title,
            default=track == media.main_audio,
        ),
        part=part,
        options={**STREAMED_SOUND.muxer_options, "frag_duration": seconds * 1_000_000},
    )


def _words(media: MediaInfo, track: SubtitleStream, number: int) -> _Rendition:
    """A track of text as a file of its own, which players show over any size."""
    (part,), _ = subtitle_parts(media.model_copy(update={"subtitles": (track,)}), _WORDS)
    told = part.decision.model_copy(update={"why": "A file of its own, which players show when asked to."})
    recipe = part.recipe.model_copy(update={"language": None, "title": None})
    return _Rendition(
        member=MemberPlan(
            name=f"words-{number}.vtt",
            kind="subtitle",
            content_type=_WORDS.content_type,
            expectation=Expectation(container=_WORDS.name, streams=(part.expected,), words=True),
            language=track.language,
            title=track.title,
            forced=track.forced,
        ),
        part=replace(part, recipe=recipe, decision=told),
        options={},
    )


def _of_one(expected: Expectation, duration: float | None) -> Expectation:
    """Where a stream does not tell its length, only the longest of all has to be as long as the video."""
    return expected if duration else expected.model_copy(update={"duration": None})


def _decisions(
    media: MediaInfo, parameters: HlsParameters, renditions: list[_Rendition], runs: int
) -> tuple[StreamDecision, ...]:
    stream = main_video(media)
    pictures = [one.part for one in renditions if one.member.kind == "video"]
    sizes = [part.expected for part in pictures if part.expected.codec == StreamCodec.H264]
    listed = ", ".join(f"{one.width}x{one.height}" for one in sizes)
    codecs = " and ".join(label_of(codec) for codec in parameters.codecs)
    times = "once" if runs == 1 else f"{runs} times, to spare memory,"
    notes = pictures[0].decision.why.removeprefix("Encoded").removesuffix(".")
    why = (
        f"Decoded {times} and encoded as {listed}, {codecs}, with a key frame every "
        f"{parameters.segment_seconds} s at the same moments in each{notes}."
    )
    seen = StreamDecision(kind="video", source_index=stream.index, action="encode", codec="h264", why=why)
    beside = [one.part.decision for one in renditions if one.member.kind != "video"]
    beside += [
        dropped_subtitle(track, "It holds pictures of words; streams carry text.")
        for track in media.subtitles
        if not track.is_text
    ]
    return tuple(sorted([seen, *beside, *leftovers(media, stream)], key=lambda item: item.source_index))


def _summary(
    parameters: HlsParameters, rungs: dict[int, Geometry], too_large: list[int], sounds: int, words: int
) -> str:
    sizes = ", ".join(f"{rung}p" for rung in rungs)
    tracks = "without sound" if not sounds else "one sound track" if sounds == 1 else f"{sounds} sound tracks"
    codecs = " and ".join(label_of(codec) for codec in parameters.codecs)
    text = f"HLS stream in {sizes}, {codecs}, {tracks}"
    if words:
        text += f", subtitles in {words} track{'s' * (words > 1)}"
    if too_large:
        larger = ", ".join(f"{rung}p" for rung in too_large)
        text += f"; {larger} would be larger than the source"
    return f"{text}."


OPERATION = OperationType(
    type="hls",
    title="HLS stream",
    description="Make a stream in several sizes that adapts to the viewer's line.",
    icon="radio",
    Parameters=HlsParameters,
    plan=_plan,
)
