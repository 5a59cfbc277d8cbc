"""Videos one after the other without encoding the picture: those of one camera, or of one encoder's settings.

Each picture becomes a piece that stands where it belongs in the result, as segments of one encode do, and is
looked at in the same ways before and after the join. Sound that is alike is copied to the nearest packet;
other sound is encoded, once for all. Whether the pieces really go together shows only in the result: the plan
of an encode goes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from engine.codecs import label_of
from engine.containers import Container
from engine.plan import video_obstacle
from engine.smart_cut import CLOCK, LEAD, packet_seconds
from engine.types.media import AudioStream, MediaInfo, VideoStream
from engine.types.recipes import FileRecipe, Input, Run, StreamRecipe
from engine.types.value import Scalar

# Files that tell exactly which frame is shown when.
_EXACT = frozenset({"mp4", "mov", "3gp", "mkv", "webm"})
_PICTURES = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})
# Codecs that tell everything in their pictures, and nothing in a header.
_WITHOUT_HEADER = frozenset({"vp9"})
_SOUND = "aac"
_LATE = 0.02  # seconds; a frame or a packet
# One clock for all pieces: each was given one of its own, of which the join would know the first only.
_PIECES: dict[str, Scalar] = {
    "movflags": "+delay_moov+frag_keyframe+default_base_moof+frag_discont",
    "video_track_timescale": 90_000,
}
_COPYING_SPEED = 50.0
_CODEC = "the picture has a codec whose pieces are not joined here"


@dataclass(frozen=True, slots=True)
class Clip:
    """One of the videos. `source` is its name among those a run may read."""

    source: str
    media: MediaInfo
    stream: VideoStream

    @property
    def length(self) -> float:
        """How long its picture is."""
        return self.stream.duration or self.media.duration


def obstacle(clips: Sequence[Clip], container: Container) -> str | None:
    """Why the pictures cannot be joined as they are; None when they can. As the end of a sentence."""
    first = clips[0].stream
    for number, clip in enumerate(clips, 1):
        alone = _unsuited(clip, container)
        if alone is not None:
            return f"of video {number} {alone}"
        unlike = _unlike(first, clip.stream)
        if unlike is not None:
            return f"video {number} {unlike}"
    return None


def _unsuited(clip: Clip, container: Container) -> str | None:
    stream = clip.stream
    told = video_obstacle(clip.media, stream, container)
    if told is not None:
        return f"the picture cannot stay as it is: {told}"
    reasons = (
        # What is made where the pieces do not go together has to be of the same codec.
        (stream.codec not in _PICTURES.intersection(container.video_encodes), _CODEC),
        (clip.media.container not in _EXACT, "the file does not say exactly which frame is shown when"),
        (clip.media.broken_clock, "the clock begins anew in the middle"),
        (stream.duration is None, "the length of the picture is not known"),
        (stream.start_time > _LATE, "the picture begins late"),
        (stream.preroll, "the first frames are to stay hidden"),
        (stream.sample_aspect != (1, 1), "the pixels are not square"),
        (stream.interlaced, "the picture is interlaced"),
        (
            stream.settings is None and stream.codec not in _WITHOUT_HEADER,
            "it is not known with which settings it was encoded",
        ),
    )
    return next((why for applies, why in reasons if applies), None)


def _unlike(first: VideoStream, other: VideoStream) -> str | None:
    """How the picture differs from the first, in what decoders are told once for all."""
    size, wanted = (f"{item.display_width}x{item.display_height}" for item in (other, first))
    if other.codec != first.codec:
        return f"is {label_of(other.codec)} and the first {label_of(first.codec)}"
    if (other.width, other.height, other.rotation) != (first.width, first.height, first.rotation):
        turned = f", turned by {other.rotation} degrees" if other.rotation != first.rotation else ""
        return f"has a picture of {size}{turned} and the first {wanted}"
    pixels = [
        (one.pixel_format, one.color_range, one.color_space, one.color_primaries, one.color_transfer)
        for one in (first, other)
    ]
    if pixels[0] != pixels[1]:
        return "has colours of another kind than the first"
    told = [(one.profile, one.delay, one.settings) for one in (first, other)]
    return "was encoded with other settings than the first" if told[0] != told[1] else None


def sound_obstacle(clips: Sequence[Clip], container: Container) -> str | None:
    """Why the sound of these videos, all of which have some or none, is not joined as it is."""
    tracks = [clip.media.main_audio for clip in clips]
    if all(track is None for track in tracks):
        return None
    kinds = set()
    for number, (clip, track) in enumerate(zip(clips, tracks, strict=True), 1):
        if track is None:
            return "not all of the videos have sound"
        if container.audio != _SOUND or track.codec != _SOUND or track.profile != "LC":
            return f"{label_of(track.codec)} is not joined as it is"
        missing = packet_seconds(track) / 2
        if track.start_time > missing or _ends(clip, track) < clip.length - missing:
            return f"in video {number} it is not as long as the picture"
        kinds.add((track.sample_rate, track.channels, track.channel_layout, track.settings))
    return None if len(kinds) == 1 else "it was not recorded with the same settings everywhere"


def _ends(clip: Clip, track: AudioStream) -> float:
    return track.start_time + (track.duration if track.duration is not None else clip.media.duration)


def picture_name(number: int) -> str:
    """The name of a piece of the picture."""
    return f"picture-{number}.mp4"


def _sound_name(number: int) -> str:
    return f"sound-{number}.ts"


def piece_runs(clips: Sequence[Clip], *, sound: bool) -> tuple[Run, ...]:
    """The runs that copy the picture of each video, and its sound, to where it stands in the result."""
    return tuple(
        _piece_run(number, clip, begin, sound=sound)
        for number, (clip, begin) in enumerate(zip(clips, _begins(clips), strict=True))
    )


def _on_the_grid(begin: float, length: float, packet: float) -> str:
    """Bitstream filters that put packets where they follow each other without gap or overlap.

    All packets of the result stand at whole numbers of packets from its beginning, those of each video at
    most half of one from their own time; what would stand before the video or after it is dropped.
    """
    first, end = round(begin / packet), round((begin + length) / packet)
    number = f"round((pts*tb-{begin:.6f})/{packet:.9f})"
    drop = f"noise=drop=lt({number}\\,0)+gte({number}\\,{end - first})"
    time = f"({first}+{number.replace('pts*tb', 'PTS*TB')})*{packet:.9f}/TB"
    return f"{drop},setts=pts={time}:dts={time}"


def _begins(clips: Sequence[Clip]) -> tuple[float, ...]:
    return tuple(accumulate((clip.length for clip in clips[:-1]), initial=0.0))


def _piece_run(number: int, clip: Clip, begin: float, *, sound: bool) -> Run:
    picture = StreamRecipe(kind="video", source_index=clip.stream.index, action="copy")
    files = [FileRecipe(part=picture_name(number), muxer="mp4", streams=(picture,), options=_PIECES)]
    track = clip.media.main_audio if sound else None
    if track is not None:
        heard = StreamRecipe(
            kind="audio",
            source_index=track.index,
            action="copy",
            options={"bsf": _on_the_grid(begin, clip.length, packet_seconds(track))},
        )
        options: dict[str, Scalar] = {**CLOCK, "output_ts_offset": f"{LEAD:.3f}"}
        files.append(FileRecipe(part=_sound_name(number), muxer="mpegts", streams=(heard,), options=options))
    return Run(
        inputs=(Input(source=clip.source, shift=begin - clip.media.start_time, as_stored=True),),
        source_times=True,
        expected_duration=clip.length / _COPYING_SPEED,
        files=tuple(files),
    )


def joined_inputs(clips: Sequence[Clip], *, sound: str | None) -> tuple[Input, ...]:
    """What the run reads that makes the result: the picture, and sound if there is any.

    `sound` is the part that holds all of it; empty where the pieces have it.
    """
    names = tuple(picture_name(number) for number in range(len(clips)))
    begins = _begins(clips)
    picture = Input(
        source="",
        parts=names,
        cuts=tuple(
            round(begin + clip.stream.start_time, 6)
            for begin, clip in zip(begins[1:], clips[1:], strict=True)
        ),
        zero=0.0,
        rotation=clips[0].stream.rotation,
    )
    if sound is None:
        return (picture,)
    if sound:
        return (picture, Input(parts=(sound,), zero=0.0))
    heard = tuple(_sound_name(number) for number in range(len(clips)))
    return (picture, Input(parts=heard, one_clock=True, shift=-LEAD))
