"""Building blocks of plans: for each stream of a source, is it copied, encoded or dropped, and why.

Pure functions of what the probe found. An operation says which container it wants and what must happen to
the picture; the rules of `containers`, `codecs` and `pictures` decide the rest here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.codecs import AUDIO_CODECS, VIDEO_CODECS, AudioCodec, Quality, label_of
from engine.containers import Container
from engine.pictures import Geometry, encodable, frame_rate_text, natural
from engine.types import (
    AudioStream,
    Expectation,
    ExpectedStream,
    Filter,
    MediaInfo,
    Scalar,
    StreamDecision,
    StreamRecipe,
    SubtitleStream,
    VideoStream,
)
from problems import Problem

# Containers whose durations are told by their writer or guessed from both ends; others are exact.
_LOOSE = frozenset({"ts", "mpg", "flv", "avi", "wmv", "ogv"})

_COPY_BYTES_PER_SECOND = 150e6
_ENCODE_CORES = 2.0
_AUDIO_SPEED = 60.0  # seconds of sound encoded in a second
_DEFAULT_RATE = 25.0


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
    if media.container == "avi" and stream.reordered:
        return "AVI does not store in which order its frames are shown"
    return None


def video_copied(media: MediaInfo, stream: VideoStream, container: Container, why: str | None = None) -> Part:
    """The picture untouched."""
    tag = container.tags.get(stream.codec)
    return Part(
        recipe=StreamRecipe(
            kind="video",
            source_index=stream.index,
            action="copy",
            options={"tag": tag} if tag else {},
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
    codec: str | None = None,
    quality: Quality = Quality.MEDIUM,
    geometry: Geometry | None = None,
) -> Part:
    """The picture decoded and encoded again, as 8-bit 4:2:0 in square, progressive, upright pixels."""
    rules = VIDEO_CODECS[codec or container.video or "h264"]
    shape = geometry or natural(stream)
    width, height = shape.size
    options: dict[str, Scalar] = rules.options_at(quality)
    if rules.name in container.tags:
        options["tag"] = container.tags[rules.name]
    if container.constant_frame_rate and stream.frame_rate:
        # Without this a file of uneven rate is filled up to the finest step of its clock.
        options["r"] = frame_rate_text(min(stream.frame_rate, 120.0))
    pixels = width * height * (stream.frame_rate or _DEFAULT_RATE) * media.duration
    source_pixels = stream.width * stream.height * (stream.frame_rate or _DEFAULT_RATE) * media.duration
    usual = {Quality.LOW: 0.55, Quality.MEDIUM: 1.0, Quality.HIGH: 1.7}[quality]
    return Part(
        recipe=StreamRecipe(
            kind="video",
            source_index=stream.index,
            action="encode",
            encoder=rules.encoder,
            options=options,
            filters=encodable(stream, shape),
            language=stream.language,
            default=True,
        ),
        expected=ExpectedStream(kind="video", codec=rules.name, width=width, height=height),
        decision=StreamDecision(
            kind="video",
            source_index=stream.index,
            action="encode",
            codec=rules.name,
            why=f"{why}{_notes(stream, shape)}.",
        ),
        bits=min(
            rules.bits_per_pixel * usual * pixels,
            1.5 * _video_bits(media, stream) * min(1.0, pixels / max(source_pixels, 1.0)) or float("inf"),
        ),
        cpu_seconds=pixels / rules.speed + source_pixels / 400e6,
    )


def _notes(stream: VideoStream, shape: Geometry) -> str:
    notes = []
    if stream.interlaced:
        notes.append("interlaced fields become full frames")
    if stream.hdr:
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


# -------------------------------------------------------------------------------------------------- sound


def audio_parts(media: MediaInfo, container: Container) -> tuple[list[Part], list[StreamDecision]]:
    """Every sound track the container can hold, copied where it may be; and the tracks left out."""
    tracks = list(media.audio)
    if not container.many_audio and media.main_audio is not None:
        tracks = [media.main_audio]
    parts = [
        audio_copied(media, track, container)
        if track.codec in container.copies_audio
        else audio_encoded(
            media,
            track,
            AUDIO_CODECS[container.audio or "aac"],
            why=f"Encoded because {label_of(track.codec)} does not fit into {container.label} files.",
        )
        for track in tracks
    ]
    left_out = [
        _dropped("audio", track.index, track.codec, f"{container.label} holds one sound track only.")
        for track in media.audio
        if track not in tracks
    ]
    return parts, left_out


def audio_copied(media: MediaInfo, track: AudioStream, container: Container) -> Part:
    """A sound track untouched."""
    return Part(
        recipe=StreamRecipe(
            kind="audio",
            source_index=track.index,
            action="copy",
            language=track.language,
            title=track.title,
            default=track == media.main_audio,
        ),
        expected=ExpectedStream(kind="audio", codec=track.codec, copied=True),
        decision=StreamDecision(
            kind="audio",
            source_index=track.index,
            action="copy",
            codec=track.codec,
            why=f"Copied as it is: {label_of(track.codec)} fits into {container.label} files.",
        ),
        bits=(track.bit_rate or 128_000) * media.duration,
        cpu_seconds=0.0,
    )


def audio_encoded(
    media: MediaInfo, track: AudioStream, codec: AudioCodec, *, why: str, kbits: int | None = None
) -> Part:
    """A sound track encoded again; `kbits` is the rate of the whole track."""
    channels = track.channels or 2
    kept = min(channels, codec.max_channels)
    rate = kbits or codec.kbits * kept
    options: dict[str, Scalar] = {}
    if rate:
        options["b"] = f"{rate}k"
    if kept != channels:
        options["ac"] = kept
        why = f"{why.rstrip('.')}; {channels} channels are mixed down to {kept}."
    filters = (Filter(name="aformat", options={"channel_layouts": codec.layouts}),) if codec.layouts else ()
    return Part(
        recipe=StreamRecipe(
            kind="audio",
            source_index=track.index,
            action="encode",
            encoder=codec.encoder,
            options=options,
            filters=filters,
            language=track.language,
            title=track.title,
            default=track == media.main_audio,
        ),
        expected=ExpectedStream(kind="audio", codec=codec.name),
        decision=StreamDecision(
            kind="audio", source_index=track.index, action="encode", codec=codec.name, why=why
        ),
        bits=(rate * 1000 if rate else (track.sample_rate or 48_000) * kept * 16) * media.duration,
        cpu_seconds=media.duration / _AUDIO_SPEED,
    )


# ---------------------------------------------------------------------------------------------- the others


def subtitle_parts(media: MediaInfo, container: Container) -> tuple[list[Part], list[StreamDecision]]:
    """Every subtitle track the container can hold; and those it cannot."""
    parts: list[Part] = []
    left_out: list[StreamDecision] = []
    for track in media.subtitles:
        label = label_of(track.codec)
        if track.codec in container.copies_subtitles:
            parts.append(
                _subtitle(
                    track, None, track.codec, f"Copied as it is: {label} fits into {container.label} files."
                )
            )
        elif track.is_text and container.text_subtitles:
            target = container.text_subtitles
            why = f"Rewritten, because text in {container.label} files is stored as {label_of(target)}."
            parts.append(_subtitle(track, target, target, why))
        else:
            why = f"{container.label} files cannot carry {label} subtitles."
            left_out.append(_dropped("subtitle", track.index, track.codec, why))
    return parts, left_out


def _subtitle(track: SubtitleStream, encoder: str | None, codec: str, why: str) -> Part:
    return Part(
        recipe=StreamRecipe(
            kind="subtitle",
            source_index=track.index,
            action="encode" if encoder else "copy",
            encoder=encoder,
            language=track.language,
            title=track.title,
            default=track.default,
            forced=track.forced,
        ),
        expected=ExpectedStream(kind="subtitle", codec=codec, copied=encoder is None),
        decision=StreamDecision(
            kind="subtitle",
            source_index=track.index,
            action="encode" if encoder else "copy",
            codec=codec,
            why=why,
        ),
        bits=8_000.0,
        cpu_seconds=0.0,
    )


def leftovers(media: MediaInfo, used: VideoStream | None) -> list[StreamDecision]:
    """Decisions for streams no output takes: cover art, further pictures, data."""
    decisions = []
    for stream in media.video:
        if used is not None and stream.index == used.index:
            continue
        why = (
            "Cover art is a still picture, not part of the video."
            if stream.attached_picture
            else "Only the main picture is kept."
        )
        decisions.append(_dropped("video", stream.index, stream.codec, why))
    decisions += [
        _dropped("data", other.index, other.codec, f"A {other.kind} stream has no use outside its source.")
        for other in media.others
    ]
    return decisions


def dropped_sound(track: AudioStream, why: str) -> StreamDecision:
    """A sound track that is left out."""
    return _dropped("audio", track.index, track.codec, why)


def dropped_subtitle(track: SubtitleStream, why: str) -> StreamDecision:
    """A subtitle track that is left out."""
    return _dropped("subtitle", track.index, track.codec, why)


def dropped_video(stream: VideoStream, why: str) -> StreamDecision:
    """A picture that is left out."""
    return _dropped("video", stream.index, stream.codec, why)


def _dropped(kind: str, index: int, codec: str | None, why: str) -> StreamDecision:
    return StreamDecision.model_validate(
        {"kind": kind, "source_index": index, "action": "drop", "codec": codec, "why": why}
    )


# -------------------------------------------------------------------------------------- totals and promises


def expectation(media: MediaInfo, container: Container, parts: Iterable[Part]) -> Expectation:
    """What the file made of these parts must be."""
    kept = list(parts)
    duration = _duration(media, {part.recipe.source_index for part in kept})
    video = media.main_video
    frame = 1.0 / (video.frame_rate or _DEFAULT_RATE) if video else 0.0
    # Encoders of sound add up to 0.1 s of silence at the ends to fill their blocks.
    tolerance = max(0.1 + frame, duration * 0.001)
    if media.container in _LOOSE:
        tolerance = max(0.5 + frame, duration * 0.01)
    return Expectation(
        container=container.name,
        streams=tuple(part.expected for part in kept),
        duration=duration,
        duration_tolerance=round(tolerance, 3),
    )


def _duration(media: MediaInfo, kept: set[int]) -> float:
    """The longest kept stream; the whole file where streams do not tell their length or none is left out."""
    streams: list[VideoStream | AudioStream] = [*media.audio]
    streams += [stream for stream in media.video if not stream.attached_picture]
    if all(stream.index in kept for stream in streams):
        return media.duration
    lengths = [stream.duration for stream in streams if stream.index in kept]
    known = [length for length in lengths if length]
    if not known or len(known) != len(lengths):
        return media.duration
    return min(media.duration, max(known))


def estimated_size(parts: Iterable[Part]) -> int:
    """Bytes of the finished file, roughly."""
    return max(1, round(sum(part.bits for part in parts) / 8 * 1.01))


def estimated_seconds(parts: Iterable[Part]) -> float:
    """Seconds of wall time, roughly, with two cores to itself."""
    kept = list(parts)
    copying = sum(part.bits for part in kept) / 8 / _COPY_BYTES_PER_SECOND
    return round(max(0.5, copying + sum(part.cpu_seconds for part in kept) / _ENCODE_CORES), 1)
