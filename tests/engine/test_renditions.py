"""renditions: several files from one decode, and which sizes there are."""

from __future__ import annotations

import pytest

from engine.types.plan import Lane
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import codecs, distance, frames, size
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, decisions, media, planned
from tests.engine.watching import watch


def sizes(wish: str, **source: object) -> dict[str, tuple[int | None, int | None]]:
    plan = planned("renditions", media(video=(PICTURE.model_copy(update=source),)), sizes=wish)
    streams = {one.role: one.expectation.streams[0] for one in plan.outputs}
    return {role: (stream.width, stream.height) for role, stream in streams.items()}


def test_sizes_are_counted_from_the_short_side() -> None:
    assert sizes("480, 720, 480") == {"720p": (1280, 720), "480p": (854, 480)}
    assert sizes("720", rotation=90) == {"720p": (720, 1280)}
    assert sizes("1440, 720") == {"720p": (1280, 720)}
    assert sizes("2160") == {"1080p": (1920, 1080)}


def test_one_run_makes_all_files() -> None:
    plan = planned("renditions", media(), sizes=[1080, 720, 480], format="mp4")
    (step,) = plan.steps
    (run,) = step.runs
    assert step.lane is Lane.ENCODE
    assert [file.role for file in run.files] == ["1080p", "720p", "480p"]
    assert [file.streams[0].action for file in run.files] == ["copy", "encode", "encode"]
    assert decisions(plan) == {0: ("encode", "h264"), 1: ("copy", "aac")}
    why = next(one.why for one in plan.streams if one.kind == "video")
    assert why == "Decoded once and encoded as 1280x720, 854x480; in the source's own size it is copied."
    assert plan.summary == "3 files as MP4: 1920x1080, 1280x720, 854x480."


def test_encoders_that_need_too_much_memory_together_run_one_after_the_other() -> None:
    huge = PICTURE.model_copy(update={"width": 7680, "height": 4320})
    plan = planned("renditions", media(video=(huge,)), sizes="4000, 3000, 720")
    assert [len(run.files) for run in plan.steps[0].runs] == [1, 2]
    assert "Decoded 2 times, to spare memory," in plan.streams[0].why


def test_nothing_to_encode_is_quick() -> None:
    plan = planned("renditions", media(), sizes="1080")
    assert plan.steps[0].lane is Lane.SHORT
    assert plan.steps[0].kind == "remux"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"sizes": []}, {"/parameters/sizes": "required"}),
        ({"sizes": "720, big"}, {"/parameters/sizes/1": "not_an_integer"}),
        ({"sizes": [32]}, {"/parameters/sizes/0": "too_small"}),
        ({"sizes": [720], "format": "gif"}, {"/parameters/format": "not_a_choice"}),
    ],
)
def test_a_wrong_wish_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("renditions", raw) == expected


def test_every_file_is_the_video(clips: Clips, perform: Perform) -> None:
    source = clips.made(
        "rungs", *picture("320x180", seconds=2), *sound(seconds=2), *H264, "-c:a", "aac", "-f", "mp4"
    )
    result = perform("renditions", {"sizes": [180, 120, 64], "score": True}, source)
    found = {artifact.role: artifact for artifact in result.artifacts}
    assert {role: size(item.path) for role, item in found.items()} == {
        "180p": (320, 180),
        "120p": (214, 120),
        "64p": (114, 64),
    }
    shown = frames(source)
    for role, artifact in found.items():
        assert artifact.verification.passed
        assert codecs(artifact.path) == ["h264", "aac"]
        seen = watch(artifact.path)
        assert len(seen.times) == 50
        assert max(distance(*pair) for pair in zip(frames(artifact.path), shown, strict=True)) < 12
        quality = [check.actual for check in artifact.verification.report if check.name == "quality"]
        assert [line[:5] for line in quality] == ([] if role == "180p" else ["VMAF "])
    assert frames(found["180p"].path) == shown
    assert len([line for line in result.log.splitlines() if line.startswith("$ ")]) == 1
