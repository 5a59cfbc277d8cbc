"""Random videos and random wishes: each is refused with a reason, or gives what was asked for.

The results are looked at by a decoder and with rules of these tests' own. `VIDEOPROC_PROPERTIES=40` tries so
many of each operation, at random; without it a few that are always the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
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
from engine.types.limits import Limits
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from engine.types.results import Artifact
from problems import Problem
from tests.engine.clips import Clips
from tests.engine.judging import OTHER_CLIP, ROUNDED, Source, judge, looks_like, near
from tests.engine.random_clips import RandomClip, random_clips
from tests.engine.test_every_wish import wishes
from tests.engine.watching import Watched, watch

OTHER = "vid_" + "2" * 32
LIMITS = Limits(threads=2, stall_seconds=60)

_REFUSED = {"parameters_do_not_fit", "no_audio_stream"}
# What only a look at the whole video can tell.
_REFUSED_LATE = {"parameters_do_not_fit"}

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
    "sizes": st.lists(st.sampled_from([64, 90, 96, 144]), min_size=1, max_size=2),
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
            _expect(problem, _REFUSED)
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
            _expect(problem, _REFUSED_LATE)
            return None
        assert all(artifact.verification.passed for artifact in result.artifacts)
        return plan, result.artifacts


def _expect(problem: Problem, codes: set[str]) -> None:
    if problem.code not in codes:
        raise AssertionError(f"{problem.code}: {problem.detail}") from problem


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
        judge(type_, wish, source, plan, artifacts)
    finally:
        shutil.rmtree(work_dir)
    return True


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
_DIVISIBLE: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.sampled_from(
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
        assert whole.times == pytest.approx(together.times, abs=ROUNDED)
        assert whole.duration == pytest.approx(together.duration, abs=0.002 + whole.gap / 2)
        assert whole.tracks == together.tracks
        for at in range(0, len(whole.times), 5):
            looks_like(whole.pictures[at], together.pictures[at])
        if whole.offset is not None and together.offset is not None:
            near(together.offset, whole.offset, 0.011, "the sound after the picture")
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


@settings(
    max_examples=_MANY or 3,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@seed(5)
@given(data=st.data())
def test_shots_of_one_camera_keep_all_frames(studio: Studio, data: st.DataObject) -> None:
    codec, container = data.draw(st.sampled_from(_CAMERAS))
    first = replace(data.draw(random_clips()), **_camera(codec, container))
    check_shots(studio, first, replace(first, seconds=data.draw(st.sampled_from([0.9, 1.6]))))


_CAMERAS = [
    ("h264", "mp4"),
    ("h264", "mov"),
    ("hevc", "mp4"),
    ("h264", "mkv"),
    ("mpeg4", "mkv"),
    ("vp9", "mp4"),
]


def _camera(codec: str, container: str) -> dict[str, Any]:
    """What makes a random clip one that can be joined as it is, mostly."""
    same = {"codec": codec, "container": container, "sound": "aac", "size": (160, 90)}
    return {**same, "interlaced": False, "cut": 0.0}


def check_shots(studio: Studio, first: RandomClip, second: RandomClip) -> bool:
    """Join two and compare with both. False where they are encoded."""
    one, other = studio.source(first), studio.source(second)
    plan = plan_for("join", parameters_for("join", {"after": [OTHER]}), one.media, {OTHER: other.media})
    work_dir = Path(tempfile.mkdtemp(dir=one.path.parent))
    try:
        (step,) = plan.steps
        result = execute(
            plan,
            step.position,
            sources={SOURCE: one.path, OTHER: other.path},
            work_dir=work_dir,
            limits=LIMITS,
            on_progress=lambda _: None,
            control=Control(),
        )
        seen = watch(result.artifacts[0].path)
    finally:
        shutil.rmtree(work_dir)
    lasts = max(seen.shown_until, seen.heard_until)
    near(lasts, one.seen.shown_until + other.seen.shown_until, 0.15 + 4 * seen.gap, "the length")
    if step.kind != "join" or "quick way does not work" in result.log:
        return False
    wanted = [*one.seen.pictures, *other.seen.pictures]
    assert len(seen.pictures) == len(wanted)
    for picture, original in zip(seen.pictures, wanted, strict=True):
        assert picture == original
    begin = seen.times[len(one.seen.times)]
    apart = [time - begin for time in seen.times[len(one.seen.times) :]]
    assert apart == pytest.approx([time - other.seen.times[0] for time in other.seen.times], abs=ROUNDED)
    return True
