"""Operations that read other videos as well: join, and replace_audio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.catalogue import others_for, parameters_for, plan_for
from engine.control import Control
from engine.execute import execute
from engine.operation import Holds
from engine.probe import probe
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from engine.types.results import Artifact
from engine.whitelist import UPLOADS
from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.results import distance, duration, frames, loudest, only, raw_probe, size

ONE, TWO = "vid_" + "1" * 32, "vid_" + "2" * 32


def look(path: Path) -> MediaInfo:
    return probe(path, reading=UPLOADS, limits=Limits(), control=Control()).media


def planned(type_: str, wish: Mapping[str, object], source: Path, others: Mapping[str, Path]) -> Plan:
    held = {name: look(path) for name, path in others.items()}
    return plan_for(type_, parameters_for(type_, wish), look(source), held)


def made(
    type_: str, wish: Mapping[str, object], source: Path, others: Mapping[str, Path], work_dir: Path
) -> Artifact:
    result = execute(
        planned(type_, wish, source, others),
        0,
        sources={SOURCE: source, **others},
        work_dir=work_dir,
        limits=Limits(),
        on_progress=lambda _: None,
        control=Control(),
    )
    return only(result)


def one_colour(clips: Clips, colour: str, shape: str, rate: int, *, tone: bool, muxer: str = "mp4") -> Path:
    """A second of one colour, with a loud tone or without any sound track."""
    tones = ["-f", "lavfi", "-i", "sine=f=440:d=1,volume=8"] if tone else []
    source = ["-f", "lavfi", "-i", f"color=c={colour}:s={shape}:r={rate}:d=1"]
    return clips.made(f"join-{colour}", *source, *tones, *H264, "-f", muxer)


def test_videos_of_all_shapes_become_one(clips: Clips, tmp_path: Path) -> None:
    """Wide and tall, 25 and 30 frames a second, with and without sound."""
    main = one_colour(clips, "white", "160x90", 25, tone=True)
    tall = one_colour(clips, "gray", "90x160", 30, tone=False, muxer="matroska")
    wide = one_colour(clips, "black", "320x180", 24, tone=True, muxer="mov")
    wish = {"before": [ONE], "after": [TWO, ONE]}
    path = made("join", wish, main, {ONE: tall, TWO: wide}, tmp_path).path
    assert size(path) == (160, 90)
    assert duration(path) == pytest.approx(4, abs=0.1)
    shown = frames(path)
    assert len(shown) == pytest.approx(100, abs=2)
    # The middle of each second, in the middle of the picture: the tall one has black at its sides.
    middles = [shown[at][9 * 32 + 16] for at in (12, 37, 62, 87)]
    assert middles == pytest.approx([128, 255, 0, 128], abs=12)
    assert shown[12][9 * 32 + 2] == pytest.approx(0, abs=6)
    # Silent where there is no sound track, and the tone exactly where its video is.
    heard = [number for number, piece in enumerate(loudest(path)) if piece > 0.5]
    assert heard[0] / 100 == pytest.approx(1, abs=0.06)
    assert heard[-1] / 100 == pytest.approx(3, abs=0.06)


def test_videos_without_sound_stay_silent(clips: Clips, tmp_path: Path) -> None:
    silent = one_colour(clips, "gray", "90x160", 30, tone=False, muxer="matroska")
    path = made("join", {"after": [ONE]}, silent, {ONE: silent}, tmp_path).path
    assert [stream["codec_type"] for stream in raw_probe(path)["streams"]] == ["video"]
    assert duration(path) == pytest.approx(2, abs=0.1)


def test_the_sound_of_another_video(clips: Clips, tmp_path: Path) -> None:
    main = clips.made("scene", *picture("160x90", seconds=3), *sound(880), *H264, "-f", "mp4")
    other = one_colour(clips, "white", "160x90", 25, tone=True)
    path = made("replace_audio", {"sound": ONE, "start": 0.4}, main, {ONE: other}, tmp_path).path
    probed = raw_probe(path)
    assert [stream["codec_type"] for stream in probed["streams"]] == ["video", "audio"]
    pieces = loudest(path)
    # What is left of the tone, then silence until the picture ends.
    assert min(pieces[5:55]) > 0.5
    assert max(pieces[70:280]) < 0.01
    assert float(probed["streams"][1]["duration"]) == pytest.approx(3, abs=0.05)
    before, after = frames(main), frames(path)
    assert len(before) == len(after)
    assert distance(before[40], after[40]) == 0


def test_the_old_sound_can_stay(clips: Clips, tmp_path: Path) -> None:
    main = clips.made("scene", *picture("160x90", seconds=3), *sound(880), *H264, "-f", "mp4")
    other = one_colour(clips, "white", "160x90", 25, tone=True)
    path = made("replace_audio", {"sound": ONE, "keep": True}, main, {ONE: other}, tmp_path).path
    streams = raw_probe(path)["streams"]
    assert [stream["codec_type"] for stream in streams] == ["video", "audio", "audio"]
    assert [stream["disposition"]["default"] for stream in streams] == [1, 1, 0]


def test_the_catalogue_says_what_else_is_read() -> None:
    wish = parameters_for("join", {"before": [ONE], "after": [TWO, ONE]})
    assert others_for("join", wish) == {ONE: Holds.PICTURE, TWO: Holds.PICTURE}
    assert others_for("replace_audio", parameters_for("replace_audio", {"sound": TWO})) == {TWO: Holds.SOUND}
    assert others_for("mute", parameters_for("mute", {})) == {}


@pytest.mark.parametrize(
    ("type_", "wish", "pointer", "code"),
    [
        ("join", {}, "/parameters", "required"),
        ("join", {"after": ["vid_../../etc"]}, "/parameters/after/0", "not_a_choice"),
        ("join", {"after": [ONE] * 21}, "/parameters/after", "too_long"),
        ("replace_audio", {}, "/parameters/sound", "required"),
        ("replace_audio", {"sound": ONE, "track": 0}, "/parameters/track", "too_small"),
    ],
)
def test_bad_wishes_are_named(type_: str, wish: dict[str, object], pointer: str, code: str) -> None:
    with pytest.raises(Problem) as raised:
        parameters_for(type_, wish)
    assert [(error.pointer, error.code) for error in raised.value.errors] == [(pointer, code)]


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"sound": ONE}, "holds no sound"),
        ({"sound": TWO, "track": 2}, "has 1 sound track"),
        ({"sound": TWO, "start": 5}, "it ends at"),
    ],
)
def test_what_the_other_video_does_not_have(clips: Clips, wish: dict[str, object], text: str) -> None:
    main = clips.made("scene", *picture("160x90", seconds=3), *sound(880), *H264, "-f", "mp4")
    silent = one_colour(clips, "gray", "90x160", 30, tone=False, muxer="matroska")
    loud = one_colour(clips, "white", "160x90", 25, tone=True)
    others = {name: path for name, path in ((ONE, silent), (TWO, loud)) if name == wish["sound"]}
    with pytest.raises(Problem, match=text) as raised:
        planned("replace_audio", wish, main, others)
    assert raised.value.code == "parameters_do_not_fit"
