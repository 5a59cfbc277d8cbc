"""How a file of a given size is divided: what sound may take, what is left for the picture, its size.

Pure figures, all rough: the procedure `target_size` measures what came out and corrects.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.codecs import AudioCodec, VideoCodec
from engine.pictures import Geometry, even
from engine.types.media import AudioStream, MediaInfo, VideoStream

_AIM = 0.975  # of the size; encoders miss by a few percent
_HEADER_BYTES = 3_000
_FRAME_BYTES = 14
_PACKETS_BYTES = 300  # of one sound track, for each second

# Kilobits for each channel, and the most channels: from what sounds like the source to what is understood.
_SOUND_STEPS = ((80, 8), (64, 2), (48, 2), (32, 2), (24, 1), (16, 1))
_SOUND_SHARE = 0.15
_MOST_SOUND_SHARE = 0.6

_SHORT_SIDES = (2160, 1440, 1080, 900, 720, 540, 480, 360, 270, 180, 144)
_USUAL_RATE = 30.0
# Below this share of the usual bits for a pixel a smaller picture looks better than a coarser one.
_COARSE = 0.6
_UNWATCHABLE = 0.12
_KBIT = 1000


@dataclass(frozen=True, slots=True)
class Sound:
    """What one sound track gets; None copies it."""

    track: AudioStream
    kbits: int | None
    channels: int

    @property
    def bits_per_second(self) -> float:
        return self.kbits * _KBIT if self.kbits is not None else float(self.track.bit_rate or 0)


@dataclass(frozen=True, slots=True)
class Budget:
    """`video_bits` a second for a picture of `geometry`, at most `fps` frames a second (None is as it is).

    `fixed_bytes` are for everything else in the file. `enough` says whether it can be looked at.
    """

    sounds: tuple[Sound, ...]
    video_bits: float
    geometry: Geometry
    fps: float | None
    fixed_bytes: int
    enough: bool


def sounds_for(
    media: MediaInfo, codec: AudioCodec, copies: frozenset[str], bits: float, *, kbits: int | None
) -> tuple[Sound, ...]:
    """Rates for all sound tracks that together take a small share of so many bits a second."""
    tracks = media.audio
    steps = [(kbits, 8)] if kbits is not None else []
    steps = steps or [*_SOUND_STEPS]
    chosen: tuple[Sound, ...] = ()
    for rate, most in steps:
        chosen = tuple(_sound(track, codec, copies, rate, most, whole=kbits is not None) for track in tracks)
        if sum(sound.bits_per_second for sound in chosen) <= _SOUND_SHARE * bits:
            break
    return chosen


def _sound(
    track: AudioStream, codec: AudioCodec, copies: frozenset[str], rate: int, most: int, *, whole: bool
) -> Sound:
    channels = min(track.channels or 2, codec.max_channels, most)
    allowed = codec.allowed_kbits(rate if whole else rate * channels, channels)
    fits = track.codec in copies and (track.channels or 2) <= channels
    if fits and track.bit_rate is not None and track.bit_rate <= allowed * _KBIT * 1.05:
        return Sound(track, None, channels)
    return Sound(track, allowed, channels)


def budget(
    media: MediaInfo,
    stream: VideoStream,
    size: int,
    *,
    video: VideoCodec,
    audio: AudioCodec,
    copies: frozenset[str],
    kbits: int | None,
    shrink: bool,
) -> Budget:
    """Divide `size` bytes. With `shrink` the picture may become smaller to stay clear."""
    seconds = max(media.duration, 0.04)
    rate = stream.frame_rate or _USUAL_RATE
    overhead = _HEADER_BYTES + seconds * (rate * _FRAME_BYTES + _PACKETS_BYTES * len(media.audio))
    bits = (size * _AIM - overhead) * 8 / seconds
    sounds = sounds_for(media, audio, copies, max(bits, 1.0), kbits=kbits)
    sound_bits = sum(sound.bits_per_second for sound in sounds)
    video_bits = bits - sound_bits
    wanted = _COARSE * video.bits_per_pixel
    geometry, fps = _picture(stream, rate, video_bits / wanted, shrink=shrink)
    pixels = geometry.size[0] * geometry.size[1] * min(rate, fps or rate)
    enough = sound_bits <= _MOST_SOUND_SHARE * max(bits, 1.0)
    return Budget(
        sounds=sounds,
        video_bits=max(video_bits, 1.0),
        geometry=geometry,
        fps=fps,
        fixed_bytes=round(overhead + sound_bits * seconds / 8),
        enough=enough and video_bits / pixels >= _UNWATCHABLE * video.bits_per_pixel,
    )


def _picture(
    stream: VideoStream, rate: float, pixels: float, *, shrink: bool
) -> tuple[Geometry, float | None]:
    """The largest picture, and the most frames, for so many pixels a second."""
    across, down = stream.display_width, stream.display_height
    whole = (even(across), even(down))
    if not shrink or whole[0] * whole[1] * rate <= pixels:
        return Geometry(scaled=whole, size=whole), None
    fps = _USUAL_RATE if rate > _USUAL_RATE * 1.2 else None
    rate = fps or rate
    short = min(across, down)
    sizes = [whole] + [
        (even(across * side / short), even(down * side / short)) for side in _SHORT_SIDES if side < short
    ]
    size = next((size for size in sizes if size[0] * size[1] * rate <= pixels), sizes[-1])
    return Geometry(scaled=size, size=size), fps
