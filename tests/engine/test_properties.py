"""Random videos and random wishes: each is refused with a reason, or gives what was asked for.

The results are looked at by a decoder and with rules of these tests' own. `VIDEOPROC_PROPERTIES=40` tries so
many of each operation, at random; without it a few that are always the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from engine.catalogue import operations, others_for, parameters_for, plan_for
from engine.control import Control
from engine.execute import execute
from engine.intake import intake
from engine.segments import Machine, divided
from engine.types import SOURCE, Artifact, Limits, MediaInfo, Plan
from problems import Problem
from tests.engine.clips import Clips
from tests.engine.random_clips import RandomClip, random_clips
from tests.engine.results import distance
from tests.engine.test_every_wish import wishes
from tests.engine.watching import Watched, watch

OTHER = "vid_" + "2" * 32
OTHER_CLIP = RandomClip(container="mkv", sound="ac3", size=(96, 128), rate="30000/1001", seconds=0.9)
LIMITS = Limits(threads=2, stall_seconds=60)

_REFUSED = {"parameters_do_not_fit", "no_audio_stream"}
# What only a look at the whole video can tell.
_REFUSED_LATE = {"parameters_do_not_fit"}
_ROUNDED = 0.002
_OFFSET = 0.04
# Encoded frames stand on a grid of the source's usual rate: of two that are nearer than that, one is left.
_UNEVEN = 0.8
# Files that can hold any number of tracks, and frames at any time.
_FREE = frozenset({"mp4", "mov", "mkv", "webm"})

_MOMENT = st.integers(0, 44).map(lambda number: number / 20)
_SIDE = st.sampled_from([16, 48, 64, 77, 90, 120, 160, 200])
_RANGE = st.tuples(_MOMENT, _MOMENT).map(sorted).map(lambda ends: {"start": ends[0], "end": ends[1] + 0.05})
_KNOWN: Mapping[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("start", "end", "at"), _MOMENT),
    "duration": st.integers(1, 40).map(lambda number: number / 20),
    "times": st.lists(_MOMENT, min_size=1, max_size=3),
    "ranges": st.lists(_RANGE, min_size=1, max_size=3),
    **dict.fromkeys(("width", "height"), _SIDE),
    **dict.fromkeys(("x", "y"), st.sampled_from([0, 3, 20, 64])),
    "count": st.integers(1, 7),
    "interval": st.sampled_from([0.1, 0.5, 1.0, 7.0]),
    "fps": st.sampled_from([1, 5, 12, 25, 30, 50]),
    "target_size": st.sampled_from([12_000, 30_000, 60_000, 200_000]),
    "rungs": st.lists(st.sampled_from([64, 90, 144]), min_size=1, max_size=2, unique=True),
    "segment_seconds": st.sampled_from([1, 2, 6]),
    **dict.fromkeys(("before", "after"), st.lists(st.just(OTHER), max_size=2)),
    "sound": st.just(OTHER),
    "track": st.integers(1, 3),
}


def likely(type_: str) -> st.SearchStrategy[dict[str, Any]]:
    """Wishes that are mostly about something in a short and small video."""
    if type_ == "pipeline":
        possible = ["trim", "resize", "speed", "crop", "rotate", "convert", "mute", "watermark", "loudness"]
        step = st.sampled_from(possible).flatmap(
            lambda name: likely(name).map(lambda wish: {"type": name, "parameters": wish})
        )
        return st.lists(step, min_size=2, max_size=3).map(lambda steps: {"steps": steps})
    known = {name: field for name, field in _KNOWN.items() if type_ != "reverse" or name != "sound"}
    return wishes(type_, known).filter(lambda wish: _is_valid(type_, wish))


def _is_valid(type_: str, wish: Mapping[str, Any]) -> bool:
    try:
        parameters_for(type_, wish)
    except Problem:
        return False
    return True


@dataclass(frozen=True)
class Source:
    """A clip as the site knows it, and as it is."""

    path: Path
    media: MediaInfo
    seen: Watched


class Studio:
    """Makes each clip once and remembers what it holds."""

    def __init__(self, clips: Clips) -> None:
        self._clips = clips
        self._known: dict[RandomClip, Source] = {}

    def source(self, clip: RandomClip) -> Source:
        if clip not in self._known:
            path = clip.make(self._clips)
            with tempfile.TemporaryDirectory(dir=path.parent) as work:
                media = intake(
                    path, Path(work), limits=LIMITS, on_progress=lambda _: None, control=Control()
                ).media
            self._known[clip] = Source(path, media, watch(path))
        return self._known[clip]

    def planned(self, type_: str, wish: Mapping[str, Any], source: Source) -> tuple[Plan, dict[str, Path]]:
        parameters = parameters_for(type_, wish)
        others = {name: self.source(OTHER_CLIP) for name in others_for(type_, parameters)}
        plan = plan_for(type_, parameters, source.media, {name: item.media for name, item in others.items()})
        return plan, {name: item.path for name, item in others.items()}

    def made(
        self, type_: str, wish: Mapping[str, Any], source: Source, work_dir: Path
    ) -> tuple[Plan, tuple[Artifact, ...]] | None:
        """The results; None where the wish is refused with a reason."""
        try:
            plan, others = self.planned(type_, wish, source)
        except Problem as problem:
            assert problem.code in _REFUSED, f"{problem.code}: {problem.detail}"
            return None
        try:
            (step,) = plan.steps
            result = execute(
                plan,
                step.position,
                sources={SOURCE: source.path, **others},
                work_dir=work_dir,
                limits=LIMITS,
                on_progress=lambda _: None,
                control=Control(),
            )
        except Problem as problem:
            assert problem.code in _REFUSED_LATE, f"{problem.code}: {problem.detail} ({plan.summary})"
            return None
        assert all(artifact.verification.passed for artifact in result.artifacts)
        return plan, result.artifacts


def check(studio: Studio, type_: str, clip: RandomClip, wish: Mapping[str, Any]) -> bool:
    """Do it, and judge the result. False where it was refused."""
    source = studio.source(clip)
    work_dir = Path(tempfile.mkdtemp(dir=source.path.parent))
    try:
        made = studio.made(type_, wish, source, work_dir)
        if made is None:
            return False
        plan, artifacts = made
        assert {item.role for item in artifacts} == {item.role for item in plan.outputs}
        _JUDGES.get(type_, _as_it_was)(wish, source, plan, artifacts)
    finally:
        shutil.rmtree(work_dir)
    return True


# --------------------------------------------------------------------------------------------- the judges

Judge = Callable[[Mapping[str, Any], Source, Plan, tuple[Artifact, ...]], None]


def _near(actual: float, expected: float, slack: float, what: str) -> None:
    assert abs(actual - expected) <= slack, f"{what} is {actual:.3f}, not {expected:.3f} within {slack:.3f}"


def _lengths(
    seen: Watched, source: Watched, length: float, *, slack: float = 0.0, told: bool = True
) -> None:
    """The result is as long as it has to be, by what is in it and, where it tells that, by what it says."""
    slack += 0.12 + seen.gap + source.gap
    if told:
        _near(seen.duration, length, slack, "the duration")
    _near(max(seen.shown_until, seen.heard_until), length, slack, "what is in it")


def _together(seen: Watched, source: Watched, *, speed: float = 1.0, slack: float = 0.0) -> None:
    if seen.offset is not None and source.offset is not None:
        # Loudness is looked at in pieces of 10 ms, at both ends.
        _near(seen.offset, source.offset / speed, _OFFSET + slack, "the sound after the picture")


def _looks_like(picture: bytes, other: bytes) -> None:
    apart = distance(picture, other)
    assert apart < 20, f"the picture is {apart:.0f} away from that of its source"


def _same_frames(seen: Watched, source: Watched, first: int = 0, last: int | None = None) -> None:
    times = source.times[first:last]
    if source.uneven and len(seen.times) != len(times):
        assert len(seen.times) >= _UNEVEN * len(times), f"{len(seen.times)} frames of {len(times)}"
        return
    assert len(seen.times) == len(times), f"{len(seen.times)} frames, not {len(times)}"
    apart = [
        abs((one - seen.times[0]) - (other - times[0]))
        for one, other in zip(seen.times, times, strict=True)
    ]
    # Encoded frames stand on a grid of the source's rate, the first as well.
    assert max(apart) <= source.gap + _ROUNDED, f"a frame is shown {max(apart):.3f} s from its time"
    _looks_like(seen.pictures[0], source.pictures[first])


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


def _as_it_was(
    wish: Mapping[str, Any], source: Source, plan: Plan, artifacts: tuple[Artifact, ...]
) -> None:
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
        _near(after[0] / after[1], before[0] / before[1], 2.5 * max(after) / min(after) ** 2, "the shape")


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
        most += sum(begin - _ROUNDED <= time < end + _ROUNDED for time in source.seen.times)
        least += sum(begin + _ROUNDED <= time < end - _ROUNDED for time in source.seen.times)
    if source.seen.uneven:
        least = int(least * _UNEVEN)
    if _free(artifact):
        assert least <= len(seen.times) <= most, f"{len(seen.times)} frames, not {least} to {most}"
    _lengths(seen, source.seen, length, slack=0.05 * (len(kept) - 1), told=_tells(artifact))
    if len(kept) == 1:
        _together(seen, source.seen)
        first = next(at for at, time in enumerate(source.seen.times) if time >= kept[0][0] - _ROUNDED)
        _looks_like(seen.pictures[0], source.seen.pictures[first])


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
    _lengths(seen, source.seen, _whole(source.seen) / factor, slack=2 * source.seen.gap / factor, told=_tells(artifact))
    dropped = source.seen.gap if factor > 1 else 0.0
    _together(seen, source.seen, speed=factor, slack=dropped)
    _tracks(seen, source.seen, artifact)
    _looks_like(seen.pictures[0], source.seen.pictures[0])


def _reversed(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    assert seen.tracks == (0 if wish.get("sound") == "muted" else source.seen.tracks)
    # Where the source shows nothing, at its ends or in between, the frame before stays.
    assert len(seen.times) >= len(source.seen.times)
    _near(seen.shown_until, source.media.duration, 0.15 + seen.gap, "what is shown")
    _looks_like(seen.pictures[0], source.seen.pictures[-1])
    _looks_like(seen.pictures[-1], source.seen.pictures[0])


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
    _near(seen.shown_until, length, 0.15 + 2 / wish.get("fps", 12) + source.seen.gap, "the length")
    assert not seen.tracks


def _joined(wish: Mapping[str, Any], source: Source, _: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    more = len(wish.get("before") or ()) + len(wish.get("after") or ())
    shown = source.media.main_video.duration if source.media.main_video else None
    length = (shown or source.media.duration) + OTHER_CLIP.seconds * more
    _near(seen.shown_until, length, 0.15 + (2 + more) * seen.gap, "the length")
    assert seen.tracks == 1


def _streamed(_: Mapping[str, Any], source: Source, __: Plan, artifacts: tuple[Artifact, ...]) -> None:
    (artifact,) = artifacts
    seen = watch(artifact.path)
    _near(seen.shown_until, source.seen.shown_until, 0.15 + 2 * seen.gap, "the length")
    # Frames are shown before they are stored, as CMAF has it; this tool moves all of them by that, players
    # do not. So the picture counts from its first frame.
    if seen.offset is not None and source.seen.offset is not None:
        _near(seen.offset + seen.times[0], source.seen.offset, _OFFSET + seen.gap, "the sound")
    _looks_like(seen.pictures[0], source.seen.pictures[0])


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
    "pipeline": _anything,
    "replace_audio": _anything,
}


# ---------------------------------------------------------------------------------------------- the tests

_MANY = int(os.environ.get("VIDEOPROC_PROPERTIES", "0"))


@pytest.fixture(scope="module")
def studio(clips: Clips) -> Studio:
    return Studio(clips)


@pytest.mark.parametrize("type_", list(operations()))
@settings(
    max_examples=_MANY or 2,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@seed(4)
@given(data=st.data())
def test_every_wish_is_fulfilled_or_refused(type_: str, studio: Studio, data: st.DataObject) -> None:
    check(studio, type_, data.draw(random_clips()), data.draw(likely(type_)))


# Codecs whose encodes can be divided, in files whose frames have any times.
_DIVISIBLE = st.sampled_from(
    [
        ("convert", {"format": "mp4", "quality": "medium"}),
        ("convert", {"format": "mkv", "video_codec": "hevc", "quality": "low", "preset": "fastest"}),
        ("resize", {"width": 80}),
        ("rotate", {"degrees": 90}),
    ]
)


@settings(
    max_examples=_MANY or 4,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@seed(4)
@given(data=st.data())
def test_any_number_of_segments_has_the_same_frames(studio: Studio, data: st.DataObject) -> None:
    clip = replace(data.draw(random_clips()), gop=data.draw(st.sampled_from([5, 12])), seconds=2.0)
    type_, wish = data.draw(_DIVISIBLE)
    check_segments(studio, type_, clip, wish, data.draw(st.sampled_from([0.3, 0.5, 0.8])))


def check_segments(
    studio: Studio, type_: str, clip: RandomClip, wish: Mapping[str, Any], seconds: float
) -> bool:
    """Encode it whole and in segments, and compare. False where it cannot be divided."""
    source = studio.source(clip)
    plan, _ = studio.planned(type_, wish, source)
    pieces = divided(plan, source.media, Machine(cores=2, slots=2), seconds=seconds)
    if pieces == plan:
        return False
    work_dir = Path(tempfile.mkdtemp(dir=source.path.parent))
    try:
        whole, together = (_done(one, source, work_dir) for one in (plan, pieces))
        assert whole.times == pytest.approx(together.times, abs=_ROUNDED)
        assert whole.duration == pytest.approx(together.duration, abs=0.002 + whole.gap / 2)
        assert whole.tracks == together.tracks
        for at in range(0, len(whole.times), 5):
            _looks_like(whole.pictures[at], together.pictures[at])
        if whole.offset is not None and together.offset is not None:
            _near(together.offset, whole.offset, 0.011, "the sound after the picture")
    finally:
        shutil.rmtree(work_dir)
    return True


def _done(plan: Plan, source: Source, work_dir: Path) -> Watched:
    """What comes out of all steps, one after the other."""
    parts: dict[str, Path] = {}
    for step in plan.steps:
        result = execute(
            plan,
            step.position,
            sources={SOURCE: source.path},
            parts=parts,
            work_dir=work_dir / f"{len(plan.steps)}-{step.position}",
            limits=LIMITS,
            on_progress=lambda _: None,
            control=Control(),
        )
        parts |= result.parts
    (artifact,) = result.artifacts
    return watch(artifact.path)
