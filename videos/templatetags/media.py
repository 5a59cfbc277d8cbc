"""A file in words: what a probe found, and what plays it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django import template

from engine.codecs import label_of
from engine.types.media import AudioStream, MediaInfo, SubtitleStream, VideoStream
from videos import playback

register = template.Library()

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


@register.simple_tag
def media_of(stored: dict[str, Any] | None) -> MediaInfo | None:
    """The probe's findings as they were stored."""
    return None if stored is None else MediaInfo.model_validate(stored)


@register.filter
def plays(media: MediaInfo | None) -> bool:
    """Whether a browser plays the file."""
    return media is not None and playback.browser_plays(media)


@register.filter
def why_not(media: MediaInfo) -> str:
    """Why a browser does not play it."""
    return playback.why_not(media)


@register.filter
def facts(media: MediaInfo) -> Iterator[tuple[str, str]]:
    """Pairs of a label and a description in words, for people."""
    for picture in media.video:
        yield ("Cover", _size(picture)) if picture.attached_picture else ("Picture", _picture(picture))
    for sound in media.audio:
        yield "Sound", _sound(sound)
    for subtitle in media.subtitles:
        yield "Subtitles", _subtitle(subtitle)
    if not media.audio:
        yield "Sound", "None"
    yield "Container", media.container.upper()
    if media.bit_rate:
        yield "Bit rate", _rate(media.bit_rate)
    if media.chapters:
        yield "Chapters", str(len(media.chapters))


@register.filter
def brief(media: MediaInfo) -> str:
    """One line: `1280x720 · H.264 · AAC`."""
    picture, sound = media.main_video, media.main_audio
    parts = [_size(picture), label_of(picture.codec)] if picture else []
    return " · ".join([*parts, *([label_of(sound.codec)] if sound else [])])


@register.filter
def sizes(media: MediaInfo) -> str:
    """`1080p, 720p, 480p`: the sizes of a stream, called by their short sides."""
    sides = (min(stream.display_width, stream.display_height) for stream in media.video)
    return ", ".join(f"{side}p" for side in dict.fromkeys(sides))


@register.filter
def size_change(size: int, before: int) -> str:
    """`62 % smaller`, `8 % larger` or `same size`; empty where there is nothing to compare with."""
    if not before:
        return ""
    change = round((size - before) * 100 / before)
    if change == 0:
        return "same size"
    return f"{-change} % smaller" if change < 0 else f"{change} % larger"


def _picture(stream: VideoStream) -> str:
    parts = [" ".join(filter(None, [label_of(stream.codec), stream.profile])), _size(stream)]
    if stream.frame_rate:
        parts.append(f"{stream.frame_rate:.4g} frames per second")
    if stream.bit_depth > 8:  # noqa: PLR2004 - the usual depth needs no words
        parts.append(f"{stream.bit_depth} bit")
    if stream.hdr:
        parts.append("HDR")
    if stream.interlaced:
        parts.append("interlaced")
    if stream.rotation:
        parts.append(f"turned by {stream.rotation}°")
    return ", ".join(parts)


def _size(stream: VideoStream) -> str:
    return f"{stream.display_width}×{stream.display_height}"


def _sound(stream: AudioStream) -> str:
    parts = [label_of(stream.codec)]
    if stream.channels:
        parts.append(_LAYOUTS.get(stream.channels, f"{stream.channels} channels"))
    if stream.sample_rate:
        parts.append(f"{stream.sample_rate / 1000:g} kHz")
    if stream.bit_rate:
        parts.append(_rate(stream.bit_rate))
    if stream.language and stream.language != "und":
        parts.append(stream.language)
    return ", ".join(parts)


def _subtitle(stream: SubtitleStream) -> str:
    return ", ".join(filter(None, [label_of(stream.codec), stream.language, stream.title]))


def _rate(bits_per_second: int) -> str:
    million = 1_000_000
    if bits_per_second >= million:
        return f"{bits_per_second / million:.1f} Mb/s"
    return f"{round(bits_per_second / 1000)} kb/s"


@register.filter
def as_json(value: Any) -> str:
    """Indented JSON, for people who want to see everything."""
    return json.dumps(value, indent=2, ensure_ascii=False)
