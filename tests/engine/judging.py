"""Is a result what was asked for? By rules of these tests' own: the engine's checks have no say here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.results import Artifact
from tests.engine.random_clips import RandomClip
from tests.engine.results import distance
from tests.engine.watching import Watched, watch

# What join and replace_audio take from another video.
OTHER_CLIP = RandomClip(container="mkv", sound="ac3", size=(96, 128), rate="30000/1001", seconds=0.9)

ROUNDED = 0.002
_OFFSET = 0.04
# Filters that make new frames out of old ones may leave out some of those that are very near to each other.
_UNEVEN = 0.8
# Files that can hold any number of tracks, and frames at any time.
_FREE = frozenset({"mp4", "mov", "mkv", "webm"})


@dataclass(frozen=True)
class Source:
    """A clip as the site knows it, and as it is."""

    path: Path
    media: MediaInfo
    seen: Watched


Judge = Callable[[Mapping[str, Any], Source, Plan, tuple[Artifact, ...]], None]


def near(actual: float, expected: float, slack: float, what: str) -> None:
    assert abs(actual - expected) <= slack, f"{what} is {actual:.3f}, not {expected:.3f} within {slack:.3f}"


def _lengths(seen: Watched, source: Watched, length: float, *, slack: float = 0.0, told: bool = True) -> None:
    """The result is as long as it has to be, by what is in it and, where it tells that, by what it says."""
    slack += 0.12 + seen.gap + source.gap
    if told:
        near(seen.duration, length, slack, "the duration")
    near(max(seen.shown_until, seen.heard_until), length, slack, "what is in it")


def _together(seen: Watched, source: Watched, *, speed: float = 1.0, slack: float = 0.0) -> None:
    if seen.offset is not None and source.offset is not None:
        # Loudness is looked at in pieces of 10 ms, at both ends.
        near(seen.offset, source.offset / speed, _OFFSET + slack, "the sound after the picture")


def looks_like(picture: bytes, other: bytes) -> None:
    apart = distance(picture, other)
    assert apart < 20, f"the picture is {apart:.0f} away from that of its source"


def _same_frames(seen: Watched, source: Watched, first: int = 0, last: int | None = None) -> None:
    times = source.times[first:last]
    assert len(seen.times) == len(times), f"{len(seen.times)} frames, not {len(times)}"
    apart = [
        abs((one - seen.times[0]) - (other - times[0])) for one, other in zip(seen.times, times, strict=True)
    ]
    # Encoded frames stand on a grid of the source's rate, the first as well.
    assert max(apart) <= source.gap + ROUNDED, f"a frame is shown {max(apart):.3f} s from its time"
    looks_like(seen.pictures[0], source.pictures[first])


def _free(artifact: Artifact) -> bool:
    return artifact.extension in _FREE


def _tells(artifact: Artifact) -> bool:
    """Whether the file tells how long it is; AVI tells how long its picture is, FLV when it ends."""
    return artifact.extension not in ("avi", "flv")


def _tracks(seen: Watched, source: Watched, artifact: Artifact) -> None:
    if _free(artifact):
        assert seen.tracks == source.tracks
        if artifact.extension != "webm" and "mkv" not in artifact.extension:
            assert [lang for lang in seen.languages if lang != "und"] == [
                lang for lang in source.languages if lang != "und"
            ]


def _whole(source: Watched) -> float:
    return max(source.shown_until, source.heard_until)


def _as_it_was(wish: Mapping[str, Any], source: Source, plan: Plan, artifacts: tuple[Artifact, ...]) -> None:
    """The whole timeline in another form."""
    (artifact,) = artifacts
    seen = watch(artifact.path)
    _lengths(seen, source.seen, _whole(source.seen), told=_tells(artifact))
    moved = wish.get("fps") or not _free(artifact)
    _together(seen, source.seen, slack=2 * seen.gap if moved else 0.0)
    _tracks(seen, source.seen, artifact)
    even = not wish.get("fps") and _free(artifact)
    if even and plan.operation in ("convert", "resize", "loudness", "watermark"):
        if plan.operation == "resize" and wish.get("fit") in ("cover", "pad"):
            assert len(seen.times) >= _UNEVEN * len(source.seen.times)
        else:
            _same_frames(seen, source.seen)
    elif even and plan.operation != "compress":
        assert len(seen.times) >= _UNEVEN * len(source.seen.times)
    _size(wish, source.seen, seen, plan.operation)


def _rungs(wish: Mapping[str, Any], source: Source, plan: Plan, artifacts: tuple[Artifact, ...]) -> None:
    for artifact in artifacts:
        _as_it_was(wish, source, plan, (artifact,))
        assert min(watch(artifact.path).size) == pytest.approx(int(artifact.role.removesuffix("p")), abs=1)


def _size(wish: Mapping[str, Any], source: Watched, seen: Watched, operation: str) -> None:
    width, height = seen.size
    before = source.size
    if operation in ("convert", "watermark", "loudness", "mute"):
        assert abs(width - before[0]) <= 1
        assert abs(height - before[1]) <= 1
    elif operation == "rotate" and wish.get("degrees") in (90, 270):
        assert abs(width - before[1]) <= 1
        assert abs(height - before[0]) <= 1
    elif operation == "crop" and not wish.get("auto"):
        assert (width, height) == (wish["width"] // 2 * 2, wish["height"] // 2 * 2)
    elif operation == "resize":
        _resized(wish, before, seen.size)


def _resized(wish: Mapping[str, Any], before: tuple[int, int], after: tuple[int, int]) -> None:
    box = (wish.get("width") or 10_000, wish.get("height") or 10_000)
    fit = wish.get("fit", "contain")
    assert all(side <= most + 1 for side, most in zip(after, box, strict=True))
    if not wish.get("upscale") and fit != "pad":
        assert all(side <= most + 1 for side, most in zip(after, before, strict=True))
    if fit == "contain":
        near(after[0] / after[1], before[0] / before[1], 2.5 * max(after) / min(after) ** 2, "the shape")


def _trimmed(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    kept = _kept(wish, source.media.duration)
    length = sum(end - begin for begin, end in kept)
    if wish.get("mode") == "keyframe":
        assert seen.shown_until >= length - 0.5
        _together(seen, source.seen)
        return
    least = most = 0
    for begin, end in kept:
        most += sum(begin - ROUNDED <= time < end + ROUNDED for time in source.seen.times)
        least += sum(begin + ROUNDED <= time < end - ROUNDED for time in source.seen.times)
    if source.seen.uneven:
        least = int(least * _UNEVEN)
    if _free(artifact):
        assert least <= len(seen.times) <= most, f"{len(seen.times)} frames, not {least} to {most}"
    _lengths(seen, source.seen, length, slack=0.05 * (len(kept) - 1), told=_tells(artifact))
    if len(kept) == 1:
        _together(seen, source.seen)
        first = next(at for at, time in enumerate(source.seen.times) if time >= kept[0][0] - ROUNDED)
        looks_like(seen.pictures[0], source.seen.pictures[first])


def _kept(wish: Mapping[str, Any], whole: float) -> list[tuple[float, float]]:
    """What a trim has to keep, by this test's own reckoning."""
    if wish.get("ranges") is not None:
        asked = sorted((item["start"], min(item["end"], whole)) for item in wish["ranges"])
    else:
        begin = wish.get("start") or 0.0
        end = wish["end"] if wish.get("end") is not None else begin + (wish.get("duration") or whole)
        asked = [(begin, min(end, whole))]
    together: list[tuple[float, float]] = []
    for begin, end in asked:
        if together and begin <= together[-1][1] + 0.001:
            together[-1] = (together[-1][0], max(end, together[-1][1]))
        else:
            together.append((begin, end))
    if wish.get("action") != "remove":
        return together
    edges = [0.0, *(edge for part in together for edge in part), whole]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(begin, end) for begin, end in pairs if end - begin > 0.001]


def _faster(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    factor = wish["factor"]
    _lengths(
        seen,
        source.seen,
        _whole(source.seen) / factor,
        slack=2 * source.seen.gap / factor,
        told=_tells(artifact),
    )
    dropped = source.seen.gap if factor > 1 else 0.0
    _together(seen, source.seen, speed=factor, slack=dropped)
    _tracks(seen, source.seen, artifact)
    looks_like(seen.pictures[0], source.seen.pictures[0])


def _reversed(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    assert seen.tracks == (0 if wish.get("sound") == "muted" else source.seen.tracks)
    # Where the source shows nothing, at its ends or in between, the frame before stays.
    assert len(seen.times) >= len(source.seen.times)
    length = source.media.duration if seen.tracks else source.seen.shown_until
    near(seen.shown_until, length, 0.15 + seen.gap, "what is shown")
    looks_like(seen.pictures[0], source.seen.pictures[-1])
    looks_like(seen.pictures[-1], source.seen.pictures[0])


def _muted(_: Mapping[str, Any], source: Source, __: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    assert not seen.tracks
    assert seen.size == source.seen.size
    if _free(artifact):
        _same_frames(seen, source.seen)


def _heard(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    assert (seen.tracks, seen.times) == (1, ())
    assert max(seen.loudness) > 0.3


def _stills(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    wanted = len(set(wish.get("times") or ())) or wish.get("count") or 1
    assert len(artifacts) == wanted
    for artifact in artifacts:
        assert artifact.path.stat().st_size > 100


def _anything(_: Mapping[str, Any], __: Source, ___: Plan, artifacts: tuple[Artifact, ...]) -> None:
    assert all(artifact.size > 0 for artifact in artifacts)


def _moving(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    if artifact.extension == "webp":
        return  # this ffmpeg writes but does not read it
    seen = watch(artifact.path)
    begin = wish.get("start") or 0.0
    length = min(wish.get("duration") or 5.0, source.seen.shown_until - begin)
    near(seen.shown_until, length, 0.15 + 2 / wish.get("fps", 12) + source.seen.gap, "the length")
    assert not seen.tracks


def _joined(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    more = len(wish.get("before") or ()) + len(wish.get("after") or ())
    shown = source.media.main_video.duration if source.media.main_video else None
    length = (shown or source.media.duration) + OTHER_CLIP.seconds * more
    lasts = max(seen.shown_until, seen.heard_until)
    near(lasts, length, 0.15 + (2 + more) * seen.gap, "the length")
    assert seen.tracks == 1


def _streamed(_: Mapping[str, Any], source: Source, __: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    near(seen.shown_until, source.seen.shown_until, 0.15 + 2 * seen.gap, "the length")
    # Frames are shown before they are stored, as CMAF has it; this tool moves all of them by that, players
    # do not. So the picture counts from its first frame.
    if seen.offset is not None and source.seen.offset is not None:
        near(seen.offset + seen.times[0], source.seen.offset, _OFFSET + seen.gap, "the sound")
    looks_like(seen.pictures[0], source.seen.pictures[0])


_JUDGES: Mapping[str, Judge] = {
    "trim": _trimmed,
    "speed": _faster,
    "reverse": _reversed,
    "mute": _muted,
    "extract_audio": _heard,
    "thumbnail": _stills,
    "sprite": _anything,
    "gif": _moving,
    "join": _joined,
    "hls": _streamed,
    "renditions": _rungs,
    "pipeline": _anything,
    "replace_audio": _anything,
}


def judge(
    type_: str, wish: Mapping[str, Any], source: Source, plan: Plan, artifacts: tuple[Artifact, ...]
) -> None:
    """Assert that these are what this wish means for this source."""
    _JUDGES.get(type_, _as_it_was)(wish, source, plan, artifacts)
