"""HLS playlists: writing them, and reading them back with other eyes than those that wrote them.

ffmpeg neither writes nor reads a playlist here. Its own muxer exits 0 when the disk is full, and a reader
that follows the addresses in a text is nothing that may ever meet a file of a user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor

from engine.fragments import Fragments
from engine.types.plan import MEMBERS

CONTENT_TYPE = "application/vnd.apple.mpegurl"
_VERSION = 7  # fragmented MP4 with one header for all segments
_GROUP = "sound"
_WORDS = "words"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_QUOTED = re.compile(r"[\"\x00-\x1f\x7f\u2028\u2029]")
_ENTRY = re.compile(r"#EXTINF:(\d+\.\d+),\n#EXT-X-BYTERANGE:(\d+)@(\d+)\n([a-z0-9.-]+)")
_HEADER = re.compile(r"#EXT-X-MAP:URI=\"([a-z0-9.-]+)\",BYTERANGE=\"(\d+)@0\"")
_LINES = re.compile(
    r"#EXTM3U\n#EXT-X-VERSION:\d+\n#EXT-X-TARGETDURATION:(\d+)\n#EXT-X-MEDIA-SEQUENCE:0\n"
    r"#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:(\d+\.\d+),\n([a-z0-9.-]+)\n#EXT-X-ENDLIST\n"
)
_TARGET = re.compile(r"#EXT-X-TARGETDURATION:(\d+)")


@dataclass(frozen=True, slots=True)
class Picture:
    """A size of the picture. `playlist` is the name of its playlist."""

    playlist: str
    size: tuple[int, int]
    frame_rate: float | None
    fragments: Fragments


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound track. `name` and `language` come from people."""

    playlist: str
    name: str
    language: str | None
    channels: int | None
    default: bool
    fragments: Fragments


@dataclass(frozen=True, slots=True)
class Words:
    """A track of subtitles. `name` and `language` come from people."""

    playlist: str
    name: str
    language: str | None
    forced: bool


@dataclass(frozen=True, slots=True)
class Range:
    """One line of a playlist: so many seconds are in these bytes of the media file."""

    seconds: float
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A playlist as a player reads it. `ended` says that nothing will be added."""

    header: int
    ranges: tuple[Range, ...]
    target: int
    ended: bool


def media_playlist(file_name: str, fragments: Fragments) -> str:
    """The playlist of one media file whose segments are ranges of its bytes."""
    target = max(rounded(segment.duration) for segment in fragments.segments)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{max(1, target)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{file_name}",BYTERANGE="{fragments.header}@0"',
    ]
    for segment in fragments.segments:
        lines += [
            f"#EXTINF:{segment.duration:.6f},",
            f"#EXT-X-BYTERANGE:{segment.size}@{segment.offset}",
            file_name,
        ]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def words_playlist(file_name: str, seconds: float) -> str:
    """The playlist of subtitles: one file for the whole time."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{max(1, rounded(seconds))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXTINF:{seconds:.6f},",
        file_name,
        "#EXT-X-ENDLIST",
        "",
    ]
    return "\n".join(lines)


def read_words_playlist(text: str, file_name: str) -> float | None:
    """The seconds that a playlist of subtitles covers; None where it is not one of this file alone."""
    found = _LINES.fullmatch(text)
    if found is None or found[3] != file_name or rounded(float(found[2])) > int(found[1]):
        return None
    return float(found[2])


def rounded(seconds: float) -> int:
    """Whole seconds as the format counts them: half of one is one."""
    return floor(seconds + 0.5)


def read_media_playlist(text: str, file_name: str) -> Listed | None:
    """What a playlist of ours says; None where it leads to another file or cannot be read."""
    header, target = _HEADER.search(text), _TARGET.search(text)
    entries = _ENTRY.findall(text)
    names = {name for *_, name in entries}
    whole = text.startswith("#EXTM3U\n") and len(entries) == text.count("#EXTINF")
    if header is None or target is None or not whole or names | {header[1]} != {file_name}:
        return None
    return Listed(
        header=int(header[2]),
        ranges=tuple(
            Range(seconds=float(seconds), size=int(size), offset=int(offset))
            for seconds, size, offset, _ in entries
        ),
        target=int(target[1]),
        ended=text.endswith("\n#EXT-X-ENDLIST\n"),
    )


def master_playlist(
    pictures: Iterable[Picture], sounds: Iterable[Sound], subtitles: Iterable[Words] = ()
) -> str:
    """The playlist players begin with: all sizes, the best first, all sound tracks and subtitles."""
    tracks, words = list(sounds), list(subtitles)
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    names: set[str] = set()
    for number, track in enumerate(tracks, 1):
        name = _unique(_quotable(track.name) or f"Track {number}", names)
        lines.append(f"#EXT-X-MEDIA:{_attributes(_sound_attributes(track, name))}")
    names = set()
    for number, spoken in enumerate(words, 1):
        name = _unique(_quotable(spoken.name) or f"Track {number}", names)
        lines.append(f"#EXT-X-MEDIA:{_attributes(_words_attributes(spoken, name))}")
    shown = {"SUBTITLES": f'"{_WORDS}"'} if words else {}
    for picture in pictures:
        attributes = {**_picture_attributes(picture, tracks), **shown}
        lines.append(f"#EXT-X-STREAM-INF:{_attributes(attributes)}")
        lines.append(f"{MEMBERS}/{picture.playlist}")
    return "\n".join([*lines, ""])


def _sound_attributes(track: Sound, name: str) -> dict[str, str]:
    attributes = {"TYPE": "AUDIO", "GROUP-ID": f'"{_GROUP}"', "NAME": f'"{name}"'}
    attributes |= _language(track.language)
    attributes |= {"DEFAULT": "YES" if track.default else "NO", "AUTOSELECT": "YES"}
    if track.channels:
        attributes["CHANNELS"] = f'"{track.channels}"'
    return {**attributes, "URI": f'"{MEMBERS}/{track.playlist}"'}


def _words_attributes(track: Words, name: str) -> dict[str, str]:
    """Players offer them; only those that belong to the picture are shown without being asked for."""
    attributes = {"TYPE": "SUBTITLES", "GROUP-ID": f'"{_WORDS}"', "NAME": f'"{name}"'}
    attributes |= _language(track.language)
    forced = "YES" if track.forced else "NO"
    attributes |= {"DEFAULT": forced, "AUTOSELECT": "YES", "FORCED": forced}
    return {**attributes, "URI": f'"{MEMBERS}/{track.playlist}"'}


def _language(language: str | None) -> dict[str, str]:
    if language and language != "und" and _LANGUAGE.fullmatch(language):
        return {"LANGUAGE": f'"{language}"'}
    return {}


def _picture_attributes(picture: Picture, tracks: list[Sound]) -> dict[str, str]:
    """Rates are those of this size with the largest sound track, as players choose by them."""
    peak = picture.fragments.peak_bit_rate + max((one.fragments.peak_bit_rate for one in tracks), default=0)
    usual = picture.fragments.bit_rate + max((one.fragments.bit_rate for one in tracks), default=0)
    codecs = dict.fromkeys([picture.fragments.codec, *(one.fragments.codec for one in tracks)])
    width, height = picture.size
    attributes = {
        "BANDWIDTH": str(ceil(peak)),
        "AVERAGE-BANDWIDTH": str(ceil(usual)),
        "CODECS": f'"{",".join(codecs)}"',
        "RESOLUTION": f"{width}x{height}",
    }
    if picture.frame_rate:
        attributes["FRAME-RATE"] = f"{picture.frame_rate:.3f}"
    if tracks:
        attributes["AUDIO"] = f'"{_GROUP}"'
    return attributes


def _attributes(values: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())


def _quotable(text: str) -> str:
    """A text of a person without what would end its quotation or its line."""
    return _QUOTED.sub(" ", text).strip()


def _unique(name: str, taken: set[str]) -> str:
    """Two tracks of one name cannot be told apart in a player's menu, and the format forbids them."""
    wanted, number = name, 2
    while wanted in taken:
        wanted, number = f"{name} {number}", number + 1
    taken.add(wanted)
    return wanted
