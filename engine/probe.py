"""Asks ffprobe what a file holds and turns its answer into a MediaInfo."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine import runner
from engine.binaries import ffprobe_path
from engine.control import Control
from engine.failures import RunFailed, explained, without_paths
from engine.types.limits import Limits
from engine.types.media import AudioStream, Chapter, MediaInfo, OtherStream, SubtitleStream, VideoStream
from engine.whitelist import Reading

_Json = Mapping[str, Any]

# ffprobe's names of demuxers -> ours, where the demuxer alone decides.
_CONTAINERS = {
    "avi": "avi", "mpegts": "ts", "mpeg": "mpg", "flv": "flv", "asf": "wmv", "mp3": "mp3", "aac": "aac",
    "wav": "wav", "flac": "flac", "jpeg_pipe": "jpg", "png_pipe": "png", "webp_pipe": "webp",
    "gif": "gif", "srt": "srt", "webvtt": "vtt", "ass": "ass",
}  # fmt: skip

_ENCRYPTED_TAGS = frozenset({"encv", "enca", "drms", "drmi"})
_TEXT_LIMIT = 200
_EVEN = 1.01  # the average of a whole file is never quite its rate
_HIGHEST_USUAL_RATE = 120.0
_HASH = "murmur3"  # packets that are listed are hashed as well, all of them


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe's answer, with the warnings ffprobe gave while reading and the CPU seconds it took."""

    media: MediaInfo
    warnings: str
    cpu_seconds: float


def probe(path: Path, *, reading: Reading, limits: Limits, control: Control) -> Probed:
    """What `path` holds. Times and rates that ffprobe does not know are None; an unknown duration is 0.

    Raises RunFailed with the code of what is wrong with the file (`not_a_video` when nothing is recognised,
    `unsupported_format`, `unsupported_codec`, `too_large_dimensions`, `input_truncated`, `input_encrypted`,
    …), and Stopped.
    """
    argv = [
        str(ffprobe_path()), "-hide_banner", "-loglevel", "level+error",
        *reading.arguments(limits),
        "-threads", str(limits.threads),
        "-print_format", "json", "-show_format", "-show_streams", "-show_chapters",
        "-show_data_hash", _HASH,
        # A few packets show whether the picture begins with frames that are not to be shown.
        "-read_intervals", "%+#32", "-show_entries", "packet=stream_index,flags",
        "-i", f"file:{path.absolute()}",
    ]  # fmt: skip
    outcome = runner.run(
        argv,
        cwd=path.parent,
        limits=limits,
        control=control,
        seconds=limits.probe_seconds,
        keep_stdout=8 * 1024**2,
    )
    log = without_paths(outcome.log, path.parent)
    if not outcome.succeeded:
        named = explained(outcome.log, limits)
        code = "not_a_video" if outcome.ending is runner.Ending.EXITED else "input_corrupt"
        raise RunFailed(named.code, log=log, **named.data) if named else RunFailed(code, log=log)
    try:
        answer = json.loads(outcome.stdout)
    except ValueError as error:
        raise RunFailed("input_corrupt", log=log) from error
    return Probed(media=_media_info(path, answer), warnings=log, cpu_seconds=outcome.cpu_seconds)


@dataclass(frozen=True, slots=True)
class Tail:
    """The last packets of a file: when those of each stream end in the file's own time, and complaints."""

    ends: Mapping[int, float]
    encrypted: bool
    warnings: str
    cpu_seconds: float

    @property
    def end(self) -> float | None:
        """When the last of all ends; None without any."""
        return max(self.ends.values(), default=None)


def read_tail(path: Path, after: float, *, reading: Reading, limits: Limits, control: Control) -> Tail:
    """Read the packets from `after` seconds on, without decoding them. Raises Stopped."""
    argv = [
        str(ffprobe_path()), "-hide_banner", "-loglevel", "level+error",
        *reading.arguments(limits),
        "-threads", str(limits.threads),
        "-read_intervals", f"{after:.3f}%",
        "-show_entries",
        "packet=stream_index,pts_time,dts_time,duration_time:packet_side_data=side_data_type",
        "-print_format", "compact",
        "-i", f"file:{path.absolute()}",
    ]  # fmt: skip
    outcome = runner.run(
        argv,
        cwd=path.parent,
        limits=limits,
        control=control,
        seconds=limits.probe_seconds,
        keep_stdout=262_144,
    )
    # The first line kept may be cut in two; there are many others.
    lines = outcome.stdout.decode("ascii", "replace").splitlines()
    ends: dict[int, float] = {}
    for line in lines:
        found = _packet_end(line)
        if found is not None:
            stream, end = found
            ends[stream] = max(end, ends.get(stream, end))
    return Tail(
        ends=ends,
        encrypted=b"Encryption info" in outcome.stdout,
        warnings=without_paths(outcome.log, path.parent),
        cpu_seconds=outcome.cpu_seconds,
    )


def _packet_end(line: str) -> tuple[int, float] | None:
    """The stream of a packet, and when it ends."""
    fields = dict(field.partition("=")[::2] for field in line.split("|"))
    stream, start = fields.get("stream_index", ""), _seconds(fields.get("pts_time"))
    if start is None:
        start = _seconds(fields.get("dts_time"))
    if start is None or not stream.isdigit():
        return None
    return int(stream), start + (_seconds(fields.get("duration_time")) or 0.0)


# ---------------------------------------------------------------------- ffprobe's answer -> our values


def _media_info(path: Path, answer: _Json) -> MediaInfo:
    shape: _Json = answer.get("format") or {}
    tags = _tags(shape)
    names = tuple(str(shape.get("format_name", "")).split(","))
    streams: list[_Json] = list(answer.get("streams") or ())
    if any(stream.get("codec_tag_string") in _ENCRYPTED_TAGS for stream in streams):
        raise RunFailed("input_encrypted")
    kinds = [stream.get("codec_type") for stream in streams]
    start = _seconds(shape.get("start_time")) or 0.0
    if {"asf", "avi"} & set(names):
        # Each stream is said to be as long as the file, or some sound as the picture.
        streams = [{key: value for key, value in item.items() if key != "duration"} for item in streams]
    hidden = frozenset(
        int(packet["stream_index"])
        for packet in answer.get("packets") or ()
        if "D" in str(packet.get("flags")) and "stream_index" in packet
    )
    return MediaInfo(
        container=_container(path, names, tags, has_video="video" in kinds),
        format_names=names,
        duration=max(0.0, _seconds(shape.get("duration")) or 0.0),
        size=path.stat().st_size,
        bit_rate=_whole(shape.get("bit_rate")),
        start_time=start,
        title=_text(tags.get("title")),
        video=tuple(
            _video(stream, start, hidden) for stream in streams if stream.get("codec_type") == "video"
        ),
        audio=tuple(_audio(stream, start) for stream in streams if stream.get("codec_type") == "audio"),
        subtitles=tuple(_subtitle(stream) for stream in streams if stream.get("codec_type") == "subtitle"),
        others=tuple(
            OtherStream(
                index=int(stream["index"]),
                kind=str(stream.get("codec_type") or "unknown"),
                codec=stream.get("codec_name"),
            )
            for stream in streams
            if stream.get("codec_type") not in ("video", "audio", "subtitle")
        ),
        chapters=tuple(_chapter(chapter) for chapter in answer.get("chapters") or ()),
    )


def _container(path: Path, names: tuple[str, ...], tags: Mapping[str, str], *, has_video: bool) -> str:
    if "mov" in names:
        brand = tags.get("major_brand", "").strip().lower()
        # Files older than brands are QuickTime.
        if brand in ("qt", ""):
            return "mov"
        if brand.startswith("3g"):
            return "3gp"
        return "mp4" if has_video else "m4a"
    if "matroska" in names:
        return "webm" if _doctype_is_webm(path) else "mkv"
    if "ogg" in names:
        return "ogv" if has_video else "ogg"
    return next((_CONTAINERS[name] for name in names if name in _CONTAINERS), names[0])


def _doctype_is_webm(path: Path) -> bool:
    """Matroska and WebM share a demuxer; the EBML header's DocType (element 4282) tells them apart."""
    with path.open("rb") as file:
        return re.search(rb"\x42\x82.{1,8}?webm", file.read(4096), re.DOTALL) is not None


def _video(stream: _Json, file_start: float, hidden: frozenset[int]) -> VideoStream:
    disposition: _Json = stream.get("disposition") or {}
    tags = _tags(stream)
    pixel_format = stream.get("pix_fmt")
    return VideoStream(
        index=int(stream["index"]),
        codec=str(stream.get("codec_name") or "unknown"),
        profile=stream.get("profile"),
        width=int(stream.get("width") or 0),
        height=int(stream.get("height") or 0),
        sample_aspect=_ratio(stream.get("sample_aspect_ratio")),
        rotation=_rotation(stream),
        pixel_format=pixel_format,
        bit_depth=_bit_depth(stream, pixel_format),
        reordered=bool(stream.get("has_b_frames")),
        delay=_whole(stream.get("has_b_frames")) or 0,
        preroll=int(stream["index"]) in hidden,
        frame_rate=_frame_rate(stream),
        frames=_whole(stream.get("nb_frames")),
        start_time=_stream_start(stream, file_start),
        duration=_stream_duration(stream, tags),
        bit_rate=_whole(stream.get("bit_rate")) or _whole(tags.get("bps")),
        uneven=_is_uneven(stream),
        interlaced=stream.get("field_order") in ("tt", "bb", "tb", "bt"),
        color_range=stream.get("color_range"),
        color_space=stream.get("color_space"),
        color_primaries=stream.get("color_primaries"),
        color_transfer=stream.get("color_transfer"),
        attached_picture=bool(disposition.get("attached_pic")),
        default=bool(disposition.get("default")),
        language=_language(tags),
        title=_text(tags.get("title")),
        settings=stream.get("extradata_hash"),
    )


def _audio(stream: _Json, file_start: float) -> AudioStream:
    tags = _tags(stream)
    return AudioStream(
        index=int(stream["index"]),
        codec=str(stream.get("codec_name") or "unknown"),
        profile=stream.get("profile"),
        sample_rate=_whole(stream.get("sample_rate")),
        channels=_whole(stream.get("channels")),
        channel_layout=stream.get("channel_layout"),
        start_time=_stream_start(stream, file_start),
        duration=_stream_duration(stream, tags),
        bit_rate=_whole(stream.get("bit_rate")) or _whole(tags.get("bps")),
        default=bool((stream.get("disposition") or {}).get("default")),
        language=_language(tags),
        title=_text(tags.get("title")),
        settings=stream.get("extradata_hash"),
    )


def _subtitle(stream: _Json) -> SubtitleStream:
    disposition: _Json = stream.get("disposition") or {}
    tags = _tags(stream)
    return SubtitleStream(
        index=int(stream["index"]),
        codec=str(stream.get("codec_name") or "unknown"),
        default=bool(disposition.get("default")),
        forced=bool(disposition.get("forced")),
        language=_language(tags),
        title=_text(tags.get("title")),
    )


def _chapter(chapter: _Json) -> Chapter:
    return Chapter(
        start=_seconds(chapter.get("start_time")) or 0.0,
        end=_seconds(chapter.get("end_time")) or 0.0,
        title=_text(_tags(chapter).get("title")),
    )


def _tags(item: _Json) -> Mapping[str, str]:
    return {str(key).lower(): str(value) for key, value in (item.get("tags") or {}).items()}


def _text(value: str | None) -> str | None:
    """A text from the file, safe to keep: no control characters, cut at a sane length."""
    cleaned = "".join(char if char.isprintable() else " " for char in value or "").strip()
    return cleaned[:_TEXT_LIMIT] or None


def _language(tags: Mapping[str, str]) -> str | None:
    language = tags.get("language", "").lower()
    return language if re.fullmatch(r"[a-z]{2,3}", language) and language != "und" else None


def _rotation(stream: _Json) -> int:
    """Degrees clockwise. The display matrix counts the other way round; the old `rotate` tag does not."""
    for data in stream.get("side_data_list") or ():
        if "rotation" in data:
            return round(-float(data["rotation"]) / 90) * 90 % 360
    return round(float(_seconds(_tags(stream).get("rotate")) or 0) / 90) * 90 % 360


def _bit_depth(stream: _Json, pixel_format: str | None) -> int:
    told = _whole(stream.get("bits_per_raw_sample"))
    if told and stream.get("codec_name") != "png":
        return told
    found = re.search(r"p(9|10|12|14|16)(?:le|be)?$", pixel_format or "")
    return int(found[1]) if found else 8


def _stream_start(stream: _Json, file_start: float) -> float:
    start = _seconds(stream.get("start_time"))
    return max(0.0, round(start - file_start, 6)) if start is not None else 0.0


def _stream_duration(stream: _Json, tags: Mapping[str, str]) -> float | None:
    """A stream's own length; Matroska has it only in a tag such as 00:01:02.500000000."""
    told = _seconds(stream.get("duration"))
    if told is not None:
        return told
    found = re.fullmatch(r"(\d+):(\d{2}):(\d{2}(?:\.\d+)?)", tags.get("duration", ""))
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _seconds(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: object) -> int | None:
    number = _seconds(value)
    return int(number) if number is not None and number > 0 else None


def _ratio(value: object) -> tuple[int, int]:
    across, _, down = str(value or "").partition(":")
    if across.isdigit() and down.isdigit() and int(across) > 0 and int(down) > 0:
        return int(across), int(down)
    return 1, 1


def _frame_rate(stream: _Json) -> float | None:
    """Frames a second on average. The other rate is a clock's where frames come unevenly, often 1000."""
    average = _rate(stream.get("avg_frame_rate"))
    if average is not None:
        return average
    base = _rate(stream.get("r_frame_rate"))
    return base if base is not None and base <= _HIGHEST_USUAL_RATE else None


def _is_uneven(stream: _Json) -> bool:
    """Whether some frames are nearer to each other than on average. The base rate can show all of them."""
    average, base = (_rate(stream.get(name)) for name in ("avg_frame_rate", "r_frame_rate"))
    return average is not None and base is not None and base > average * _EVEN


def _rate(value: object) -> float | None:
    try:
        rate = float(Fraction(str(value)))
    except (ValueError, ZeroDivisionError):
        return None
    return round(rate, 5) if rate > 0 else None
