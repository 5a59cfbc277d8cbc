"""pipeline: several operations in one run, and with a part between where one run cannot do it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.types.plan import Plan
from engine.types.recipes import Filter, StreamRecipe
from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import codecs, duration, frames, nearest, only, raw_probe
from tests.engine.results import size as size_of
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, SOUND, decisions, media, planned

Step = dict[str, object]


def step(type_: str, **parameters: object) -> Step:
    return {"type": type_, "parameters": parameters}


TRIM = step("trim", start=10, end=20)
CROP = step("crop", width=800, height=600)
RESIZE = step("resize", width=400)
MARK = step("watermark", text="© me")
CONVERT = step("convert", format="mkv", quality="high")


def chained(*steps: Step, **source: object) -> Plan:
    return planned("pipeline", media(**source), steps=list(steps))  # type: ignore[arg-type]  # any field


def recipes(plan: Plan) -> list[StreamRecipe]:
    (run,) = plan.steps[0].runs
    (file,) = run.files
    return list(file.streams)


def names(filters: tuple[Filter, ...]) -> list[str]:
    return [item.name for item in filters if item.name not in {"setsar", "format"}]


def test_five_operations_are_one_decode_and_one_encode() -> None:
    plan = chained(TRIM, CROP, RESIZE, MARK, CONVERT)
    (run,) = plan.steps[0].runs
    shown, heard = recipes(plan)
    assert names(shown.filters) == ["crop", "scale", "drawtext"]
    assert (shown.encoder, shown.options["crf"]) == ("libx264", 19)
    assert (run.inputs[0].start, run.inputs[0].length, run.font) == (10.0, 10.0, True)
    assert heard.action == "encode"
    (output,) = plan.outputs
    assert (output.container, output.expectation.duration) == ("mkv", 10.0)
    assert (output.expectation.streams[0].width, output.expectation.streams[0].height) == (400, 300)
    assert plan.summary.startswith("1. Trim: From 00:00:10.000 to 00:00:20.000")
    assert plan.summary.endswith("All in one pass.")


def test_what_can_be_copied_is_copied() -> None:
    plan = chained(step("mute"), step("convert", format="mov"))
    assert decisions(plan) == {0: ("copy", "h264"), 1: ("drop", "aac")}
    assert plan.steps[0].lane == "short"
    plan = chained(RESIZE, step("convert", format="mkv"))
    assert decisions(plan) == {0: ("encode", "h264"), 1: ("copy", "aac")}
    assert plan.outputs[0].expectation.streams[0].copied is False


def test_ranges_of_ranges_are_counted_from_the_source() -> None:
    plan = chained(
        RESIZE, TRIM, CROP | {"parameters": {"width": 200, "height": 100}}, step("trim", start=2, duration=3)
    )
    (run,) = plan.steps[0].runs
    assert (run.inputs[0].start, run.inputs[0].length) == (12.0, 3.0)
    assert run.files[0].options["t"] == "3.000"
    # Without an index the search begins earlier, and what is too much is thrown away.
    plan = chained(TRIM, step("trim", start=2, duration=3), container="ts")
    (run,) = plan.steps[0].runs
    assert (run.inputs[0].start, run.inputs[0].length) == (0.0, 15.0)
    assert (run.files[0].options["ss"], run.files[0].options["t"]) == ("12.000", "3.000")


def test_a_still_picture_or_a_stream_comes_last() -> None:
    plan = chained(TRIM, RESIZE, step("thumbnail", count=2))
    assert [run.inputs[0].start for run in plan.steps[0].runs] == [12.5, 17.5]
    assert all(names(run.files[0].streams[0].filters) == ["scale"] for run in plan.steps[0].runs)
    plan = chained(TRIM, MARK, step("hls", rungs=[480, 240]))
    (run,) = plan.steps[0].runs
    assert [file.member for file in run.files] == ["480p.mp4", "240p.mp4", "sound-1.mp4"]
    assert names(run.files[1].streams[0].filters) == ["drawtext", "scale"]
    with pytest.raises(Problem, match=r"Step 1 \(Thumbnail\) can only be the last"):
        chained(step("thumbnail"), RESIZE)


@pytest.mark.parametrize(
    "steps",
    [
        (step("speed", factor=2), step("trim", end=5)),
        (step("watermark", text="a", end=5), step("trim", start=2)),
        (step("speed", factor=2), step("loudness")),
        (TRIM, step("loudness")),
    ],
)
def test_a_part_lies_between_where_one_run_cannot_do_it(steps: tuple[Step, ...]) -> None:
    plan = chained(*steps, audio=(SOUND.model_copy(update={"index": 7}),))
    first, second = plan.steps[0].runs
    assert [file.part for file in first.files] == ["pass-1.mp4"]
    assert first.files[0].streams[0].options["crf"] == 8
    assert second.inputs[0].parts == ("pass-1.mp4",)
    assert [stream.source_index for stream in second.files[0].streams] == [0, 1]
    assert set(decisions(plan)) == {0, 7}
    assert plan.summary.endswith("In 2 passes, with a copy of nearly no loss between them.")


def test_loudness_is_measured_on_the_source_where_it_comes_first() -> None:
    plan = chained(step("loudness"), TRIM)
    (run,) = plan.steps[0].runs
    assert run.procedure is not None
    assert run.procedure.name == "loudness"
    assert chained(step("loudness"), step("mute")).steps[0].runs[0].procedure is None
    kept = chained(step("loudness", target=-20), RESIZE)
    assert kept.outputs[0].expectation.loudness == -20


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], {"/parameters/steps": "required"}),
        ([RESIZE] * 11, {"/parameters/steps": "too_long"}),
        (["resize"], {"/parameters/steps/0": "not_an_object"}),
        ([RESIZE, step("resize", width=1)], {"/parameters/steps/1/parameters/width": "too_small"}),
        ([RESIZE, step("resize")], {"/parameters/steps/1/parameters": "required"}),
        ([step("resize", width=64, colour=1)], {"/parameters/steps/0/parameters/colour": "unknown"}),
        ([step("pipeline", steps=[])], {"/parameters/steps/0/type": "not_a_choice"}),
        ([step("join", after=["vid_" + "1" * 32])], {"/parameters/steps/0/type": "not_a_choice"}),
        ([step("watermark", image="ast_1")], {"/parameters/steps/0/parameters/image": "not_a_choice"}),
        ([{"parameters": {}}], {"/parameters/steps/0/type": "required"}),
    ],
)
def test_a_wrong_step_is_pointed_at(steps: list[object], expected: dict[str, str]) -> None:
    assert refusals("pipeline", {"steps": steps}) == expected


def test_a_step_that_does_not_fit_what_the_one_before_makes_is_named() -> None:
    with pytest.raises(Problem, match=r"Step 2 \(Crop\): .*400 pixels wide"):
        chained(RESIZE, CROP)
    with pytest.raises(Problem, match=r"Step 2 \(Loudness\): ") as caught:
        chained(step("mute"), step("loudness"))
    assert caught.value.code == "parameters_do_not_fit"
    with pytest.raises(Problem, match="ends at 00:00:10"):
        chained(TRIM, step("trim", start=15))


def test_a_turned_and_wide_source_is_upright_for_the_next_step() -> None:
    turned = PICTURE.model_copy(update={"rotation": 90, "sample_aspect": (4, 3), "interlaced": True})
    plan = chained(RESIZE, step("crop", width=400, height=800), video=(turned,))
    assert names(recipes(plan)[0].filters) == ["bwdif", "scale", "crop"]


def _source(clips: Clips) -> Path:
    return clips.made(
        "chained", *picture("320x180", seconds=4), *sound(seconds=4), *H264, "-c:a", "aac", "-f", "mp4"
    )


def test_one_run_gives_the_frames_of_all_steps(clips: Clips, perform: Perform) -> None:
    source = _source(clips)
    steps = [
        step("trim", start=1, end=3),
        step("crop", width=160, height=90, x=160, y=0),
        step("rotate", degrees=180),
        step("watermark", text="me", size=20),
        step("convert", format="mkv", video_codec="h264"),
    ]
    path = only(perform("pipeline", {"steps": steps}, source)).path
    assert size_of(path) == (160, 90)
    assert codecs(path) == ["h264", "aac"]
    assert duration(path) == pytest.approx(2.0, abs=0.1)
    originals = frames(source, "crop=160:90:160:0", "hflip", "vflip")
    found = [nearest(picture_, originals) for picture_ in frames(path)[:50:7]]
    assert found == list(range(25, 75, 7))


def test_two_runs_give_the_frames_of_all_steps(clips: Clips, perform: Perform) -> None:
    source = _source(clips)
    steps = [step("speed", factor=2), step("trim", start=1), step("loudness", target=-20)]
    result = perform("pipeline", {"steps": steps}, source)
    path = only(result).path
    assert duration(path) == pytest.approx(1.0, abs=0.1)
    assert result.artifacts[0].role == "video"
    originals = frames(source)
    assert [nearest(one, originals) for one in frames(path)[::8]] == pytest.approx([50, 66, 82, 98], abs=1)


def test_a_chain_ends_in_a_stream(clips: Clips, perform: Perform) -> None:
    steps = [step("trim", start=1), step("resize", width=160), step("hls", rungs=[90], segment_seconds=2)]
    made = only(perform("pipeline", {"steps": steps}, _source(clips)))
    files = made.path.parent / "files"
    assert sum(name.name.endswith(".mp4") for name in files.iterdir()) == 2
    assert len(frames(files / "90p.mp4")) == 75
    assert raw_probe(files / "90p.mp4")["streams"][0]["width"] == 160
