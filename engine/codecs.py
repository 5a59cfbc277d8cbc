"""Rules of codecs: which encoder makes them, how well at which quality, how fast, how large.

`quality` is one word for all codecs: low, medium or high. Each encoder maps it to its own scale so that the
words mean about the same to the eye; medium is what most people cannot tell from the source at a glance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from engine.types import Scalar


class Quality(StrEnum):
    """How faithful an encoded picture is, against its size."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """How to make pictures of one codec.

    `speed` is pixels per CPU second, `bits_per_pixel` the usual size at medium quality: both rough, both
    only for the estimates shown before a start.
    """

    name: str
    label: str
    encoder: str
    options: Mapping[str, Scalar]
    quality: Mapping[Quality, Mapping[str, Scalar]]
    speed: float
    bits_per_pixel: float

    def options_at(self, quality: Quality) -> dict[str, Scalar]:
        return {**self.options, **self.quality[quality]}


def _steps(option: str, low: int, medium: int, high: int) -> Mapping[Quality, Mapping[str, Scalar]]:
    return {Quality.LOW: {option: low}, Quality.MEDIUM: {option: medium}, Quality.HIGH: {option: high}}


VIDEO_CODECS: Mapping[str, VideoCodec] = {
    codec.name: codec
    for codec in (
        VideoCodec("h264", "H.264", "libx264", {"preset": "medium"}, _steps("crf", 28, 23, 19), 33e6, 0.07),
        VideoCodec("hevc", "H.265", "libx265", {"preset": "fast"}, _steps("crf", 31, 26, 22), 22e6, 0.045),
        VideoCodec(
            "vp9",
            "VP9",
            "libvpx-vp9",
            {"b": 0, "deadline": "good", "cpu-used": 4, "row-mt": 1, "tile-columns": 2},
            _steps("crf", 38, 32, 26),
            25e6,
            0.05,
        ),
        VideoCodec("av1", "AV1", "libsvtav1", {"preset": 8}, _steps("crf", 42, 35, 28), 60e6, 0.04),
        VideoCodec("mpeg4", "MPEG-4", "mpeg4", {}, _steps("q", 7, 4, 2), 90e6, 0.15),
    )
}


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """How to make sound of one codec. `kbits` is the usual rate of one channel; 0 means it is lossless."""

    name: str
    label: str
    encoder: str
    kbits: int
    max_channels: int = 8
    layouts: str | None = None


AUDIO_CODECS: Mapping[str, AudioCodec] = {
    codec.name: codec
    for codec in (
        AudioCodec("aac", "AAC", "aac", 80, max_channels=6),
        # libopus refuses layouts it cannot map, such as 5.1 with side speakers: name those it takes.
        AudioCodec("opus", "Opus", "libopus", 64, layouts="mono|stereo|3.0|quad|5.0|5.1|6.1|7.1"),
        AudioCodec("vorbis", "Vorbis", "libvorbis", 80, layouts="mono|stereo|3.0|quad|5.0|5.1|6.1|7.1"),
        AudioCodec("mp3", "MP3", "libmp3lame", 96, max_channels=2),
        AudioCodec("flac", "FLAC", "flac", 0),
        AudioCodec("pcm_s16le", "PCM", "pcm_s16le", 0),
    )
}

_LABELS = {
    "mpeg2video": "MPEG-2", "mpeg1video": "MPEG-1", "vp8": "VP8", "prores": "ProRes", "theora": "Theora",
    "mjpeg": "Motion JPEG", "flv1": "Sorenson Spark", "wmv3": "Windows Media 9", "vc1": "VC-1",
    "msmpeg4v3": "DivX 3", "ac3": "Dolby Digital", "eac3": "Dolby Digital Plus", "alac": "Apple Lossless",
    "subrip": "SubRip", "mov_text": "MP4 text", "webvtt": "WebVTT", "ass": "ASS",
    "hdmv_pgs_subtitle": "Blu-ray pictures", "dvd_subtitle": "DVD pictures", "dvb_subtitle": "DVB pictures",
}  # fmt: skip


def label_of(codec: str) -> str:
    """A codec's name as people write it."""
    known = VIDEO_CODECS.get(codec) or AUDIO_CODECS.get(codec)
    return known.label if known else _LABELS.get(codec, codec)
