"""subtitles: burned, added and extracted, with plain and with hostile words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.catalogue import others_for, parameters_for, plan_for
from engine.control import Control
from engine.execute import StepResult, execute
from engine.operation import Holds
from engine.probe import probe
from engine.small_files import SmallFile, small_file_intake
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from engine.whitelist import UPLOADS
from engine.words import cues_of
from problems import Problem
from tests.engine.clips import H264, Clips, sound
from tests.engine.results import codecs, duration, frames, only, raw_probe
from tests.engine.test_parameters import refusals

WORDS = "ast_" + "2" * 32
SRT = """1
00:00:00,500 --> 00:00:01,200
Hello <b>there</b>

2
00:00:01,600 --> 00:00:09,000
{\\blur99}Second line
"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour
Style: Default,Arial,20,&H00FFFFFF

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.20,Default,,0,0,0,,{\\i1}Slanted{\\i0} words
"""
GREY = ("-f", "lavfi", "-i", "color=c=gray:s=320x180:r=10:d=2")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> SmallFile:
    folder = tmp_path_factory.mktemp("words")
    (folder / "sent").write_text(SRT)
    return small_file_intake(folder / "sent", folder, control=Control())


def silent(clips: Clips) -> Path:
    return clips.made("grey", *GREY, *H264, "-f", "mp4")


def subtitled(clips: Clips, tmp_path: Path, text: str = ASS, muxer: str = "matroska") -> Path:
    (tmp_path / "words.ass").write_text(text)
    tracks = ("-map", "0:v", "-map", "1:a", "-map", "2:s", "-metadata:s:s:0", "language=deu")
    coded = (*H264, "-c:a", "aac", "-c:s", "ass" if muxer == "matroska" else "mov_text")
    name = f"subtitled-{muxer}-{len(text)}"
    return clips.made(
        name, *GREY, *sound(seconds=2), "-i", tmp_path / "words.ass", *tracks, *coded, "-f", muxer
    )


def look(path: Path) -> MediaInfo:
    return probe(path, reading=UPLOADS, limits=Limits(), control=Control()).media


def planned(wish: Mapping[str, object], source: Path, words: SmallFile | None = None) -> Plan:
    others = {} if words is None else {WORDS: words.media}
    return plan_for("subtitles", parameters_for("subtitles", wish), look(source), others)


def made(wish: Mapping[str, object], source: Path, work: Path, words: SmallFile | None = None) -> StepResult:
    plan = planned(wish, source, words)
    assert plan.others == (set() if words is None else {WORDS})
    return execute(
        plan,
        0,
        sources={SOURCE: source} if words is None else {SOURCE: source, WORDS: words.path},
        work_dir=work / "work",
        limits=Limits(),
        on_progress=lambda _: None,
        control=Control(),
    )


def lettered(path: Path) -> list[bool]:
    """Of each picture, whether something is drawn, at the bottom only."""
    shown = frames(path, width=96, height=54)
    assert all(abs(point - 128) < 12 for picture in shown for point in picture[: 96 * 27])
    return [any(abs(point - 128) > 25 for point in picture) for picture in shown]


def test_a_file_is_burned(clips: Clips, tmp_path: Path, words: SmallFile) -> None:
    result = made({"file": WORDS, "size": 12}, silent(clips), tmp_path, words)
    path = only(result).path
    assert lettered(path) == [5 <= at < 12 or at >= 16 for at in range(20)]
    assert codecs(path) == ["h264"]
    drawn = (tmp_path / "work" / "words.ass").read_text()
    assert "Hello there" in drawn
    assert "blur" not in drawn
    # No font of the machine is asked for, whatever the words need.
    assert "fonts.conf" in [file.name for file in (tmp_path / "work").iterdir()]


def test_a_track_is_burned_and_left_out(clips: Clips, tmp_path: Path) -> None:
    path = only(made({"action": "burn"}, subtitled(clips, tmp_path), tmp_path)).path
    assert lettered(path) == [5 <= at < 12 for at in range(20)]
    assert codecs(path) == ["h264", "aac"]


def test_a_file_becomes_a_track(clips: Clips, tmp_path: Path, words: SmallFile) -> None:
    source = subtitled(clips, tmp_path, muxer="mp4")
    wish = {"action": "add", "file": WORDS, "language": "eng"}
    plan = planned(wish, source, words)
    assert {decision.action for decision in plan.streams} == {"copy"}
    assert plan.steps[0].lane == "short"
    path = only(made(wish, source, tmp_path, words)).path
    assert codecs(path) == ["h264", "aac", "mov_text", "mov_text"]
    tags = [stream["tags"].get("language") for stream in raw_probe(path)["streams"]]
    assert tags[2:] == ["deu", "eng"]
    # The last line would go on long after the end.
    assert duration(path) == pytest.approx(2, abs=0.15)


def test_where_a_file_cannot_carry_subtitles_it_becomes_matroska(
    clips: Clips, tmp_path: Path, words: SmallFile
) -> None:
    path = only(made({"action": "add", "file": WORDS}, clips.container("avi"), tmp_path, words)).path
    assert codecs(path) == ["mpeg4", "mp3", "subrip"]
    assert raw_probe(path)["streams"][2]["disposition"]["default"] == 1


@pytest.mark.parametrize(
    ("format_", "codec", "text"),
    [
        ("srt", "subrip", "<i>Slanted</i> words"),
        ("vtt", "webvtt", "<i>Slanted</i> words"),
        ("ass", "ass", "\\i1"),
    ],
)
def test_a_track_is_extracted(clips: Clips, tmp_path: Path, format_: str, codec: str, text: str) -> None:
    artifact = only(made({"action": "extract", "format": format_}, subtitled(clips, tmp_path), tmp_path))
    assert artifact.extension == format_
    assert codecs(artifact.path) == [codec]
    assert text in artifact.path.read_text()
    assert "lines" in [check.name for check in artifact.verification.report]


def test_the_timed_text_of_mp4_is_extracted(clips: Clips, tmp_path: Path) -> None:
    artifact = only(made({"action": "extract"}, subtitled(clips, tmp_path, muxer="mp4"), tmp_path))
    (cue,) = cues_of(artifact.path.read_text())
    assert (cue.start, cue.end, cue.lines) == (0.5, 1.2, ("Slanted words",))


def test_a_track_without_lines(clips: Clips, tmp_path: Path) -> None:
    later = ASS.replace("0:00:00.50,0:00:01.20", "0:00:00.50,0:00:01.30").replace(
        "{\\i1}Slanted{\\i0} words", "{x}"
    )
    source = subtitled(clips, tmp_path, later)
    with pytest.raises(Problem) as caught:
        made({"action": "burn"}, source, tmp_path)
    assert caught.value.code == "parameters_do_not_fit"


def test_a_video_that_needs_a_file_says_so(clips: Clips) -> None:
    with pytest.raises(Problem, match="the video has none"):
        planned({"action": "burn"}, silent(clips))


def test_the_catalogue_says_what_else_is_read() -> None:
    wish = parameters_for("subtitles", {"file": WORDS})
    assert others_for("subtitles", wish) == {WORDS: Holds.WORDS}
    assert others_for("subtitles", parameters_for("subtitles", {})) == {}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"action": "sing"}, {"/parameters/action": "not_a_choice"}),
        ({"action": "add"}, {"/parameters/file": "required"}),
        ({"action": "extract", "file": WORDS}, {"/parameters/file": "not_wanted"}),
        ({"file": WORDS, "track": 1}, {"/parameters/track": "not_wanted"}),
        ({"file": "vid_" + "1" * 32}, {"/parameters/file": "not_a_choice"}),
        ({"track": 0}, {"/parameters/track": "too_small"}),
        ({"language": "eng"}, {"/parameters/language": "not_wanted"}),
        ({"action": "add", "file": WORDS, "language": "english"}, {"/parameters/language": "not_a_choice"}),
        ({"format": "srt"}, {"/parameters/format": "not_wanted"}),
    ],
)
def test_nonsense_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("subtitles", raw) == expected
