"""Building blocks of plans: is the picture copied or encoded, and why; what the whole costs and promises.

Pure functions of what the probe found. An operation says which container it wants and what must happen to
the picture; the rules of `containers`, `codecs` and `pictures` decide the rest here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from engine.codecs import PRESET_SPEEDS, VIDEO_CODECS, Preset, Quality, VideoCodec, label_of
from engine.containers import Container
from engine.pictures import Geometry, capped_rate, encodable, fewer_frames, frame_rate_text, natural
from engine.types.media import AudioStream, MediaInfo, VideoStream
from engine.types.plan import Expectation, ExpectedStream, StreamDecision
from engine.types.recipes import Filter, StreamRecipe
from engine.types.value import Scalar
from problems import Problem

# Containers whose durations are told by their writer or guessed from both ends; others are exact.
_LOOSE = frozenset({"ts", "mpg", "flv", "avi", "wmv", "ogv"})

_COPY_BYTES_PER_SECOND = 150e6
_ENCODE_CORES = 2.0
_DEFAULT_RATE = 25.0
_MOST_REORDERED = 3
_SHALLOW = 8  # bits


@dataclass(frozen=True, slots=True)
class Coding:
    """How a picture is to be encoded; `crf` is a number of the codec's own scale and goes before `quality`.

    Without a codec it is the container's usual one; `fps` is the most frames a second.
    """

    codec: str | None = None
    quality: Quality = Quality.MEDIUM
    crf: int | None = None
    preset: Preset = Preset.MEDIUM
    fps: float | None = None


AS_USUAL = Coding()

# Codecs whose encoders use B-frames.
_REORDERED = frozenset({"h264", "hevc"})


@dataclass(frozen=True, slots=True)
class Part:
    """One stream on its way into an output: the recipe, what it must become, and rough costs."""

    recipe: StreamRecipe
    expected: ExpectedStream
    decision: StreamDecision
    bits: float
    cpu_seconds: float


def main_video(media: MediaInfo) -> VideoStream:
    """The picture to work on. Raises Problem("no_video_stream")."""
    stream = media.main_video
    if stream is None:
        raise Problem("no_video_stream")
    return stream


# ------------------------------------------------------------------------------------------------ picture


def video_obstacle(media: MediaInfo, stream: VideoStream, container: Container) -> str | None:
    """Why the picture cannot go into the container untouched; None when it can."""
    label = label_of(stream.codec)
    if stream.codec not in container.copies_video:
        return f"{label} does not fit into {container.label} files"
    if stream.rotation and not container.keeps_rotation:
        return f"{container.label} cannot store that the picture is turned"
    if (
        stream.codec == "h264"
        and stream.pixel_format not in ("yuv420p", "yuvj420p", None)
        and container.name != "mkv"
    ):
        return f"few players can show H.264 with {stream.pixel_format} pixels"
    if stream.preroll and not container.edit_lists:
        return f"{container.label} cannot hide the frames before the point where the video was cut"
    if media.container == "avi" and stream.reordered:
        return "AVI does not store in which order its frames are shown"
    return None


def video_copied(media: MediaInfo, stream: VideoStream, container: Container, why: str | None = None) -> Part:
    """The picture untouched."""
    tag = container.tags.get(stream.codec)
    options: dict[str, Scalar] = {"tag": tag} if tag else {}
    if stream.reordered:
        options |= last_frame_timed(media, stream, container)
    return Part(
        recipe=StreamRecipe(
            kind="video",
            source_index=stream.index,
            action="copy",
            options=options,
            language=stream.language,
            default=True,
        ),
        expected=ExpectedStream(
            kind="video",
            codec=stream.codec,
            width=stream.display_width,
            height=stream.display_height,
            copied=True,
        ),
        decision=StreamDecision(
            kind="video",
            source_index=stream.index,
            action="copy",
            codec=stream.codec,
            why=why or f"Copied as it is: {label_of(stream.codec)} fits into {container.label} files.",
        ),
        bits=_video_bits(media, stream),
        cpu_seconds=0.0,
    )


def video_encoded(
    media: MediaInfo,
    stream: VideoStream,
    container: Container,
    *,
    why: str,
    coding: Coding = AS_USUAL,
    geometry: Geometry | None = None,
    filters: tuple[Filter, ...] = (),
    size: tuple[int, int] | None = None,
) -> Part:
    """The picture decoded and encoded again, in square, progressive, upright pixels.

    8-bit 4:2:0, or 10-bit where the source has more than 8 and the codec can carry it; only then is high
    dynamic range kept. `filters` come last; `size` is what they make of the geometry's size, where they
    change it.
    """
    rules = VIDEO_CODECS[coding.codec or _usual_codec(stream, container)]
    shape = geometry or natural(stream)
    width, height = size or shape.size
    if min(width, height) < rules.least_side:
        reason = f"A picture of {width}x{height} is too small for {rules.label}."
        raise Problem("parameters_do_not_fit", reason=reason)
    number = rules.quality_number(coding.quality) if coding.crf is None else coding.crf
    options: dict[str, Scalar] = rules.options_at(number, coding.preset)
    keep_hdr = stream.hdr and rules.deep is not None
    pixel_format = rules.pixels_for(deep=keep_hdr or stream.bit_depth > _SHALLOW)
    source_pixels = stream.width * stream.height * (stream.frame_rate or _DEFAULT_RATE) * media.duration
    rate = capped_rate(stream, coding.fps)
    if rate is not None:
        filters = (*filters, fewer_frames(rate))
        stream = stream.model_copy(update={"frame_rate": rate})
    if rules.name in container.tags:
        options["tag"] = container.tags[rules.name]
    if rules.name in _REORDERED:
        options |= last_frame_timed(media, stream, container)
    if container.constant_frame_rate and stream.frame_rate:
        # Without this a file of uneven rate is filled up to the finest step of its clock.
        options["r"] = frame_rate_text(min(stream.frame_rate, 120.0))
    if stream.uneven and rate is None and container.any_times and rules.name != "mpeg4":
        # On the grid of the average rate two frames that are nearer than that would be one. (MPEG-4 has no
        # finer clock.)
        options["enc_time_base"] = "demux"
    pixels = width * height * (stream.frame_rate or _DEFAULT_RATE) * media.duration
    return Part(
        recipe=StreamRecipe(
            kind="video",
            source_index=stream.index,
            action="encode",
            encoder=rules.encoder,
            options=options,
            filters=(*encodable(stream, shape, pixel_format=pixel_format, keep_hdr=keep_hdr), *filters),
            language=stream.language,
            default=True,
        ),
        expected=ExpectedStream(kind="video", codec=rules.name, width=width, height=height),
        decision=StreamDecision(
            kind="video",
            source_index=stream.index,
            action="encode",
            codec=rules.name,
            why=f"{why}{_notes(stream, shape, keep_hdr=keep_hdr, rate=rate)}.",
        ),
        bits=min(
            rules.bits_per_pixel * _size_factor(rules, number) * pixels,
            1.5 * _video_bits(media, stream) * min(1.0, pixels / max(source_pixels, 1.0)) or float("inf"),
        ),
        cpu_seconds=pixels / rules.speed / PRESET_SPEEDS[coding.preset] + source_pixels / 400e6,
    )


def last_frame_timed(media: MediaInfo, stream: VideoStream, container: Container) -> dict[str, Scalar]:
    """Options that give the last frame its place in the track's clock, where that goes by decoding times.

    MP4 adds up the times between frames as they are decoded. With B-frames the last is decoded long before
    it is shown if the one before it is held; without sound the whole file would then end too early.
    """
    # With sound the file is long enough, and a last frame out of the clock would spoil the stated rate.
    if not container.edit_lists or media.audio:
        return {}
    last = "eq(NEXT_DTS,NOPTS)"
    timing = f"setts=pts=PTS:dts='if({last},PTS,DTS)'"
    if stream.duration:
        end = stream.start_time + stream.duration
        timing += f":duration='if({last},max(DURATION,{end:.6f}/TB-PTS),DURATION)'"
    return {"bsf": timing}


def _usual_codec(stream: VideoStream, container: Container) -> str:
    """The container's own codec; the source's for high dynamic range, where that one could not carry it."""
    usual = container.video or "h264"
    if stream.hdr and VIDEO_CODECS[usual].deep is None and stream.codec in container.video_encodes:
        rules = VIDEO_CODECS.get(stream.codec)
        return stream.codec if rules is not None and rules.deep else usual
    return usual


def _size_factor(rules: VideoCodec, number: int) -> float:
    """How large the result is against medium quality: about half for six steps of a CRF."""
    if rules.crf is None:
        return dict(zip(rules.quality, (0.55, 1.0, 1.7), strict=True)).get(number, 1.0)
    return float(2 ** ((rules.quality_number(Quality.MEDIUM) - number) / 6))


def _notes(stream: VideoStream, shape: Geometry, *, keep_hdr: bool, rate: float | None) -> str:
    notes = []
    if stream.interlaced:
        notes.append("interlaced fields become full frames")
    if rate is not None:
        notes.append(f"at most {rate:g} frames a second")
    if stream.hdr and not keep_hdr:
        notes.append("high dynamic range is mapped to the standard range")
    if stream.display_width % 2 or stream.display_height % 2:
        notes.append(f"odd sides are made even, {shape.size[0]}x{shape.size[1]}")
    return "".join(f"; {note}" for note in notes)


def _video_bits(media: MediaInfo, stream: VideoStream) -> float:
    if stream.bit_rate:
        return stream.bit_rate * media.duration
    return max(
        0.0, media.size * 8 - sum((track.bit_rate or 128_000) * media.duration for track in media.audio)
    )


# -------------------------------------------------------------------------------------- totals and promises


def expectation(media: MediaInfo, container: Container, parts: Iterable[Part]) -> Expectation:
    """What the file made of these parts must be."""
    kept = list(parts)
    indexes = {part.recipe.source_index for part in kept}
    duration = _duration(media, indexes)
    video = media.main_video
    frame = 1.0 / min([video.frame_rate or _DEFAULT_RATE, *_rates(kept)]) if video else 0.0
    # Encoders of sound add up to 0.1 s of silence at the ends to fill their blocks; without sound it is how
    # long the last frame is shown that some containers do not tell.
    padding = 0.1 if any(part.recipe.kind == "audio" for part in kept) else frame
    length = media.duration if duration is None else duration
    tolerance = max(padding + frame, length * 0.001)
    if media.container in _LOOSE:
        tolerance = max(0.5 + frame, length * 0.01)
    # A stream that starts late may keep its delay as an empty stretch or lose it, by the container.
    delays = [track.start_time for track in media.audio if track.index in indexes]
    delays += [stream.start_time for stream in media.video if stream.index in indexes]
    tolerance += max(delays, default=0.0)
    if container.name == "flv":
        # Its times are those of storing: the first frame is shown later by as many as are stored before.
        tolerance += _MOST_REORDERED * frame
    return Expectation(
        container=container.recognised_as,
        streams=tuple(part.expected for part in kept),
        duration=duration,
        duration_tolerance=round(tolerance, 3),
    )


def _rates(parts: Iterable[Part]) -> list[float]:
    """The frame rates that filters of these parts make."""
    texts = [item.options["fps"] for part in parts for item in part.recipe.filters if item.name == "fps"]
    return [float(Fraction(str(text))) for text in texts]


def _duration(media: MediaInfo, kept: set[int]) -> float | None:
    """The whole file where nothing is left out, else the longest kept stream, or None if that is not told."""
    streams: list[VideoStream | AudioStream] = [*media.audio]
    streams += [stream for stream in media.video if not stream.attached_picture]
    if all(stream.index in kept for stream in streams):
        return media.duration
    lengths = [stream.duration for stream in streams if stream.index in kept]
    known = [length for length in lengths if length]
    if not known or len(known) != len(lengths):
        return None
    return min(media.duration, max(known))


def estimated_size(parts: Iterable[Part]) -> int:
    """Bytes of the finished file, roughly."""
    return max(1, round(sum(part.bits for part in parts) / 8 * 1.01))


def estimated_seconds(parts: Iterable[Part]) -> float:
    """Seconds of wall time, roughly, with two cores to itself."""
    kept = list(parts)
    copying = sum(part.bits for part in kept) / 8 / _COPY_BYTES_PER_SECOND
    return round(max(0.5, copying + sum(part.cpu_seconds for part in kept) / _ENCODE_CORES), 1)
