"""What a file holds, as a probe found it."""

from __future__ import annotations

from pydantic import Field, computed_field

from engine.types.value import Value

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})
_SETTINGS = "A name for what the header tells decoders; equal where they are told the same."
TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"})


class VideoStream(Value):
    """One picture stream. `width` and `height` are coded pixels; the display size honours the rest."""

    index: int
    codec: str
    profile: str | None = None
    width: int
    height: int
    sample_aspect: tuple[int, int] = (1, 1)
    rotation: int = Field(default=0, description="Degrees clockwise to turn the picture for display.")
    pixel_format: str | None = None
    bit_depth: int = 8
    reordered: bool = Field(default=False, description="Has B-frames: stored in another order than shown.")
    delay: int = Field(default=0, description="How many frames are decoded before the first is shown.")
    preroll: bool = Field(default=False, description="Begins with frames that an edit list hides.")
    frame_rate: float | None = None
    frames: int | None = None
    key_frames: tuple[float, ...] | None = Field(
        default=None, description="Seconds at which it can be cut without encoding; None when not known."
    )
    start_time: float = Field(default=0.0, description="Seconds after the file's own start.")
    duration: float | None = None
    bit_rate: int | None = None
    uneven: bool = Field(default=False, description="Frames are not all shown for the same time.")
    interlaced: bool = False
    color_range: str | None = None
    color_space: str | None = None
    color_primaries: str | None = None
    color_transfer: str | None = None
    attached_picture: bool = False
    default: bool = False
    language: str | None = None
    title: str | None = None
    settings: str | None = Field(default=None, description=_SETTINGS)

    def _display_size(self) -> tuple[int, int]:
        across, down = self.sample_aspect
        width = max(1, round(self.width * across / down)) if self.width else 0
        if self.rotation in (90, 270):
            return self.height, width
        return width, self.height

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know computed_field over property
    @property
    def display_width(self) -> int:
        """Width in square pixels as a viewer sees it, after rotation."""
        return self._display_size()[0]

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know computed_field over property
    @property
    def display_height(self) -> int:
        """Height in square pixels as a viewer sees it, after rotation."""
        return self._display_size()[1]

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know computed_field over property
    @property
    def hdr(self) -> bool:
        """Whether the picture is coded with a high dynamic range transfer (PQ or HLG)."""
        return self.color_transfer in HDR_TRANSFERS


class AudioStream(Value):
    """One sound track."""

    index: int
    codec: str
    profile: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    channel_layout: str | None = None
    start_time: float = Field(default=0.0, description="Seconds after the file's own start.")
    duration: float | None = None
    bit_rate: int | None = None
    default: bool = False
    language: str | None = None
    title: str | None = None
    settings: str | None = Field(default=None, description=_SETTINGS)


class SubtitleStream(Value):
    """One subtitle track, as text or as pictures."""

    index: int
    codec: str
    default: bool = False
    forced: bool = False
    language: str | None = None
    title: str | None = None

    @property
    def is_text(self) -> bool:
        return self.codec in TEXT_SUBTITLES


class OtherStream(Value):
    """A stream that is neither picture, sound nor subtitle: timecode, telemetry, attached fonts."""

    index: int
    kind: str
    codec: str | None = None


class Chapter(Value):
    """A named part of the timeline, in seconds."""

    start: float
    end: float
    title: str | None = None


class MediaInfo(Value):
    """What a probe found in a file. Times are seconds, sizes bytes, rates bits per second.

    `container` is one name per kind of file: mp4, mov, avi, webm, mkv, flv, ts, mpg, wmv, 3gp or ogv for
    videos; m4a, aac, mp3, wav, ogg or flac for sound; jpg, png or webp for pictures;
    gif for moving pictures; srt, vtt or ass for subtitles.
    """

    container: str
    format_names: tuple[str, ...]
    duration: float
    size: int
    bit_rate: int | None = None
    start_time: float = 0.0
    title: str | None = None
    video: tuple[VideoStream, ...] = ()
    audio: tuple[AudioStream, ...] = ()
    subtitles: tuple[SubtitleStream, ...] = ()
    others: tuple[OtherStream, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    broken_clock: bool = Field(
        default=False, description="Its times begin anew somewhere, so nothing in it is found by its time."
    )

    @property
    def main_video(self) -> VideoStream | None:
        """The picture people mean: not cover art, the default one first, then the one with most pixels."""
        moving = [stream for stream in self.video if not stream.attached_picture]
        if not moving:
            return None
        return max(moving, key=lambda stream: (stream.default, stream.width * stream.height, -stream.index))

    @property
    def main_audio(self) -> AudioStream | None:
        """The default sound track, or the first."""
        return next((stream for stream in self.audio if stream.default), next(iter(self.audio), None))
