"""Outputs that are folders: a stream's media files are checked, described by playlists, and checked again.

A playlist is written for what is on the disk, and believed only after it was read back: complete, each range
of bytes a whole segment, all sizes cut at the same moments.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from engine import stream_playlists as playlists
from engine.control import Control
from engine.failures import RunFailed
from engine.fragments import Fragments, Unsound, fragments_of
from engine.storage import sha256_of, sync_directory, sync_file
from engine.stream_playlists import Picture, Sound, Words
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import MASTER, MEMBERS, MemberPlan, OutputPlan
from engine.types.results import Artifact, Check, MemberFile, Verification
from engine.verify import verify

_SAME_MOMENT = 0.002
_CONTAINER = "hls"


@dataclass(frozen=True, slots=True)
class _Member:
    """A media file that is what it should be. Subtitles have no fragments."""

    plan: MemberPlan
    path: Path
    media: MediaInfo
    fragments: Fragments | None

    @property
    def playlist(self) -> Path:
        return self.path.with_suffix(".m3u8")


@dataclass(frozen=True, slots=True)
class Streamed:
    """A stream that may be shown, and what it cost to see that."""

    artifact: Artifact
    cpu_seconds: float


def finish_stream(folder: Path, output: OutputPlan, *, limits: Limits, control: Control) -> Streamed:
    """Make the media files in `folder` a stream: verified, with playlists, on the disk to stay.

    Raises RunFailed("output_invalid") with the failed checks as reason, and Stopped.
    """
    members: list[_Member] = []
    report: list[Check] = []
    cpu_seconds = 0.0
    empty = [one for one in output.members if one.kind == "subtitle" and not _has_lines(folder, one)]
    for plan in empty:
        (folder / MEMBERS / plan.name).unlink(missing_ok=True)
        name = f"{Path(plan.name).stem}: lines"
        report.append(Check(name=name, passed=True, expected="left out without any", actual="none"))
    kept = tuple(one for one in output.members if one not in empty)
    output = output.model_copy(update={"members": kept})
    for plan in output.members:
        path = folder / MEMBERS / plan.name
        seen = output.model_copy(update={"expectation": plan.expectation})
        verified = verify(path, seen, limits=limits, control=control)
        report += [
            check.model_copy(update={"name": f"{path.stem}: {check.name}"})
            for check in verified.verification.report
        ]
        cpu_seconds += verified.cpu_seconds
        fragments = None if plan.kind == "subtitle" else _fragments(path)
        members.append(_Member(plan, path, verified.media, fragments))
    longest = max(one.fragments.duration for one in members if one.fragments is not None)
    for member in members:
        name = member.path.name
        text = (
            playlists.words_playlist(name, longest)
            if member.fragments is None
            else playlists.media_playlist(name, member.fragments)
        )
        member.playlist.write_text(text)
    (folder / MASTER).write_text(_master(members), encoding="utf-8")
    report += stream_checks(folder, output)
    if failed := [check for check in report if not check.passed]:
        words = "; ".join(f"{one.name} should be {one.expected} and is {one.actual}" for one in failed)
        raise RunFailed("output_invalid", reason=f"{words}.")
    artifact = _artifact(folder, output, members, Verification(report=tuple(report)), control)
    return Streamed(artifact=artifact, cpu_seconds=cpu_seconds)


def stream_checks(folder: Path, output: OutputPlan) -> list[Check]:
    """Read all playlists of a stream again, and compare them with the files and with each other."""
    checks: list[Check] = []
    cuts: dict[str, list[float]] = {}
    longest = 0.0
    for member in output.members:
        path = folder / MEMBERS / member.name
        text = path.with_suffix(".m3u8").read_text()
        words = member.kind == "subtitle"
        wrong = _faults_of_words(text, path) if words else _faults(text, path, member)
        checks.append(
            Check(
                name=f"playlist {path.stem}",
                passed=not wrong,
                expected="complete, every segment in its place",
                actual=wrong or f"complete, {text.count('#EXTINF')} segments",
            )
        )
        if wrong or words:
            continue
        real = fragments_of(path)
        longest = max(longest, real.duration)
        if member.kind == "video":
            cuts[path.stem] = [segment.start for segment in real.segments]
    first = next(iter(cuts.values()), [])
    apart = [name for name, moments in cuts.items() if not _same(moments, first)]
    checks.append(
        Check(
            name="segments",
            passed=not apart and bool(first),
            expected="cut at the same moments in every size",
            actual=f"different in {', '.join(apart)}" if apart else f"{len(first)} in every size",
        )
    )
    expected = output.expectation
    if expected.duration is not None:
        checks.append(
            Check(
                name="duration",
                passed=abs(longest - expected.duration) <= expected.duration_tolerance,
                expected=f"{expected.duration:.3f} s within {expected.duration_tolerance:g} s",
                actual=f"{longest:.3f} s",
            )
        )
    master = (folder / MASTER).read_text(encoding="utf-8")
    missing = [
        member.name
        for member in output.members
        if f"{MEMBERS}/{Path(member.name).with_suffix('.m3u8')}" not in master
    ]
    checks.append(
        Check(
            name="master playlist",
            passed=not missing,
            expected=f"leads to {len(output.members)} playlists",
            actual=f"misses {', '.join(missing)}" if missing else f"leads to {len(output.members)} playlists",
        )
    )
    return checks


def _faults(text: str, path: Path, member: MemberPlan) -> str:
    """What is wrong with a playlist, in words; empty where nothing is."""
    listed = playlists.read_media_playlist(text, path.name)
    if listed is None or not listed.ended:
        return "not readable" if listed is None else "without an end"
    try:
        real = fragments_of(path)
    except Unsound as error:
        return f"of a broken file: {error}"
    told = [(one.offset, one.size) for one in listed.ranges]
    if told != [(one.offset, one.size) for one in real.segments] or listed.header != real.header:
        return "leading to places where no segment is"
    seconds = sum(one.seconds for one in listed.ranges)
    expected = member.expectation.duration
    if expected is not None and abs(seconds - expected) > member.expectation.duration_tolerance:
        return f"{seconds:.3f} s long instead of {expected:.3f} s"
    if any(playlists.rounded(one.seconds) > listed.target for one in listed.ranges):
        return "with a segment longer than it says"
    return ""


def _faults_of_words(text: str, path: Path) -> str:
    return "" if playlists.read_words_playlist(text, path.name) is not None else "not readable"


def _same(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and all(abs(a - b) <= _SAME_MOMENT for a, b in zip(one, other, strict=True))


def _has_lines(folder: Path, member: MemberPlan) -> bool:
    path = folder / MEMBERS / member.name
    return path.is_file() and "-->" in path.read_text(encoding="utf-8", errors="replace")


def _fragments(path: Path) -> Fragments:
    try:
        return fragments_of(path)
    except Unsound as error:
        raise RunFailed("output_invalid", reason=f"{path.name} is broken: {error}.") from error


def _master(members: list[_Member]) -> str:
    pictures, sounds, words = [], [], []
    for one in members:
        name = one.plan.title or _spoken(one.plan.language)
        if one.fragments is None:
            words.append(Words(one.playlist.name, name, one.plan.language, one.plan.forced))
        elif one.plan.kind == "video":
            (stream,) = one.media.video
            pictures.append(
                Picture(
                    playlist=one.playlist.name,
                    size=(stream.display_width, stream.display_height),
                    frame_rate=stream.frame_rate,
                    fragments=one.fragments,
                )
            )
        else:
            (track,) = one.media.audio
            sounds.append(
                Sound(
                    playlist=one.playlist.name,
                    name=name,
                    language=one.plan.language,
                    channels=track.channels,
                    default=one.plan.default,
                    fragments=one.fragments,
                )
            )
    return playlists.master_playlist(pictures, sounds, words)


def _spoken(language: str | None) -> str:
    return "" if language in (None, "und") else str(language)


def _artifact(
    folder: Path, output: OutputPlan, members: list[_Member], report: Verification, control: Control
) -> Artifact:
    files: list[MemberFile] = []
    for member in members:
        for path, content_type in (
            (member.path, member.plan.content_type),
            (member.playlist, playlists.CONTENT_TYPE),
        ):
            sync_file(path)
            files.append(
                MemberFile(
                    name=path.name,
                    content_type=content_type,
                    size=path.stat().st_size,
                    sha256=sha256_of(path, control=control),
                )
            )
    master = folder / MASTER
    sync_file(master)
    sync_directory(folder / MEMBERS)
    sync_directory(folder)
    manifest = [(sha256_of(master, control=control), MASTER)]
    manifest += [(file.sha256, f"{MEMBERS}/{file.name}") for file in files]
    listing = "".join(f"{digest}  {name}\n" for digest, name in manifest)
    size = master.stat().st_size + sum(file.size for file in files)
    return Artifact(
        role=output.role,
        path=master,
        extension=output.extension,
        content_type=output.content_type,
        size=size,
        sha256=hashlib.sha256(listing.encode()).hexdigest(),
        media_info=_media_of(members, size),
        verification=report,
        members=tuple(files),
    )


def _media_of(members: list[_Member], size: int) -> MediaInfo:
    """The stream as if it were one file of all its pictures and sounds."""
    video = [one.media.video[0] for one in members if one.plan.kind == "video"]
    audio = [
        one.media.audio[0].model_copy(
            update={"language": one.plan.language, "title": one.plan.title, "default": one.plan.default}
        )
        for one in members
        if one.plan.kind == "audio"
    ]
    words = [
        one.media.subtitles[0].model_copy(
            update={"language": one.plan.language, "title": one.plan.title, "forced": one.plan.forced}
        )
        for one in members
        if one.plan.kind == "subtitle"
    ]
    duration = max(one.media.duration for one in members if one.fragments is not None)
    return MediaInfo(
        container=_CONTAINER,
        format_names=(_CONTAINER,),
        duration=duration,
        size=size,
        bit_rate=round(size * 8 / duration) if duration else None,
        video=tuple(
            stream.model_copy(update={"index": number, "default": False})
            for number, stream in enumerate(video)
        ),
        audio=tuple(
            track.model_copy(update={"index": len(video) + number}) for number, track in enumerate(audio)
        ),
        subtitles=tuple(
            track.model_copy(update={"index": len(video) + len(audio) + number})
            for number, track in enumerate(words)
        ),
    )
