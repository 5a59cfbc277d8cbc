"""Rules of codecs: which encoder makes them, how well at which quality, how fast, how large.

`quality` is one word for all codecs: low, medium or high. Each encoder maps it to its own scale so that the
words mean about the same to the eye; medium is what most people cannot tell from the source at a glance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from engine.types.value import Scalar


class Quality(StrEnum):
    """How faithful an encoded picture is, against its size."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Preset(StrEnum):
    """How much time an encoder takes to make the same quality smaller."""

    FASTEST = "fastest"
    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"
    SLOWEST = "slowest"


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """How to make pictures of one codec.

    `quality` are numbers of the option `scale` for low, medium and high; `crf` are its bounds where people
    may choose the number themselves. `presets` has options for each speed; without, there is only one.
    `pixel_format` is what it takes; `deep`, where it can carry more than 8 bits and so high dynamic range,
    what it takes for that. No side may be shorter than `least_side`. `speed` is pixels per CPU second,
    `bits_per_pixel` the usual size at medium quality: both rough, both only for the estimates shown before
    a start.
    """

    name: str
    label: str
    encoder: str
    scale: str
    quality: tuple[int, int, int]
    speed: float
    bits_per_pixel: float
    options: Mapping[str, Scalar] = field(default_factory=dict)
    presets: Mapping[Preset, Mapping[str, Scalar]] = field(default_factory=dict)
    crf: tuple[int, int] | None = None
    pixel_format: str = "yuv420p"
    deep: str | None = None
    least_side: int = 2

    def quality_number(self, quality: Quality) -> int:
        """The number of the encoder's own scale that this word means."""
        return self.quality[list(Quality).index(quality)]

    def options_at(self, number: int, preset: Preset = Preset.MEDIUM) -> dict[str, Scalar]:
        """What the encoder is told, for a number of its scale."""
        return {**self.options, **self.presets.get(preset, {}), self.scale: number}

    def pixels_for(self, *, deep: bool) -> str:
        """The pixel format for a source with or without more than 8 bits."""
        return self.deep or self.pixel_format if deep else self.pixel_format


def _presets(option: str, *values: Scalar) -> Mapping[Preset, Mapping[str, Scalar]]:
    return {preset: {option: value} for preset, value in zip(Preset, values, strict=True)}


# How much longer or shorter than medium each preset takes, for the estimates.
PRESET_SPEEDS: Mapping[Preset, float] = {
    Preset.FASTEST: 3.0, Preset.FAST: 1.8, Preset.MEDIUM: 1.0, Preset.SLOW: 0.5, Preset.SLOWEST: 0.2
}  # fmt: skip


VIDEO_CODECS: Mapping[str, VideoCodec] = {
    codec.name: codec
    for codec in (
        VideoCodec(
            "h264", "H.264", "libx264", "crf", (28, 23, 19), 33e6, 0.07,
            presets=_presets("preset", "superfast", "veryfast", "medium", "slow", "veryslow"), crf=(0, 51),
        ),
        VideoCodec(
            "hevc", "H.265", "libx265", "crf", (31, 26, 22), 22e6, 0.045,
            presets=_presets("preset", "ultrafast", "superfast", "fast", "medium", "slow"), crf=(0, 51),
            deep="yuv420p10le", least_side=16,
        ),
        VideoCodec(
            "vp9", "VP9", "libvpx-vp9", "crf", (36, 30, 24), 25e6, 0.05,
            options={"b": 0, "deadline": "good", "row-mt": 1, "tile-columns": 2},
            presets=_presets("cpu-used", 6, 5, 4, 2, 1), crf=(0, 63), deep="yuv420p10le",
        ),
        VideoCodec(
            "av1", "AV1", "libsvtav1", "crf", (42, 35, 28), 60e6, 0.04,
            presets=_presets("preset", 12, 10, 8, 6, 4), crf=(1, 63), deep="yuv420p10le",
        ),
        VideoCodec("mpeg4", "MPEG-4", "mpeg4", "q", (7, 4, 2), 90e6, 0.15),
        # For editing: every frame stands on its own, always in 10 bits with full-height colours.
        VideoCodec(
            "prores", "ProRes", "prores_ks", "profile", (1, 2, 3), 60e6, 2.2,
            options={"vendor": "apl0"}, pixel_format="yuv422p10le", deep="yuv422p10le",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """How to make sound of one codec. `kbits` is the usual rate of one channel; 0 means it is lossless.

    `bounds` are the rates the encoder takes for each channel, `most` for all of them; `rates` are sample
    rates it works well at, and empty where it takes any.
    """

    name: str
    label: str
    encoder: str
    kbits: int
    max_channels: int = 8
    layouts: str | None = None
    bounds: tuple[int, int] = (8, 512)
    most: int = 4096
    rates: tuple[int, ...] = ()

    def allowed_kbits(self, wished: int, channels: int) -> int:
        """The nearest rate to the one wished that the encoder takes for so many channels."""
        low, high = self.bounds
        return max(low * channels, min(wished, high * channels, self.most))


_MP3_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

AUDIO_CODECS: Mapping[str, AudioCodec] = {
    codec.name: codec
    for codec in (
        AudioCodec("aac", "AAC", "aac", 80, max_channels=6),
        # libopus refuses layouts it cannot map, such as 5.1 with side speakers: name those it takes.
        AudioCodec(
            "opus", "Opus", "libopus", 64, layouts="mono|stereo|3.0|quad|5.0|5.1|6.1|7.1", bounds=(6, 256)
        ),
        AudioCodec(
            "vorbis", "Vorbis", "libvorbis", 80, layouts="mono|stereo|3.0|quad|5.0|5.1|6.1|7.1",
            bounds=(32, 220), rates=(44_100, 48_000),
        ),
        AudioCodec("mp3", "MP3", "libmp3lame", 96, max_channels=2, most=320, rates=_MP3_RATES),
        AudioCodec("flac", "FLAC", "flac", 0),
        AudioCodec("pcm_s16le", "PCM", "pcm_s16le", 0),
    )
}  # fmt: skip

_LABELS = {
    "mpeg2video": "MPEG-2", "mpeg1video": "MPEG-1", "vp8": "VP8", "theora": "Theora",
    "mjpeg": "Motion JPEG", "flv1": "Sorenson Spark", "wmv3": "Windows Media 9", "vc1": "VC-1",
    "msmpeg4v3": "DivX 3", "ac3": "Dolby Digital", "eac3": "Dolby Digital Plus", "alac": "Apple Lossless",
    "subrip": "SubRip", "mov_text": "MP4 text", "webvtt": "WebVTT", "ass": "ASS",
    "hdmv_pgs_subtitle": "Blu-ray pictures", "dvd_subtitle": "DVD pictures", "dvb_subtitle": "DVB pictures",
}  # fmt: skip


def label_of(codec: str) -> str:
    """A codec's name as people write it."""
    known = VIDEO_CODECS.get(codec) or AUDIO_CODECS.get(codec)
    return known.label if known else _LABELS.get(codec, codec)
