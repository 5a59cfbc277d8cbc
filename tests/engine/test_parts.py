"""Runs that read more than the source: parts of earlier steps, one after the other and side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.control import Control
from engine.execute import StepResult, execute
from engine.types.limits import Limits
from engine.types.plan import Expectation, ExpectedStream, Lane, OutputPlan, Plan, StepPlan
from engine.types.recipes import SOURCE, FileRecipe, Input, Run, StreamRecipe
from problems import Problem
from tests.engine.clips import CONTAINERS, Clips, picture, sound

FRAMES = 50


def _video(**options: str | int) -> StreamRecipe:
    return StreamRecipe(
        kind="video",
        source_index=0,
        action="encode",
        encoder="libx264",
        options={"preset": "ultrafast", **options},
    )


def _part(name: str, start: float, length: float) -> Run:
    recipe = FileRecipe(part=name, muxer="matroska", streams=(_video(),))
    return Run(inputs=(Input(start=start, length=length),), expected_duration=length, files=(recipe,))


def _joined(*parts: str) -> Plan:
    """Pictures in two parts made by one step, sound in a part of another, put together by a third."""
    track = StreamRecipe(kind="audio", source_index=1, action="copy")
    copied = StreamRecipe(kind="video", source_index=0, action="copy")
    output = OutputPlan(
        role="video",
        container="mp4",
        extension="mp4",
        content_type="video/mp4",
        expectation=Expectation(
            container="mp4",
            streams=(
                ExpectedStream(kind="video", codec="h264", copied=True),
                ExpectedStream(kind="audio", codec="aac", copied=True),
            ),
            duration=2.0,
        ),
    )
    encode = StepPlan(
        position=0, kind="encode", lane=Lane.ENCODE, runs=(_part("a.mkv", 0.0, 1.0), _part("b.mkv", 1.0, 1.0))
    )
    listen = StepPlan(
        position=1,
        kind="audio",
        lane=Lane.ENCODE,
        runs=(
            Run(expected_duration=2.0, files=(FileRecipe(part="s.mkv", muxer="matroska", streams=(track,)),)),
        ),
    )
    join = StepPlan(
        position=2,
        kind="assemble",
        lane=Lane.SHORT,
        needs=(0, 1),
        runs=(
            Run(
                inputs=(Input(parts=parts), Input(parts=("s.mkv",))),
                expected_duration=2.0,
                files=(
                    FileRecipe(
                        role="video",
                        muxer="mp4",
                        streams=(copied, track.model_copy(update={"input": 1, "source_index": 0})),
                    ),
                ),
            ),
        ),
    )
    return Plan(operation="join", summary="", streams=(), outputs=(output,), steps=(encode, listen, join))


def _run(
    plan: Plan, position: int, source: Path, work_dir: Path, parts: dict[str, Path] | None = None
) -> StepResult:
    return execute(
        plan,
        position,
        sources={SOURCE: source},
        parts=parts,
        work_dir=work_dir,
        limits=Limits(),
        on_progress=lambda _: None,
        control=Control(),
    )


def test_parts_of_earlier_steps_become_one_file_without_a_frame_lost(clips: Clips, tmp_path: Path) -> None:
    source = clips.made("to-be-joined", *picture("160x90", seconds=2), *sound(seconds=2), *CONTAINERS["mp4"])
    plan = _joined("a.mkv", "b.mkv")
    pictures = _run(plan, 0, source, tmp_path / "0")
    tracks = _run(plan, 1, source, tmp_path / "1")
    assert pictures.artifacts == tracks.artifacts == ()
    made = _run(plan, 2, source, tmp_path / "2", {**pictures.parts, **tracks.parts})
    (artifact,) = made.artifacts
    assert made.parts == {}
    assert artifact.media_info is not None
    assert artifact.media_info.video[0].frames == FRAMES
    assert artifact.media_info.duration == pytest.approx(2.0, abs=0.05)


def test_a_part_that_is_gone_is_named_as_such(clips: Clips, tmp_path: Path) -> None:
    source = clips.container("mp4")
    with pytest.raises(Problem) as raised:
        _run(_joined("a.mkv", "b.mkv"), 2, source, tmp_path / "2", {"a.mkv": tmp_path / "nowhere"})
    assert raised.value.code == "part_missing"
    assert raised.value.retryable


def test_a_part_written_by_the_same_step_needs_no_link(clips: Clips) -> None:
    plan = _joined("a.mkv", "b.mkv")
    assert plan.parts_for(plan.steps[0]) == frozenset()
    assert plan.parts_for(plan.steps[2]) == {"a.mkv", "b.mkv", "s.mkv"}
