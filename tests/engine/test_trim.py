"""trim: cut at the very frame, or without encoding where the plan says."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import execute
from engine.intake import intake
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from engine.types.results import Artifact
from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import codecs, duration, frames, loudest, nearest, only, raw_probe
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import decisions, media, planned

GROUPS = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-sc_threshold", "0"]


def moving(clips: Clips, name: str = "moving", muxer: str = "mp4", *options: str) -> Path:
    """Five seconds in which every frame differs; sound is silent but for the third second."""
    tone = "aevalsrc='if(between(t,2,3),sin(880*PI*t),0)':d=5:s=48000"
    # Colours that are not named are drawn anew each time, and some look alike in grey.
    colours = "n=4:c0=0x000000:c1=0xffffff:c2=0x303030:c3=0xc0c0c0"
    scene = f"gradients=s=320x180:r=25:d=5:speed=0.05:seed=7:{colours}"
    inputs = ["-f", "lavfi", "-i", scene, "-f", "lavfi", "-i", tone]
    return clips.made(f"{name}-{muxer}", *inputs, *GROUPS, *options, "-pix_fmt", "yuv420p", "-f", muxer)


@pytest.mark.parametrize("muxer", ["mp4", "matroska", "mpegts"])
@pytest.mark.parametrize(
    ("wish", "shown"),
    [
        ({"start": 1.4, "end": 2.6}, (35, 65)),
        ({"start": "00:00:02", "duration": "1.5"}, (50, 88)),
        ({"end": 0.52}, (0, 13)),
        ({"start": 4.2}, (105, 125)),
    ],
)
def test_an_exact_cut_has_the_very_frames(
    clips: Clips, perform: Perform, muxer: str, wish: dict[str, object], shown: tuple[int, int]
) -> None:
    source = moving(clips, muxer=muxer)
    cut = frames(only(perform("trim", wish, source)).path)
    whole = frames(source)
    assert len(cut) == shown[1] - shown[0]
    assert nearest(cut[0], whole) == shown[0]
    assert nearest(cut[-1], whole) == shown[1] - 1


def test_sound_is_cut_where_the_picture_is(clips: Clips, perform: Perform) -> None:
    pieces = loudest(only(perform("trim", {"start": 1.5, "end": 3.5}, moving(clips))).path)
    assert [piece > 0.5 for piece in (pieces[46], pieces[54], pieces[146], pieces[154])] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("muxer", ["mp4", "mov", "matroska"])
@pytest.mark.parametrize("times", [(2.5, 2.0), (2.0, 2.0), (1.98, 1.0), (0.4, 0.0)])
def test_a_cut_without_encoding_begins_where_the_plan_says(
    clips: Clips, tmp_path: Path, limits: Limits, muxer: str, times: tuple[float, float]
) -> None:
    source = moving(clips, muxer=muxer)
    start, begins = times
    plan, artifact = performed(source, tmp_path, limits, {"start": start, "end": 3.6, "mode": "keyframe"})
    assert {stream.action for stream in plan.streams} == {"copy"}
    assert f"from 00:00:0{begins:.3f} to about 00:00:03.600" in plan.summary
    assert codecs(artifact.path)[0] == "h264"
    assert duration(artifact.path) == pytest.approx(3.6 - begins, abs=0.25)
    whole, cut = frames(source), frames(artifact.path)
    assert nearest(cut[0], whole) == round(begins * 25)
    # The tone from the second to the third second of the source is still under the same pictures.
    heard = next(number for number, piece in enumerate(loudest(artifact.path)) if piece > 0.5)
    shown = float(raw_probe(artifact.path)["streams"][0]["start_time"])
    # Matroska has no edit lists, so there up to three blocks of sound from before it move the picture.
    assert shown <= (0.08 if muxer == "matroska" else 0.002)
    assert heard / 100 - shown == pytest.approx(2 - begins, abs=0.04)


def performed(source: Path, tmp_path: Path, limits: Limits, wish: dict[str, object]) -> tuple[Plan, Artifact]:
    plan = plan_for("trim", parameters_for("trim", wish), taken_in(source, tmp_path))
    result = execute(
        plan,
        0,
        sources={SOURCE: source},
        work_dir=tmp_path / "work",
        limits=limits,
        on_progress=lambda _: None,
        control=Control(),
    )
    return plan, only(result)


def taken_in(source: Path, tmp_path: Path) -> MediaInfo:
    return intake(
        source, tmp_path / "intake", limits=Limits(), on_progress=lambda _: None, control=Control()
    ).media


def test_the_intake_finds_key_frames(clips: Clips, tmp_path: Path) -> None:
    for muxer in ("mp4", "matroska"):
        stream = taken_in(moving(clips, muxer=muxer), tmp_path).main_video
        assert stream is not None
        assert stream.key_frames == pytest.approx((0.0, 1.0, 2.0, 3.0, 4.0), abs=0.002)
    stream = taken_in(moving(clips, muxer="mpegts"), tmp_path).main_video
    assert stream is not None
    assert stream.key_frames is None


def test_chapters_and_words_are_cut_too(clips: Clips, perform: Perform) -> None:
    words = clips.written("trim-words", b"1\n00:00:01,500 --> 00:00:02,500\nHello\n")
    marks = clips.written(
        "trim-marks",
        b";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n"
        b"[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=3000\ntitle=Two\n",
    )
    source = clips.made(
        "trim-tracks", *picture(), *sound(),
        "-f", "srt", "-i", words, "-f", "ffmetadata", "-i", marks,
        "-map", "0", "-map", "1", "-map", "2", "-map_chapters", "3",
        *H264, "-c:a", "aac", "-c:s", "srt", "-f", "matroska",
    )  # fmt: skip
    found = raw_probe(only(perform("trim", {"start": 1, "end": 2.5}, source)).path)
    chapters = [(item["tags"]["title"], float(item["start_time"]), float(item["end_time"]))
                for item in found["chapters"]]  # fmt: skip
    assert chapters == [("One", 0.0, 0.5), ("Two", 0.5, 1.5)]
    assert [stream["codec_name"] for stream in found["streams"]] == ["h264", "aac", "subrip"]


@pytest.mark.parametrize("mode", ["exact", "keyframe"])
@pytest.mark.parametrize("muxer", ["matroska", "mp4"])
def test_a_line_that_began_earlier_moves_nothing(
    clips: Clips, tmp_path: Path, limits: Limits, mode: str, muxer: str
) -> None:
    lines = b"1\n00:00:00,500 --> 00:00:02,900\nLong\n\n2\n00:00:03,200 --> 00:00:03,500\nShort\n"
    words = clips.written("long-line", lines)
    codec = {"mp4": "mov_text", "matroska": "srt"}[muxer]
    source = clips.made(
        f"long-line-{muxer}", "-i", moving(clips), "-f", "srt", "-i", words,
        "-map", "0", "-map", "1", "-c", "copy", "-c:s", codec, "-f", muxer,
    )  # fmt: skip
    wish = {"start": 2, "end": 4, "mode": mode}
    _, artifact = performed(source, tmp_path, limits, wish)
    assert duration(artifact.path) == pytest.approx(2, abs=0.25)
    streams = raw_probe(artifact.path)["streams"]
    assert float(streams[0]["start_time"]) == pytest.approx(0, abs=0.15)
    assert [stream["codec_type"] for stream in streams] == ["video", "audio", "subtitle"]
    heard = next(number for number, piece in enumerate(loudest(artifact.path)) if piece > 0.5)
    assert heard / 100 == pytest.approx(0, abs=0.15)


def test_a_track_that_has_ended_is_left_out(clips: Clips, perform: Perform) -> None:
    source = clips.made("short-sound", *picture(), *sound(seconds=1), *H264, "-c:a", "aac", "-f", "mp4")
    artifact = only(perform("trim", {"start": 1.5}, source))
    assert codecs(artifact.path) == ["h264"]
    longer = clips.made("short-picture", *picture(seconds=1), *sound(), *H264, "-c:a", "aac", "-f", "mp4")
    with pytest.raises(Problem, match="the picture ends at 00:00:01"):
        perform("trim", {"start": 2}, longer)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, {"/parameters": "required"}),
        ({"start": 2, "end": 2}, {"/parameters/end": "too_small"}),
        ({"start": 5, "end": 2}, {"/parameters/end": "too_small"}),
        ({"end": 2, "duration": 2}, {"/parameters/duration": "conflict"}),
        ({"duration": 0}, {"/parameters/duration": "too_small"}),
        ({"start": "nan"}, {"/parameters/start": "not_a_time"}),
        ({"start": float("nan")}, {"/parameters/start": "not_a_number"}),
        ({"start": -1}, {"/parameters/start": "too_small"}),
        ({"end": 1e308}, {"/parameters/end": "too_large"}),
        ({"start": 1, "mode": "smart"}, {"/parameters/mode": "not_a_choice"}),
    ],
)
def test_nonsense_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("trim", raw) == expected


def test_a_start_after_the_end_does_not_fit() -> None:
    with pytest.raises(Problem, match="the video ends at 00:01:00") as caught:
        planned("trim", media(), start=60)
    assert caught.value.code == "parameters_do_not_fit"


def test_an_end_after_the_end_is_the_end() -> None:
    plan = planned("trim", media(), start=50, end=70)
    assert plan.summary == "From 00:00:50.000 to 00:01:00.000, 00:00:10.000 long, cut exactly."
    assert plan.outputs[0].expectation.duration == 10
    assert decisions(plan) == {0: ("encode", "h264"), 1: ("encode", "aac")}


def test_where_copying_is_not_possible_the_exact_mode_is_offered() -> None:
    for source in (media(), media("wmv"), media("avi")):
        with pytest.raises(Problem, match="The exact mode can cut it") as caught:
            planned("trim", source, start=10, mode="keyframe")
        assert caught.value.code == "parameters_do_not_fit"
