"""Exact cuts that copy all but the edges: the very frames at their times, and sound that stays with them."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import pytest

from engine import avc
from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import StepResult, execute
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from problems import Problem
from tests.engine.clips import H264, Clips, ffmpeg, sound
from tests.engine.results import frames, loudest, nearest, only, raw_probe
from tests.engine.test_trim import moving, taken_in

B_FRAMES = {
    "none": ("-bf", "0"),
    "some": ("-bf", "2", "-x264-params", "b-pyramid=none"),
    "pyramid": ("-bf", "3", "-x264-params", "b-pyramid=normal"),
}


def cut(
    source: Path, tmp_path: Path, wish: dict[str, object], media: MediaInfo | None = None
) -> tuple[Plan, StepResult]:
    plan = plan_for("trim", parameters_for("trim", wish), media or taken_in(source, tmp_path))
    result = execute(
        plan,
        0,
        sources={SOURCE: source},
        work_dir=tmp_path / "work",
        limits=Limits(),
        on_progress=lambda _: None,
        control=Control(),
    )
    return plan, result


def shown(path: Path) -> list[float]:
    """When each frame is shown, in seconds, in order."""
    packets = raw_probe(path, "-show_packets", "-select_streams", "v:0")["packets"]
    return sorted(float(packet["pts_time"]) for packet in packets)


@pytest.mark.parametrize(
    ("muxer", "order", "part"),
    [
        ("mp4", "none", (0.6, 4.3)),
        ("mp4", "some", (1.0, 3.5)),
        ("mp4", "pyramid", (1.5, 4.0)),
        ("mov", "pyramid", (0.52, 5.0)),
        ("mov", "none", (2.0, 4.0)),
        ("matroska", "some", (0.6, 4.3)),
        ("matroska", "pyramid", (1.5, 4.0)),
    ],
)
def test_the_very_frames_are_there(
    clips: Clips, tmp_path: Path, muxer: str, order: str, part: tuple[float, float]
) -> None:
    start, end = part
    source = moving(clips, f"order-{order}", muxer, *B_FRAMES[order])
    plan, result = cut(source, tmp_path, {"start": start, "end": end})
    assert plan.steps[0].kind == "cut"
    assert "quick way does not work" not in result.log
    path = only(result).path
    whole, found = frames(source), frames(path)
    expected = range(round(start * 25), round(end * 25))
    assert [nearest(picture, whole) for picture in found] == list(expected)
    steps = [later - earlier for earlier, later in pairwise(shown(path))]
    assert steps == pytest.approx([0.04] * len(steps), abs=0.0011)


def test_sound_stays_with_the_picture(clips: Clips, tmp_path: Path) -> None:
    """The tone is under the third second of the source, wherever that comes to be."""
    source = moving(clips)
    _, result = cut(source, tmp_path, {"start": 0.7, "end": 4.4})
    path = only(result).path
    heard = [number for number, piece in enumerate(loudest(path)) if piece > 0.5]
    begun = shown(path)[0]
    assert heard[0] / 100 == pytest.approx(2 - 0.7 + begun - (0.72 - 0.7), abs=0.04)
    assert heard[-1] / 100 == pytest.approx(3 - 0.7 + begun - (0.72 - 0.7), abs=0.04)


def test_several_parts_become_one_video(clips: Clips, tmp_path: Path) -> None:
    source = moving(clips)
    plan, result = cut(source, tmp_path, {"ranges": "0.6-2.2, 2.8-4.6"})
    assert plan.steps[0].kind == "cut"
    assert "quick way does not work" not in result.log
    path = only(result).path
    whole = frames(source)
    expected = [*range(15, 55), *range(70, 115)]
    assert [nearest(picture, whole) for picture in frames(path)] == expected
    # Heard from 2 to 2.2 and from 2.8 to 3 of the source: from 1.4 to 1.8 of the result.
    heard = [number for number, piece in enumerate(loudest(path)) if piece > 0.5]
    assert heard[0] / 100 == pytest.approx(1.4, abs=0.03)
    assert heard[-1] / 100 == pytest.approx(1.8, abs=0.03)


@pytest.mark.parametrize("muxer", ["mp4", "mpegts"])
def test_removed_parts_are_gone(clips: Clips, tmp_path: Path, muxer: str) -> None:
    source = moving(clips, muxer=muxer)
    plan, result = cut(source, tmp_path, {"start": 1.2, "end": 2.4, "action": "remove"})
    assert plan.steps[0].kind == ("cut" if muxer == "mp4" else "encode")
    whole = frames(source)
    found = [nearest(picture, whole) for picture in frames(only(result).path)]
    assert found == [*range(30), *range(60, 125)]


def test_both_parameter_sets_are_in_the_header(clips: Clips, tmp_path: Path) -> None:
    _, result = cut(moving(clips), tmp_path, {"start": 0.6, "end": 4.3})
    data = only(result).path.read_bytes()
    at = data.index(b"avcC") + 4
    assert data[at + 5] & 0x1F == 2
    assert data.index(b"moov") < data.index(b"mdat")


def test_open_groups_are_no_places_to_cut(clips: Clips, tmp_path: Path) -> None:
    source = clips.made(
        "open-groups", "-i", moving(clips), "-c:a", "copy", "-c:v", "libx265", "-preset", "ultrafast",
        "-x265-params", "open-gop=1:keyint=25:min-keyint=25:scenecut=0:bframes=3:log-level=error",
        "-tag:v", "hvc1", "-f", "mp4",
    )  # fmt: skip
    packets = raw_probe(source, "-show_packets", "-select_streams", "v:0")["packets"]
    assert [float(item["pts_time"]) for item in packets if "K" in item["flags"]] == [0, 1, 2, 3, 4]
    media = taken_in(source, tmp_path)
    # Only the one at 1.0 has frames behind it that are shown before it.
    assert media.video[0].key_frames == (0.0, 2.0, 3.0, 4.0)


def test_what_cannot_be_joined_is_encoded_instead(clips: Clips, tmp_path: Path) -> None:
    """Told of places that are none, the quick way fails, and the result is right all the same."""
    source = moving(clips)
    media = taken_in(source, tmp_path)
    stream = media.video[0].model_copy(update={"key_frames": (0.0, 1.48, 2.48, 3.48)})
    wrong = media.model_copy(update={"video": (stream,)})
    plan, result = cut(source, tmp_path, {"start": 0.6, "end": 4.3}, wrong)
    assert plan.steps[0].kind == "cut"
    assert "quick way does not work" in result.log
    whole = frames(source)
    found = [nearest(picture, whole) for picture in frames(only(result).path)]
    assert found == list(range(15, 108))


def test_uneven_times_are_kept(clips: Clips, tmp_path: Path) -> None:
    """Frames that are held for one, two or three ticks."""
    source = clips.made(
        "uneven", "-i", moving(clips),
        "-vf", "select='not(mod(n,3))+not(mod(n,7))'", "-fps_mode", "passthrough",
        *H264, "-g", "12", "-sc_threshold", "0", "-c:a", "copy", "-f", "mp4",
    )  # fmt: skip
    before = shown(source)
    plan, result = cut(source, tmp_path, {"start": 0.9, "end": 4.1})
    assert plan.steps[0].kind == "cut"
    wanted = [moment for moment in before if 0.8985 <= moment < 4.0985]
    assert shown(only(result).path) == pytest.approx([moment - 0.9 for moment in wanted], abs=0.001)


@pytest.mark.parametrize("muxer", ["mp4", "matroska"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_picture_stays_turned(clips: Clips, tmp_path: Path, muxer: str, degrees: int) -> None:
    """As telephones record it: stored lying down, to be shown upright."""
    turned = clips.made(
        f"turned-{degrees}-{muxer}",
        "-display_rotation",
        str(degrees),
        "-i",
        moving(clips),
        "-c",
        "copy",
        "-f",
        muxer,
    )
    plan, result = cut(turned, tmp_path, {"start": 0.6, "end": 4.3})
    assert plan.steps[0].kind == "cut"
    artifact = only(result)
    assert artifact.media_info is not None
    before, after = taken_in(turned, tmp_path / "again").video[0], artifact.media_info.video[0]
    assert (after.rotation, after.width) == (before.rotation, before.width) == (360 - degrees, 320)
    whole = frames(turned, width=18, height=32)
    found = [nearest(picture, whole) for picture in frames(artifact.path, width=18, height=32)]
    assert found == list(range(15, 108))


def test_a_source_that_begins_late_is_cut_where_asked(clips: Clips, tmp_path: Path) -> None:
    source = clips.made(
        "late", "-i", moving(clips), "-c", "copy", "-output_ts_offset", "0.4", "-f", "matroska"
    )
    plan, result = cut(source, tmp_path, {"start": 0.6, "end": 4.3})
    assert plan.steps[0].kind == "cut"
    whole = frames(source)
    assert [nearest(picture, whole) for picture in frames(only(result).path)] == list(range(15, 108))


@pytest.mark.parametrize(
    ("wish", "pointer", "code"),
    [
        ({"ranges": "1-2, 3"}, "/parameters/ranges", "range"),
        ({"ranges": [{"start": 2, "end": 1}]}, "/parameters/ranges/0/end", "too_small"),
        ({"ranges": [], "start": None}, "/parameters/ranges", "too_short"),
        ({"ranges": "1-2", "start": 1}, "/parameters/ranges", "conflict"),
        ({"ranges": "1-2", "mode": "keyframe"}, "/parameters", "conflict"),
        ({"ranges": 7}, "/parameters/ranges", "not_a_list"),
    ],
)
def test_bad_ranges_are_named(wish: dict[str, object], pointer: str, code: str) -> None:
    with pytest.raises(Problem) as raised:
        parameters_for("trim", wish)
    assert (raised.value.errors[0].pointer, raised.value.errors[0].code) == (pointer, code)


def test_nothing_left_is_refused(clips: Clips, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Nothing would be left"):
        cut(moving(clips), tmp_path, {"start": 0, "action": "remove"})


def test_a_header_without_place_is_refused(clips: Clips, tmp_path: Path) -> None:
    raw = tmp_path / "sets.h264"
    raw.write_bytes(b"\x00\x00\x00\x01\x67\x00\x00\x00\x01\x68")
    audio = tmp_path / "audio.mp4"
    ffmpeg(*sound(seconds=1), "-f", "mp4", audio)
    for path, text in (
        (audio, "no H.264"),
        (clips.written("no-boxes", struct.pack(">I4s", 0, b"free")), "the end"),
    ):
        with pytest.raises(avc.NoPlace, match=text):
            avc.add_parameter_sets(path, raw)
