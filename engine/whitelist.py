"""What the media tools may open: protocols, demuxers and decoders, by the names this ffmpeg gives them.

A demuxer or decoder that is not listed cannot be reached by a file, whatever the file claims to be. That is
the first wall against hostile uploads: playlists that read other files never get a demuxer, and codecs with
a history of memory faults never get a decoder. Names a build does not have are harmless.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.types.limits import Limits

VIDEO_DEMUXERS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg")

# Codec (as ffprobe names it) -> decoders that may be used for it.
VIDEO_DECODERS: dict[str, tuple[str, ...]] = {
    "h264": ("h264",),
    "hevc": ("hevc",),
    "av1": ("libdav1d", "av1"),
    "vp9": ("vp9",),
    "vp8": ("vp8",),
    "mpeg4": ("mpeg4",),
    "mpeg2video": ("mpeg2video",),
    "mpeg1video": ("mpeg1video",),
    "h263": ("h263",),
    "flv1": ("flv",),
    "wmv1": ("wmv1",),
    "wmv2": ("wmv2",),
    "wmv3": ("wmv3",),
    "vc1": ("vc1",),
    "msmpeg4v2": ("msmpeg4v2",),
    "msmpeg4v3": ("msmpeg4",),
    "theora": ("theora",),
    "prores": ("prores",),
    "dvvideo": ("dvvideo",),
    "mjpeg": ("mjpeg",),
    "png": ("png",),  # cover art
}

AUDIO_DECODERS: dict[str, tuple[str, ...]] = {
    "aac": ("aac",),
    "aac_latm": ("aac_latm",),
    "mp3": ("mp3float", "mp3"),
    "mp2": ("mp2float", "mp2"),
    "opus": ("opus", "libopus"),
    "vorbis": ("vorbis", "libvorbis"),
    "flac": ("flac",),
    "alac": ("alac",),
    "ac3": ("ac3",),
    "eac3": ("eac3",),
    "dts": ("dca",),
    "truehd": ("truehd",),
    "wmav1": ("wmav1",),
    "wmav2": ("wmav2",),
    "wmapro": ("wmapro",),
    "amr_nb": ("amrnb",),
    "amr_wb": ("amrwb",),
    "adpcm_ms": ("adpcm_ms",),
    "adpcm_ima_wav": ("adpcm_ima_wav",),
    "adpcm_swf": ("adpcm_swf",),
    **{
        name: (name,)
        for name in (
            "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be",
            "pcm_f32le", "pcm_f32be", "pcm_alaw", "pcm_mulaw", "pcm_dvd", "pcm_bluray",
        )
    },
}  # fmt: skip

# Subtitles need no entry to be copied, but a probe opens their decoder and refuses the file without it.
SUBTITLE_DECODERS: dict[str, tuple[str, ...]] = {
    "subrip": ("subrip", "srt"),
    "ass": ("ssa", "ass"),
    "mov_text": ("mov_text",),
    "webvtt": ("webvtt",),
    "text": ("text",),
    "dvd_subtitle": ("dvdsub",),
    "dvb_subtitle": ("dvbsub",),
    "hdmv_pgs_subtitle": ("pgssub",),
    "eia_608": ("cc_dec",),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One set of things that may be opened; `forced` takes the first demuxer whatever is found."""

    demuxers: tuple[str, ...]
    decoders: tuple[str, ...]
    forced: bool = False
    protocols: tuple[str, ...] = ("file",)

    def arguments(self, limits: Limits) -> list[str]:
        """Input options that ffmpeg and ffprobe both take, to be put right before the input."""
        forced = ["-f", self.demuxers[0]] if self.forced else []
        return [
            *forced,
            "-max_alloc", str(limits.max_alloc_bytes),
            "-protocol_whitelist", ",".join(self.protocols),
            "-format_whitelist", ",".join(self.demuxers),
            "-codec_whitelist", ",".join(self.decoders),
            "-max_pixels", str(limits.max_pixels),
            "-max_streams", str(limits.max_streams),
            "-probesize", "20M",
            "-analyzeduration", "20M",
        ]  # fmt: skip


def _names(*tables: dict[str, tuple[str, ...]]) -> Iterable[str]:
    for table in tables:
        for decoders in table.values():
            yield from decoders


# Files from users.
UPLOADS = Reading(
    demuxers=VIDEO_DEMUXERS,
    decoders=tuple(dict.fromkeys(_names(VIDEO_DECODERS, AUDIO_DECODERS, SUBTITLE_DECODERS))),
)

# Files this engine wrote itself: also sound alone, and moving pictures without sound.
RESULTS = Reading(
    demuxers=(*VIDEO_DEMUXERS, "mp3", "aac", "wav", "flac", "gif"),
    decoders=(*UPLOADS.decoders, "gif"),
)

# Lists, written by this engine, of files it wrote.
PARTS = Reading(demuxers=("concat", "matroska", "mov"), decoders=RESULTS.decoders, forced=True)

# Samples without loss, written by this engine.
SAMPLES = Reading(demuxers=("matroska",), decoders=("ffv1", *UPLOADS.decoders), forced=True)

# MPEG-TS files it wrote, with times that go on from one to the next.
ONE_CLOCK = Reading(
    demuxers=("mpegts",), decoders=RESULTS.decoders, forced=True, protocols=("concat", "file")
)

# Files of subtitles, by their kind. One demuxer each, forced: what a text looks like can be made to lie.
WORDS = {
    "srt": Reading(demuxers=("srt",), decoders=("subrip", "srt"), forced=True),
    "vtt": Reading(demuxers=("webvtt",), decoders=("webvtt",), forced=True),
    "ass": Reading(demuxers=("ass",), decoders=("ass", "ssa"), forced=True),
}

# Still pictures, by their kind. One demuxer each, forced: by itself ffmpeg goes by the name of a picture
# file and may take a '%' in it for a row of files.
PICTURES = {
    "jpg": Reading(demuxers=("jpeg_pipe",), decoders=("mjpeg",), forced=True),
    "png": Reading(demuxers=("png_pipe",), decoders=("png",), forced=True),
    "webp": Reading(demuxers=("webp_pipe",), decoders=("webp",), forced=True),
}
