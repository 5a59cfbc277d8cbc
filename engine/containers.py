"""Rules of containers: what each may carry, what is put in by default, and how its file is called.

`copies` holds the codecs that may go in untouched and still play where such files usually play; a container
that could hold a codec on paper but finds no player for it does not list it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.types.value import Scalar


@dataclass(frozen=True, slots=True)
class Container:
    """One kind of file the engine writes. `tags` are codec tags that players insist on.

    `video` and `audio` are what is encoded by default, `..._encodes` what may be chosen instead.
    """

    name: str
    label: str
    content_type: str
    muxer: str
    video: str | None = None
    audio: str | None = None
    video_encodes: tuple[str, ...] = ()
    audio_encodes: tuple[str, ...] = ()
    copies_video: frozenset[str] = frozenset()
    copies_audio: frozenset[str] = frozenset()
    text_subtitles: str | None = None
    copies_subtitles: frozenset[str] = frozenset()
    muxer_options: Mapping[str, Scalar] = field(default_factory=dict)
    many_audio: bool = True
    chapters: bool = False
    keeps_rotation: bool = False
    edit_lists: bool = False
    late_sound: bool = True  # whether it can say that sound begins after the picture
    constant_frame_rate: bool = False
    any_times: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    probed_as: str | None = None

    @property
    def extension(self) -> str:
        return self.name

    @property
    def recognised_as(self) -> str:
        """What a probe calls it."""
        return self.probed_as or self.name


_FASTSTART: Mapping[str, Scalar] = {"movflags": "+faststart"}

VIDEO_CONTAINERS: Mapping[str, Container] = {
    container.name: container
    for container in (
        Container(
            "mp4", "MP4", "video/mp4", "mp4",
            video="h264", audio="aac", video_encodes=("h264", "hevc", "av1", "vp9"),
            audio_encodes=("aac", "mp3", "opus"),
            copies_video=frozenset({"h264", "hevc", "av1", "vp9"}),
            copies_audio=frozenset({"aac", "mp3", "opus"}),
            text_subtitles="mov_text", copies_subtitles=frozenset({"mov_text"}),
            muxer_options=_FASTSTART, chapters=True, keeps_rotation=True, edit_lists=True,
            tags={"hevc": "hvc1"}, any_times=True,
        ),
        Container(
            "mov", "QuickTime", "video/quicktime", "mov",
            video="h264", audio="aac", video_encodes=("h264", "hevc", "prores", "mpeg4"),
            audio_encodes=("aac", "mp3", "pcm_s16le"),
            copies_video=frozenset({"h264", "hevc", "mpeg4", "prores", "mjpeg"}),
            copies_audio=frozenset(
                {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_s24be"}
            ),
            text_subtitles="mov_text", copies_subtitles=frozenset({"mov_text"}),
            muxer_options=_FASTSTART, chapters=True, keeps_rotation=True, edit_lists=True,
            tags={"hevc": "hvc1"}, any_times=True,
        ),
        Container(
            "mkv", "Matroska", "video/x-matroska", "matroska",
            video="h264", audio="aac", video_encodes=("h264", "hevc", "av1", "vp9", "prores", "mpeg4"),
            audio_encodes=("aac", "opus", "mp3", "vorbis", "flac", "pcm_s16le"),
            copies_video=frozenset(
                {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "prores", "mjpeg"}
            ),
            copies_audio=frozenset(
                {
                    "aac", "mp3", "mp2", "ac3", "eac3", "dts", "truehd", "opus", "vorbis", "flac", "alac",
                    "pcm_s16le", "pcm_s24le",
                }
            ),
            text_subtitles="subrip",
            copies_subtitles=frozenset(
                {"subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
            ),
            chapters=True, keeps_rotation=True, any_times=True,
        ),
        Container(
            "webm", "WebM", "video/webm", "webm",
            video="vp9", audio="opus", video_encodes=("vp9", "av1"), audio_encodes=("opus", "vorbis"),
            copies_video=frozenset({"vp8", "vp9", "av1"}), copies_audio=frozenset({"opus", "vorbis"}),
            text_subtitles="webvtt", copies_subtitles=frozenset({"webvtt"}), chapters=True, any_times=True,
        ),
        Container(
            "avi", "AVI", "video/x-msvideo", "avi",
            video="mpeg4", audio="mp3", video_encodes=("mpeg4",), audio_encodes=("mp3", "pcm_s16le"),
            copies_video=frozenset({"mpeg4", "mjpeg", "msmpeg4v2", "msmpeg4v3"}),
            copies_audio=frozenset({"mp3", "mp2", "ac3", "pcm_s16le"}),
            constant_frame_rate=True, late_sound=False, tags={"mpeg4": "XVID"},
        ),
        Container(
            "flv", "Flash video", "video/x-flv", "flv",
            video="h264", audio="aac", video_encodes=("h264",), audio_encodes=("aac",),
            copies_video=frozenset({"h264", "flv1"}), copies_audio=frozenset({"aac"}),
            many_audio=False,
        ),
    )
}  # fmt: skip

# One track each, in segments that begin with a key frame and can be played by themselves. Without edit lists,
# which some players do not follow; sound needs one, to hide what its encoder puts before the first sample.
STREAMED_PICTURE = Container(
    "mp4", "HLS", "video/mp4", "mp4",
    video="h264", video_encodes=("h264", "av1"),
    muxer_options={"movflags": "+cmaf+frag_keyframe+dash+skip_trailer"},
)  # fmt: skip
STREAMED_SOUND = Container(
    "m4a", "HLS", "audio/mp4", "mp4",
    audio="aac", copies_audio=frozenset({"aac"}),
    muxer_options={"movflags": "+delay_moov+dash+skip_trailer"},
)  # fmt: skip

AUDIO_CONTAINERS: Mapping[str, Container] = {
    container.name: container
    for container in (
        Container("aac", "AAC", "audio/aac", "adts", audio="aac", copies_audio=frozenset({"aac"})),
        Container(
            "m4a", "M4A", "audio/mp4", "ipod",
            audio="aac", copies_audio=frozenset({"aac", "alac"}), muxer_options=_FASTSTART, edit_lists=True,
        ),
        Container("mp3", "MP3", "audio/mpeg", "mp3", audio="mp3", copies_audio=frozenset({"mp3"})),
        Container(
            "wav", "WAV", "audio/wav", "wav",
            audio="pcm_s16le", copies_audio=frozenset({"pcm_s16le", "pcm_s24le"}),
            muxer_options={"rf64": "auto"},
        ),
        Container(
            "ogg", "Ogg", "audio/ogg", "ogg", audio="vorbis", copies_audio=frozenset({"vorbis", "opus"}),
        ),
        Container(
            "opus", "Opus", "audio/ogg", "opus",
            audio="opus", copies_audio=frozenset({"opus"}), probed_as="ogg",
        ),
        Container("flac", "FLAC", "audio/flac", "flac", audio="flac", copies_audio=frozenset({"flac"})),
    )
}  # fmt: skip

ANIMATION_CONTAINERS: Mapping[str, Container] = {
    "gif": Container("gif", "GIF", "image/gif", "gif", video="gif"),
    "webp": Container("webp", "WebP", "image/webp", "webp", video="webp"),
}

WORDS_CONTAINERS: Mapping[str, Container] = {
    container.name: container
    for container in (
        Container(
            "srt", "SubRip", "application/x-subrip", "srt",
            text_subtitles="subrip", copies_subtitles=frozenset({"subrip"}),
        ),
        Container(
            "vtt", "WebVTT", "text/vtt", "webvtt",
            text_subtitles="webvtt", copies_subtitles=frozenset({"webvtt"}),
        ),
        Container(
            "ass", "SubStation Alpha", "text/x-ssa", "ass",
            text_subtitles="ass", copies_subtitles=frozenset({"ass"}),
        ),
    )
}  # fmt: skip

PICTURE_CONTAINERS: Mapping[str, Container] = {
    container.name: container
    for container in (
        Container("jpg", "JPEG", "image/jpeg", "image2", video="mjpeg"),
        Container("png", "PNG", "image/png", "image2", video="png"),
        Container("webp", "WebP", "image/webp", "image2", video="webp"),
    )
}
