"""Checks a folder that a player reads by playlists (HLS): is every file there, whole and of its length?

ffmpeg exits 0 when the disk fills up while it writes one of these, so nothing here trusts it. Playlists are
read as text and never given to a media tool; segments are looked at behind their initialisation section, as
one file each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.control import Control
from engine.decoding import decode
from engine.failures import RunFailed
from engine.probe import probe
from engine.types import Check, ExpectedStream, Limits, MediaInfo, Verification
from engine.whitelist import RESULTS
from problems import Problem

_MOST_BYTES = 8 * 1024**2
_EXTINF = re.compile(r"#EXTINF:([0-9.]+)")
_TARGET = re.compile(r"^#EXT-X-TARGETDURATION:(\d+)\s*$", re.MULTILINE)
_URI = re.compile(r'URI="([^"]*)"')


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """One rendition as its playlist tells it: files below the folder, seconds of each segment."""

    init: str | None
    segments: tuple[str, ...]
    seconds: tuple[float, ...]
    target: int
    ended: bool


@dataclass(frozen=True, slots=True)
class VerifiedPlaylist:
    """A folder that is what it should be: the report, every file a player may ask for, CPU seconds used."""

    verification: Verification
    files: tuple[Path, ...]
    cpu_seconds: float


@dataclass(slots=True)
class _Report:
    limits: Limits
    control: Control
    checks: list[Check] = field(default_factory=list)
    log: str = ""
    cpu_seconds: float = 0.0

    def note(self, name: str, *, passed: bool, expected: object, actual: object) -> bool:
        self.checks.append(Check(name=name, passed=passed, expected=str(expected), actual=str(actual)))
        return passed


def verify_playlist(
    folder: Path,
    main: str,
    renditions: Mapping[str, tuple[ExpectedStream, ...]],
    *,
    duration: float,
    tolerance: float,
    limits: Limits,
    control: Control,
) -> VerifiedPlaylist:
    """Check the playlist `main` in `folder` and every rendition it names.

    `renditions` says which media playlists there must be, by their paths below the folder, and the streams of
    each. Checked: every playlist and segment is there and not empty, none is left out or outside the folder,
    playlists are ended, each rendition lasts `duration` seconds within `tolerance`, those with a picture are
    cut at the same times, and the first and last segment of each decode and hold the right streams.

    Raises RunFailed("output_invalid") with the failed checks as reason, and Stopped.
    """
    report = _Report(limits, control)
    files = [folder / main]
    text = _text_of(report, folder, main)
    named = _named_in(text)
    report.note(
        "renditions",
        passed=named == set(renditions),
        expected=", ".join(sorted(renditions)) or "none",
        actual=", ".join(sorted(named)) or "none",
    )
    cuts: dict[str, tuple[float, ...]] = {}
    for name, streams in renditions.items():
        found = _rendition(report, folder, name, duration=duration, tolerance=tolerance)
        if found is None:
            continue
        base = (folder / name).parent
        parts = [*([found.init] if found.init else []), *found.segments]
        files += [folder / name, *dict.fromkeys(base / part for part in parts)]
        if any(stream.kind == "video" for stream in streams):
            cuts[name] = found.seconds
        if report.checks[-1].passed:
            _decode_ends(report, base, name, found, streams)
    if len(cuts) > 1:
        alike = len({tuple(round(length, 2) for length in lengths) for lengths in cuts.values()}) == 1
        report.note(
            "cut at the same times",
            passed=alike,
            expected="every rendition alike",
            actual="alike" if alike else "unlike",
        )
    verification = Verification(report=tuple(report.checks))
    if not verification.passed:
        failed = (check for check in report.checks if not check.passed)
        reason = "; ".join(f"{item.name} should be {item.expected} and is {item.actual}" for item in failed)
        raise RunFailed("output_invalid", reason=f"{reason}.", log=report.log)
    return VerifiedPlaylist(verification, tuple(files), report.cpu_seconds)


def media_playlist(text: str) -> MediaPlaylist:
    """A media playlist's own words. Lines it does not know are passed over, as players do."""
    segments: list[str] = []
    seconds: list[float] = []
    init = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXT-X-MAP:"):
            uri = _URI.search(line)
            init = uri[1] if uri else None
        elif length := _EXTINF.match(line):
            seconds.append(float(length[1]))
        elif line and not line.startswith("#"):
            segments.append(line)
    target = _TARGET.search(text)
    return MediaPlaylist(
        init=init,
        segments=tuple(segments),
        seconds=tuple(seconds),
        target=int(target[1]) if target else 0,
        ended="#EXT-X-ENDLIST" in text,
    )


def _named_in(text: str) -> set[str]:
    """The media playlists a main playlist leads to."""
    lines = [line.strip() for line in text.splitlines()]
    named = {line for line in lines if line and not line.startswith("#")}
    for line in lines:
        if line.startswith("#EXT-X-MEDIA:") and (uri := _URI.search(line)):
            named.add(uri[1])
    return named


def _text_of(report: _Report, folder: Path, name: str) -> str:
    path = _inside(folder, name)
    size = path.stat().st_size if path is not None and path.is_file() else 0
    text = "" if path is None or not 0 < size <= _MOST_BYTES else path.read_text("utf-8", "replace")
    begins = text.startswith("#EXTM3U")
    report.note(
        f"{name} readable",
        passed=begins,
        expected="a playlist",
        actual="a playlist" if begins else f"{size} bytes of something else",
    )
    return text if begins else ""


def _inside(folder: Path, name: str) -> Path | None:
    """The path of a name in a playlist; None for what leads out of the folder or is an address."""
    path = (folder / name).resolve()
    outside = "://" in name or not path.is_relative_to(folder.resolve())
    return None if outside else path


def _rendition(
    report: _Report, folder: Path, name: str, *, duration: float, tolerance: float
) -> MediaPlaylist | None:
    text = _text_of(report, folder, name)
    if not text:
        return None
    found = media_playlist(text)
    base = (folder / name).parent
    parts = [*([found.init] if found.init else []), *found.segments]
    paths = [(part, _inside(base, part)) for part in parts]
    bad = [part for part, path in paths if path is None or not path.is_file() or not path.stat().st_size]
    report.note(
        f"{name} ended", passed=found.ended, expected="an end", actual="an end" if found.ended else "no end"
    )
    length = sum(found.seconds)
    report.note(
        f"{name} length",
        passed=abs(length - duration) <= tolerance,
        expected=f"{duration:.3f} s within {tolerance:g} s",
        actual=f"{length:.3f} s",
    )
    longest = max(found.seconds, default=0.0)
    report.note(
        f"{name} longest segment",
        passed=round(longest) <= found.target,
        expected=f"at most the {found.target} s it promises",
        actual=f"{longest:.3f} s",
    )
    complete = bool(found.segments) and len(found.segments) == len(found.seconds) and not bad
    report.note(
        f"{name} complete",
        passed=complete,
        expected="every segment, none of 0 bytes",
        actual=f"{len(found.segments)} segments"
        + (f", missing or empty: {', '.join(bad[:3])}" if bad else ""),
    )
    return found


def _decode_ends(
    report: _Report, base: Path, name: str, found: MediaPlaylist, streams: tuple[ExpectedStream, ...]
) -> None:
    """Decode the first and the last segment, each behind the initialisation section."""
    head = (base / found.init).read_bytes() if found.init else b""
    for place, segment in {"first": found.segments[0], "last": found.segments[-1]}.items():
        sample = base / f".{Path(name).name}.{place}.check"
        try:
            sample.write_bytes(head + (base / segment).read_bytes())
            _decode_one(report, sample, f"{name} {place} segment", streams)
        finally:
            sample.unlink(missing_ok=True)


def _decode_one(
    report: _Report,
    sample: Path,
    name: str,
    streams: tuple[ExpectedStream, ...],
) -> None:
    try:
        probed = probe(sample, reading=RESULTS, limits=report.limits, control=report.control)
    except Problem as problem:
        report.note(name, passed=False, expected="readable", actual=problem.detail)
        return
    decoded = decode(sample, reading=RESULTS, limits=report.limits, control=report.control)
    report.cpu_seconds += probed.cpu_seconds + decoded.cpu_seconds
    report.log += decoded.log
    wanted = [_named(stream.codec, stream.width, stream.height) for stream in streams]
    report.note(
        f"{name} streams",
        passed=_streams(probed.media) == wanted,
        expected=", ".join(wanted),
        actual=", ".join(_streams(probed.media)) or "none",
    )
    report.note(
        f"{name} decodes",
        passed=decoded.frames > 0 and not decoded.errors,
        expected="frames without errors",
        actual=f"{decoded.frames} frames" + (f", {decoded.errors} errors" if decoded.errors else ""),
    )


def _streams(media: MediaInfo) -> list[str]:
    return [
        *(_named(stream.codec, stream.display_width, stream.display_height) for stream in media.video),
        *(stream.codec for stream in media.audio),
    ]


def _named(codec: str, width: int | None, height: int | None) -> str:
    return codec if width is None else f"{codec} {width}x{height}"
