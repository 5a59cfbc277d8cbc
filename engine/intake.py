"""What happens to every upload: is it a video that may be worked on, and what does it hold?

In order, from cheap to dear: what the file plainly is, a probe, sanity of what the probe found, whether the
end is there, one picture, the checksum. The first thing wrong ends it with the code that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from engine.control import Control
from engine.decoding import decode, key_frames, measure
from engine.execute import execute
from engine.failures import RunFailed, explained
from engine.probe import Tail, probe, read_tail
from engine.progress import ProgressReporter
from engine.ranges import INDEXED
from engine.sniff import refusal
from engine.stills import still_output, still_run, still_size
from engine.storage import sha256_of
from engine.truncation import promised_size
from engine.types.limits import Limits
from engine.types.media import AudioStream, MediaInfo, VideoStream
from engine.types.plan import Lane, Plan, StepPlan
from engine.types.recipes import SOURCE
from engine.types.results import Artifact, Progress
from engine.whitelist import UPLOADS, VIDEO_DECODERS
from problems import Problem

ACCEPTED = frozenset({"mp4", "mov", "avi", "webm", "mkv", "flv", "ts", "mpg", "wmv", "3gp", "ogv"})

_THUMBNAIL_WIDTH = 640
_THUMBNAIL_AT = 0.1
_TAIL_SECONDS = 5.0
_SAMPLE_SECONDS = 2.0
# A video of still slides may have few bytes, but not fewer than this: below, its timestamps are made up.
_MIN_BYTES_PER_SECOND = 8.0
_DENSITY_MATTERS_AFTER = 600.0

_END_FOR_DURATION = frozenset({"mkv", "webm"})
# Recordings that may be put together of several: the clock of each goes on, or begins anew.
_ANY_CLOCK = frozenset({"ts", "mpg"})

_Stream = TypeVar("_Stream", VideoStream, AudioStream)

_CUT_OFF = re.compile(r"partial file|ended prematurely", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Intake:
    """An accepted video: what it holds, its checksum, a picture of it, and CPU seconds used."""

    media: MediaInfo
    sha256: str
    thumbnail: Artifact | None
    cpu_seconds: float


def intake(
    source: Path,
    work_dir: Path,
    *,
    limits: Limits,
    on_progress: Callable[[Progress], None],
    control: Control,
    sha256: str = "",
) -> Intake:
    """Inspect an upload; the thumbnail is left in `work_dir`. `sha256` where its checksum is known already.

    Raises Problem with the code that tells the uploader what is wrong (`not_a_video`, `no_video_stream`,
    `input_truncated`, `unsupported_codec`, …), Problem("source_missing"), and Stopped.
    """
    if not source.is_file():
        raise Problem("source_missing")
    plain = refusal(source)
    if plain is not None:
        raise plain
    work_dir.mkdir(parents=True, exist_ok=True)
    return _Inspection(source, work_dir, limits, ProgressReporter(on_progress), control).run(sha256)


class _Inspection:
    """One upload being looked at; adds up the CPU seconds."""

    def __init__(
        self, source: Path, work_dir: Path, limits: Limits, reporter: ProgressReporter, control: Control
    ) -> None:
        self._source = source
        self._work_dir = work_dir
        self._limits = limits
        self._reporter = reporter
        self._control = control
        self._cpu_seconds = 0.0
        self._warnings = ""
        self._ends: Mapping[int, float] = {}

    def run(self, checksum: str) -> Intake:
        media = self._probe()
        if (promised_size(self._source, media.container) or 0) > media.size:
            raise Problem("input_truncated")
        stream = _sane(media, self._limits)
        self._report(0.1)
        if media.duration <= 0:
            media = media.model_copy(update={"duration": self._measured()})
            self._read_tail(media, media.start_time + media.duration)
        else:
            media = self._with_checked_clock(self._with_checked_end(media))
        media = _with_longest(self._with_lengths(media))
        _check_timing(media, stream, self._limits)
        self._report(0.2)
        if not media.broken_clock:
            self._decode_end(media)
        media = self._with_key_frames(media, stream)
        thumbnail = self._thumbnail(media, stream)
        self._report(0.4)
        checksum = checksum or self._checksum(media.size)
        self._report(1.0)
        return Intake(media=media, sha256=checksum, thumbnail=thumbnail, cpu_seconds=self._cpu_seconds)

    def _report(self, fraction: float) -> None:
        self._reporter(Progress(fraction=fraction), urgent=True)

    def _probe(self) -> MediaInfo:
        probed = probe(self._source, reading=UPLOADS, limits=self._limits, control=self._control)
        self._cpu_seconds += probed.cpu_seconds
        if _CUT_OFF.search(probed.warnings):
            raise RunFailed("input_truncated", log=probed.warnings)
        named = explained(probed.warnings, self._limits)
        if named is not None and named.code == "too_many_streams":
            raise RunFailed(named.code, log=probed.warnings, **named.data)
        return probed.media

    def _with_key_frames(self, media: MediaInfo, stream: VideoStream) -> MediaInfo:
        """Where it can be cut without encoding, for containers whose index finds the way back there."""
        if media.container not in INDEXED:
            return media
        moments, cpu_seconds = key_frames(
            self._source, stream.index, limits=self._limits, control=self._control
        )
        self._cpu_seconds += cpu_seconds
        video = tuple(
            other.model_copy(update={"key_frames": moments}) if other.index == stream.index else other
            for other in media.video
        )
        return media.model_copy(update={"video": video})

    def _measured(self, stream: int | None = None) -> float:
        """The duration by reading all packets: recordings from browsers do not tell theirs."""
        found = measure(
            self._source, reading=UPLOADS, limits=self._limits, control=self._control, stream=stream
        )
        self._cpu_seconds += found.cpu_seconds
        return found.seconds

    def _with_checked_clock(self, media: MediaInfo) -> MediaInfo:
        """The description with the time it takes to play, where the times in the file do not tell that."""
        if media.container not in _ANY_CLOCK:
            return media
        seconds = self._measured()
        if abs(seconds - media.duration) <= _slack(media.duration):
            return media
        untold = {"duration": None}
        return media.model_copy(
            update={
                "duration": seconds,
                "broken_clock": True,
                "video": tuple(stream.model_copy(update=untold) for stream in media.video),
                "audio": tuple(track.model_copy(update=untold) for track in media.audio),
            }
        )

    def _with_lengths(self, media: MediaInfo) -> MediaInfo:
        """The description with the length of each stream, for files that tell that of the whole only."""
        return media.model_copy(
            update={
                "video": tuple(
                    stream if stream.attached_picture else self._with_length(media, stream)
                    for stream in media.video
                ),
                "audio": tuple(self._with_length(media, track) for track in media.audio),
            }
        )

    def _with_length(self, media: MediaInfo, stream: _Stream) -> _Stream:
        if stream.duration is not None:
            return stream
        alone = len(media.audio) + sum(not other.attached_picture for other in media.video) == 1
        end = self._ends.get(stream.index)
        if alone:
            until = media.duration
        elif end is not None and not media.broken_clock:
            until = end - media.start_time
        else:
            until = self._measured(stream.index)
        length = round(until - stream.start_time, 6)
        return stream.model_copy(update={"duration": length}) if length > 0 else stream

    def _with_checked_end(self, media: MediaInfo) -> MediaInfo:
        """The description, once the end that the file claims has been compared with its last packet.

        Some recorders write into a Matroska file that begins late when it ends, instead of how long it is.
        """
        if self._reaches(media, media.start_time + media.duration):
            return media
        late = media.container in _END_FOR_DURATION and 0 < media.start_time < media.duration
        if late and self._reaches(media, media.duration):
            return _counted_from_its_start(media)
        raise RunFailed("input_truncated", log=self._warnings)

    def _reaches(self, media: MediaInfo, claimed: float) -> bool:
        """Whether the last packet ends about where the file claims to, in its own time."""
        tail = self._read_tail(media, claimed)
        if tail.encrypted:
            raise RunFailed("input_encrypted")
        missing = media.duration if tail.end is None else claimed - tail.end
        return missing <= _slack(media.duration) and not _CUT_OFF.search(tail.warnings)

    def _read_tail(self, media: MediaInfo, claimed: float) -> Tail:
        after = max(media.start_time, claimed - _TAIL_SECONDS)
        tail = read_tail(self._source, after, reading=UPLOADS, limits=self._limits, control=self._control)
        self._cpu_seconds += tail.cpu_seconds
        self._warnings = tail.warnings
        self._ends = tail.ends
        return tail

    def _decode_end(self, media: MediaInfo) -> None:
        """Decode the last seconds: an unfinished download may have its full size and be empty at the end."""
        start = max(0.0, media.duration - _SAMPLE_SECONDS)
        decoded = decode(
            self._source,
            reading=UPLOADS,
            limits=self._limits,
            control=self._control,
            start=start,
            length=_SAMPLE_SECONDS,
        )
        self._cpu_seconds += decoded.cpu_seconds
        if decoded.unfinished:
            raise RunFailed("input_corrupt", log=decoded.log)
        named = explained(decoded.log, self._limits)
        if named is not None and not decoded.frames:
            raise RunFailed(named.code, log=decoded.log, **named.data)
        # A scratch or two is in many old files; more complaints than frames is no end at all.
        if decoded.errors > decoded.frames:
            raise RunFailed("input_truncated", log=decoded.log)

    def _thumbnail(self, media: MediaInfo, stream: VideoStream) -> Artifact:
        """A telling picture from the tenth part, or the very first one where that cannot be had."""
        try:
            return self._still(stream, media.duration * _THUMBNAIL_AT, choose=True)
        except RunFailed as problem:
            if problem.retryable:
                raise
        try:
            return self._still(stream, 0.0, choose=False)
        except RunFailed as problem:
            if problem.data.get("signal") == "SIGKILL":
                raise  # the kernel's doing, not the file's
            if problem.code in ("output_invalid", "encoder_failed", "encoder_crashed"):
                raise RunFailed("input_corrupt", log=problem.log) from problem
            raise

    def _still(self, stream: VideoStream, at: float, *, choose: bool) -> Artifact:
        size = still_size(stream, _THUMBNAIL_WIDTH)
        run = still_run(stream, role="thumbnail", at=at, size=size, container="jpg", choose=choose)
        plan = Plan(
            operation="intake",
            summary="A picture of the video.",
            streams=(),
            outputs=(still_output("thumbnail", size=size, container="jpg"),),
            steps=(StepPlan(position=0, kind="thumbnail", lane=Lane.SHORT, runs=(run,)),),
        )
        result = execute(
            plan,
            0,
            sources={SOURCE: self._source},
            work_dir=self._work_dir,
            limits=self._limits,
            on_progress=lambda _: None,
            control=self._control,
        )
        self._cpu_seconds += result.cpu_seconds
        return result.artifacts[0]

    def _checksum(self, size: int) -> str:
        def on_bytes(done: int) -> None:
            self._reporter(Progress(fraction=0.4 + 0.59 * min(1.0, done / max(size, 1))))

        return sha256_of(self._source, control=self._control, on_bytes=on_bytes)


def _with_longest(media: MediaInfo) -> MediaInfo:
    """AVI tells how long its picture is; sound may go on after it."""
    if media.container != "avi":
        return media
    streams: list[VideoStream | AudioStream] = [*media.video, *media.audio]
    ends = [stream.start_time + stream.duration for stream in streams if stream.duration is not None]
    return media.model_copy(update={"duration": max([media.duration, *ends])})


def _slack(duration: float) -> float:
    """How far a duration may be from the truth: some are guessed."""
    return max(1.0, 0.02 * duration)


def _counted_from_its_start(media: MediaInfo) -> MediaInfo:
    """The description of a file that tells when it and its streams end, with how long they are."""

    def length(start: float, end: float | None) -> float | None:
        return None if end is None else max(0.0, round(end - media.start_time - start, 6))

    return media.model_copy(
        update={
            "duration": round(media.duration - media.start_time, 3),
            "video": tuple(
                stream.model_copy(update={"duration": length(stream.start_time, stream.duration)})
                for stream in media.video
            ),
            "audio": tuple(
                track.model_copy(update={"duration": length(track.start_time, track.duration)})
                for track in media.audio
            ),
        }
    )


def _sane(media: MediaInfo, limits: Limits) -> VideoStream:
    """The picture of a file whose shape is acceptable."""
    stream = media.main_video
    if stream is None:
        raise Problem("no_video_stream")
    if media.container not in ACCEPTED:
        raise Problem("unsupported_format", format=media.container)
    count = len(media.video) + len(media.audio) + len(media.subtitles) + len(media.others)
    if count > limits.max_streams:
        raise Problem("too_many_streams", count=count, limit=limits.max_streams)
    if stream.codec not in VIDEO_DECODERS:
        raise Problem("unsupported_codec", kind="video", codec=stream.codec)
    if stream.width <= 0 or stream.height <= 0:
        raise Problem("input_corrupt")
    for width, height in ((stream.width, stream.height), (stream.display_width, stream.display_height)):
        if width * height > limits.max_pixels:
            raise Problem("too_large_dimensions", width=width, height=height, limit=limits.max_pixels)
    return stream


def _check_timing(media: MediaInfo, stream: VideoStream, limits: Limits) -> None:
    """Refuse times that would make any work on the file endless."""
    if media.duration <= 0:
        raise Problem("implausible_timing", reason="it has no duration.")
    if media.duration > limits.max_duration:
        raise Problem("too_long", duration=round(media.duration), limit=round(limits.max_duration))
    if stream.frame_rate is not None and stream.frame_rate > limits.max_frame_rate:
        reason = f"it claims {stream.frame_rate:g} frames a second; the limit is {limits.max_frame_rate:g}."
        raise Problem("implausible_timing", reason=reason)
    too_thin = media.size / media.duration < _MIN_BYTES_PER_SECOND
    if too_thin and media.duration > _DENSITY_MATTERS_AFTER:
        reason = f"it claims to last {media.duration:.0f} s in {media.size} bytes."
        raise Problem("implausible_timing", reason=reason)
