"""Random videos: what files from cameras, phones, recorders and editors do, in a second or two.

Each has a white flash with a loud tone, half a second after its beginning, so that picture and sound can be
compared. A clip is a value; equal values are made once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.engine.clips import Clips, ffmpeg

FLASH = 0.5
_FLASH_SECONDS = 0.2
_LANGUAGES = ("eng", "deu", "fra")

# Container -> muxer, codecs of the picture, codecs of the sound.
_KINDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "mp4": ("mp4", ("h264", "hevc", "mpeg4", "vp9"), ("aac", "libmp3lame", "ac3")),
    "mov": ("mov", ("h264", "prores", "mjpeg"), ("aac", "pcm_s16le")),
    "mkv": ("matroska", ("h264", "hevc", "vp9", "mpeg2"), ("ac3", "libopus", "flac")),
    "webm": ("webm", ("vp8", "vp9"), ("libopus", "libvorbis")),
    "avi": ("avi", ("mpeg4", "mjpeg"), ("libmp3lame", "pcm_s16le")),
    "ts": ("mpegts", ("h264", "mpeg2", "hevc"), ("aac", "mp2")),
    "mpg": ("mpeg", ("mpeg2",), ("mp2",)),
    "flv": ("flv", ("h264", "flv"), ("aac", "libmp3lame")),
    "wmv": ("asf", ("wmv2",), ("wmav2",)),
    "3gp": ("3gp", ("mpeg4", "h264"), ("aac",)),
    "ogv": ("ogg", ("theora",), ("libvorbis",)),
}
_ENCODERS: dict[str, tuple[str, ...]] = {
    "h264": ("libx264", "-preset", "ultrafast"),
    "hevc": ("libx265", "-preset", "ultrafast"),
    "mpeg4": ("mpeg4", "-q:v", "4"),
    "mpeg2": ("mpeg2video", "-q:v", "4"),
    "vp8": ("libvpx", "-deadline", "realtime", "-cpu-used", "8"),
    "vp9": ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "prores": ("prores_ks", "-profile:v", "0"),
    "mjpeg": ("mjpeg", "-q:v", "4"),
    "flv": ("flv", "-q:v", "4"),
    "wmv2": ("wmv2", "-q:v", "4"),
    "theora": ("libtheora", "-q:v", "6"),
}
_ODD = frozenset({"mpeg4", "vp8", "vp9", "theora", "mpeg2"})
_REORDERED = frozenset({"h264", "hevc", "mpeg4", "mpeg2"})
_ANY_TIMES = frozenset({"mp4", "mov", "mkv", "webm", "ts", "flv"})
_SEVERAL_TRACKS = frozenset({"mp4", "mov", "mkv", "webm", "ts", "avi"})
_TURNED = frozenset({"mp4", "mov"})


@dataclass(frozen=True)
class RandomClip:
    """One file. Times in seconds; `delay` is how much later than the picture the sound begins."""

    container: str = "mp4"
    codec: str = "h264"
    sound: str = "aac"
    tracks: int = 1
    size: tuple[int, int] = (160, 90)
    rate: str = "25"
    seconds: float = 1.2
    b_frames: int = 0
    gop: int = 12
    open_gop: bool = False
    uneven: bool = False
    ten_bit: bool = False
    interlaced: bool = False
    rotation: int = 0
    delay: float = 0.0
    sound_seconds: float = 1.2
    cut: float = 0.0
    offset: float = 0.0
    negative: bool = False

    @cached_property
    def name(self) -> str:
        return "random-" + hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    @property
    def shown(self) -> float:
        """About how long the picture is."""
        return self.seconds - self.cut

    def make(self, clips: Clips) -> Path:
        path = clips.path(self.name)
        if path.exists():
            return path
        if not (self.rotation or self.cut):
            return clips.made(self.name, *self._inputs(), *self._encoded(), *self._muxed())
        whole = clips.made(f"{self.name}-whole", *self._inputs(), *self._encoded(), "-f", self._muxer)
        turn = ["-display_rotation:v:0", str(-self.rotation)] if self.rotation else []
        cut = ["-ss", str(self.cut)] if self.cut else []
        ffmpeg(*turn, *cut, "-i", whole, "-map", "0", "-c", "copy", *self._muxed(), path)
        return path

    @property
    def _muxer(self) -> str:
        return _KINDS[self.container][0]

    def _inputs(self) -> list[str]:
        width, height = self.size
        inputs = ["-f", "lavfi", "-i", f"testsrc2=s={width}x{height}:r={self.rate}:d={self.seconds}"]
        # Sound that begins late still has its loud part where the flash is.
        begin = FLASH - self.delay
        loud = f"if(between(t,{begin},{begin + _FLASH_SECONDS}),0.7,0.02)"
        for number in range(self.tracks):
            inputs += ["-itsoffset", str(self.delay)] if self.delay else []
            tone = f"aevalsrc='{loud}*sin({2764 + 600 * number}*t)':s=48000:c=mono:d={self.sound_seconds}"
            inputs += ["-f", "lavfi", "-i", tone]
        return inputs

    def _encoded(self) -> list[str]:
        flash = f"drawbox=color=white:t=fill:enable='between(t,{FLASH},{FLASH + _FLASH_SECONDS})'"
        chain = [flash]
        if self.uneven:
            chain += ["select='not(eq(mod(n,7),3))'", "settb=1/1000", "setpts='PTS+6*mod(N*7,3)'"]
        if self.interlaced:
            chain.append("setfield=tff")
        maps = [word for number in range(self.tracks + 1) for word in ("-map", f"{number}:0")]
        words = [*maps, "-vf", ",".join(chain), "-c:v", *_ENCODERS[self.codec], "-g", str(self.gop)]
        even = (
            ["-fps_mode", "passthrough", "-enc_time_base", "1/1000"] if self.uneven else ["-fps_mode", "cfr"]
        )
        words += [*even, "-pix_fmt", self._pixels]
        words += self._order()
        for number in range(self.tracks):
            words += [f"-metadata:s:a:{number}", f"language={_LANGUAGES[number]}"]
        return [*words, "-c:a", self.sound, "-b:a", "96k", *(["-ar", "44100"] if self.codec == "flv" else [])]

    @property
    def _pixels(self) -> str:
        if self.codec == "prores":
            return "yuv422p10le"
        if self.codec == "mjpeg":
            return "yuvj420p"
        return "yuv420p10le" if self.ten_bit else "yuv420p"

    def _order(self) -> list[str]:
        if self.codec == "hevc":
            gop = f"bframes={self.b_frames}:open-gop={int(self.open_gop)}:keyint={self.gop}"
            return ["-x265-params", f"log-level=error:{gop}"]
        words = ["-bf", str(self.b_frames)] if self.codec in _REORDERED else []
        if self.codec == "h264":
            more = ":tff=1" if self.interlaced else ""
            words += ["-x264-params", f"open-gop={int(self.open_gop)}:scenecut=0{more}"]
        elif self.interlaced:
            words += ["-flags", "+ildct+ilme"]
        return words

    def _muxed(self) -> list[str]:
        words = ["-output_ts_offset", str(self.offset)] if self.offset else []
        if self.negative:
            words += ["-movflags", "+negative_cts_offsets"] if self.container in _TURNED else []
            words += ["-avoid_negative_ts", "disabled"]
        return [*words, "-f", self._muxer]


@st.composite
def random_clips(draw: st.DrawFn) -> RandomClip:
    """Any clip that ffmpeg can make."""

    def sometimes(value: Any, other: Any, *, when: bool = True) -> Any:
        """The unusual one in a third of the clips where it is possible."""
        return other if when and draw(st.integers(0, 2)) == 2 else value

    container = draw(st.sampled_from(list(_KINDS)))
    _, codecs, sounds = _KINDS[container]
    codec = draw(st.sampled_from(codecs))
    seconds = draw(st.sampled_from([1.2, 0.9, 1.6, 2.0]))
    delay = draw(st.sampled_from([0.0, 0.0, 0.0, 0.15, 0.4]))
    many = 3 if container in _SEVERAL_TRACKS else 1
    interlaced = sometimes(False, True, when=codec in ("h264", "mpeg2"))
    turned = container in _TURNED and codec in ("h264", "hevc")
    even = (160, 96) if interlaced else draw(st.sampled_from([(160, 90), (96, 128), (128, 128)]))
    return RandomClip(
        container=container,
        codec=codec,
        sound=draw(st.sampled_from(sounds)),
        tracks=draw(st.sampled_from([1, 1, 0, many])),
        size=sometimes(even, (121, 75), when=codec in _ODD and not interlaced),
        rate="25" if codec in ("flv", "wmv2") else draw(st.sampled_from(["25", "30000/1001", "50", "24"])),
        seconds=seconds,
        b_frames=draw(st.integers(0, 3)) if codec in _REORDERED else 0,
        gop=draw(st.sampled_from([12, 5, 50])),
        open_gop=sometimes(False, True, when=codec in ("h264", "hevc")),
        uneven=sometimes(False, True, when=container in _ANY_TIMES and codec != "mpeg2" and not interlaced),
        ten_bit=sometimes(False, True, when=codec in ("h264", "hevc") and container not in ("flv", "3gp")),
        interlaced=interlaced,
        rotation=draw(st.sampled_from([0, 90, 180, 270])) if turned else 0,
        delay=delay,
        sound_seconds=draw(st.sampled_from([seconds, seconds, seconds + 0.7, 0.8])),
        cut=sometimes(0.0, 0.28, when=container in _TURNED and codec in ("h264", "hevc", "mpeg4")),
        offset=draw(st.sampled_from([0.0, 0.0, 5.0])) if container in ("ts", "mkv", "mp4") else 0.0,
        negative=sometimes(False, True, when=container in ("mp4", "mov", "mkv")),
    )
