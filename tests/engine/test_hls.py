"""hls: sizes, tracks and segments of a stream, and what is seen of it when it is not whole."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.binaries import ffmpeg_path
from engine.fragments import Unsound, fragments_of
from engine.streaming import stream_checks
from engine.types.limits import Limits
from engine.types.media import AudioStream, SubtitleStream
from engine.types.plan import Lane
from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import MakePlan, Perform
from tests.engine.results import distance, frames, loudest, only, raw_probe
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, SOUND, decisions, media, planned


def sizes(**source: object) -> list[tuple[int | None, int | None]]:
    rungs = source.pop("rungs", None)
    shape = PICTURE.model_copy(update=source)
    wish = {} if rungs is None else {"rungs": rungs}
    plan = planned("hls", media(video=(shape,)), **wish)
    streams = [one.expectation.streams[0] for one in plan.outputs[0].members if one.kind == "video"]
    return [(stream.width, stream.height) for stream in streams]


def test_sizes_are_counted_from_the_short_side() -> None:
    assert sizes() == [(1920, 1080), (1280, 720), (854, 480), (640, 360)]
    assert sizes(rotation=90) == [(1080, 1920), (720, 1280), (480, 854), (360, 640)]
    assert sizes(width=1440, height=1080, rungs=[720]) == [(960, 720)]
    assert sizes(width=2560, height=1080, rungs="720") == [(1706, 720)]


def test_a_size_above_the_source_is_left_out() -> None:
    assert sizes(height=720, width=1280, rungs=[1080, 720, 480]) == [(1280, 720), (854, 480)]
    assert sizes(height=181, width=321) == [(320, 180)]
    summary = planned("hls", media(), rungs="1440, 1080, 720").summary
    assert summary.startswith("HLS stream in 1080p, 720p, H.264, one sound track; 1440p would be larger")


def test_every_sound_track_is_a_file_of_its_own() -> None:
    german = AudioStream(index=2, codec="ac3", channels=6, language="ger", title="Kommentar")
    plan = planned(
        "hls",
        media(
            audio=(SOUND.model_copy(update={"profile": "LC", "default": True}), german),
            subtitles=(SubtitleStream(index=3, codec="subrip"),),
        ),
        codecs="h264, av1",
        rungs=[480],
    )
    assert decisions(plan) == {
        0: ("encode", "h264"),
        1: ("copy", "aac"),
        2: ("encode", "aac"),
        3: ("encode", "webvtt"),
    }
    (output,) = plan.outputs
    names = ["480p.mp4", "480p-av1.mp4", "sound-1.mp4", "sound-2.mp4", "words-1.vtt"]
    assert [one.name for one in output.members] == names
    assert [one.language for one in output.members[2:4]] == ["eng", "ger"]
    (step,) = plan.steps
    assert step.lane is Lane.ENCODE
    assert len(step.runs) == 1


def test_encoders_that_need_too_much_memory_together_run_one_after_the_other() -> None:
    def runs(width: int, height: int, codecs: str) -> list[int]:
        shape = PICTURE.model_copy(update={"width": width, "height": height})
        plan = planned("hls", media(video=(shape,)), codecs=codecs)
        return [len(run.files) for run in plan.steps[0].runs]

    assert runs(1920, 1080, "h264,av1") == [9]
    assert runs(3840, 2160, "h264") == [7]
    assert runs(3840, 2160, "h264,av1") == [7, 1, 5]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"rungs": []}, {"/parameters/rungs": "required"}),
        ({"rungs": [100_000]}, {"/parameters/rungs/0": "too_large"}),
        ({"rungs": "720, big"}, {"/parameters/rungs/1": "not_an_integer"}),
        ({"rungs": list(range(100, 109))}, {"/parameters/rungs": "too_long"}),
        ({"segment_seconds": 0}, {"/parameters/segment_seconds": "too_small"}),
        ({"codecs": ["av1"]}, {"/parameters/codecs": "required"}),
        ({"codecs": ["h264", "vp9"]}, {"/parameters/codecs/1": "not_a_choice"}),
    ],
)
def test_a_wrong_wish_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("hls", raw) == expected


def _source(clips: Clips) -> Path:
    """Two sound tracks, one of which begins late and speaks German."""
    return clips.made(
        "streamed",
        *picture("320x180", seconds=3),
        *sound(seconds=3),
        "-itsoffset", "0.5", *sound(880, seconds=2),
        "-map", "0:v", "-map", "1:a", "-map", "2:a", *H264, "-c:a", "aac",
        "-metadata:s:a:1", "language=ger", "-metadata:s:a:1", 'title=Say "hello"', "-f", "matroska",
    )  # fmt: skip


def test_a_stream_is_whole_and_its_sizes_change_at_the_same_moments(clips: Clips, perform: Perform) -> None:
    source = _source(clips)
    wish = {"rungs": [180, 90], "segment_seconds": 1, "codecs": ["h264", "av1"]}
    made = only(perform("hls", wish, source))
    folder = made.path.parent
    found = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    assert set(found) == {"master.m3u8", *(f"files/{one.name}" for one in made.members)}
    assert made.size == sum(file.stat().st_size for file in found.values())
    files = folder / "files"
    cuts = [
        [segment.start for segment in fragments_of(files / name).segments]
        for name in ("180p.mp4", "90p.mp4", "180p-av1.mp4", "90p-av1.mp4")
    ]
    assert cuts == [[0.0, 1.0, 2.0]] * 4
    assert raw_probe(files / "90p.mp4")["streams"][0]["width"] == 160
    assert len(frames(files / "180p.mp4")) == len(frames(files / "90p-av1.mp4")) == 75

    master = made.path.read_text()
    assert 'NAME="Say  hello",LANGUAGE="ger",DEFAULT=NO' in master
    assert re.search(r'BANDWIDTH=\d+,.*CODECS="avc1\.[0-9a-f]{6},mp4a\.40\.2",RESOLUTION=320x180', master)
    assert re.search(r'CODECS="av01\.0\.\d\dM\.08,mp4a\.40\.2",RESOLUTION=160x90,FRAME-RATE=25\.000', master)
    # The late track is silent first, so that it begins with the picture.
    late = loudest(files / "sound-2.mp4")
    assert max(late[:48]) < 0.01 < max(late[52:60])
    assert made.media_info is not None
    assert (made.media_info.container, len(made.media_info.video), len(made.media_info.audio)) == (
        "hls",
        4,
        2,
    )


def test_players_find_every_frame_by_the_playlists_alone(clips: Clips, perform: Perform) -> None:
    """Read by ffmpeg as a player: the engine itself never lets it open a playlist."""
    made = perform("hls", {"rungs": [90], "segment_seconds": 1}, _source(clips)).artifacts[0]
    command = [str(ffmpeg_path()), "-v", "error", "-allowed_extensions", "ALL", "-i", str(made.path)]
    command += ["-map", "0:v:0", "-map", "0:a:0", "-f", "framecrc", "-"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert told.stderr == ""
    assert sum(line.startswith("0,") for line in told.stdout.splitlines()) == 75


def _worded(clips: Clips) -> Path:
    """Two tracks of subtitles, of which one has no line."""
    line = b"1\n00:00:00,500 --> 00:00:01,200\nGuten <i>Tag</i>\n\n"
    words = ["-f", "srt", "-i", str(clips.written("guten-tag", line))]
    return clips.made(
        "worded", *picture("320x180", seconds=2), *sound(seconds=2), *words, *words,
        "-map", "0:v", "-map", "1:a", "-map", "2:s", "-map", "3:s", *H264, "-c:a", "aac", "-c:s", "srt",
        "-bsf:s:1", "noise=drop=1", "-metadata:s:s:0", "language=ger", "-f", "matroska",
    )  # fmt: skip


def test_subtitles_are_files_that_players_offer(clips: Clips, perform: Perform) -> None:
    made = only(perform("hls", {"rungs": [90], "segment_seconds": 1}, _worded(clips)))
    folder = made.path.parent
    assert [one.name for one in made.members if "words" in one.name] == ["words-1.vtt", "words-1.m3u8"]
    assert "00:00.500 --> 00:01.200\nGuten <i>Tag</i>" in (folder / "files" / "words-1.vtt").read_text()
    assert "#EXTINF:2.0" in (folder / "files" / "words-1.m3u8").read_text()
    master = made.path.read_text()
    line = 'TYPE=SUBTITLES,GROUP-ID="words",NAME="ger",LANGUAGE="ger",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO'
    assert f'#EXT-X-MEDIA:{line},URI="files/words-1.m3u8"' in master
    assert re.search(r'#EXT-X-STREAM-INF:.*,SUBTITLES="words"', master)
    assert "words-2" not in master
    report = {check.name: check.actual for check in made.verification.report}
    assert report["words-1: lines"].startswith("1 line")
    assert report["words-2: lines"] == "none"
    assert made.media_info is not None
    assert [track.language for track in made.media_info.subtitles] == ["ger"]


def test_a_picture_that_begins_late_is_shown_from_the_beginning(clips: Clips, perform: Perform) -> None:
    prompt = clips.container("mp4")
    late = clips.made(
        "late-picture",
        "-itsoffset", "0.4", "-i", prompt, "-i", prompt,
        "-map", "0:v", "-map", "1:a", "-c", "copy", "-f", "mp4",
    )  # fmt: skip
    made = perform("hls", {"rungs": [90], "segment_seconds": 2}, late).artifacts[0]
    files = made.path.parent / "files"
    assert fragments_of(files / "90p.mp4").duration == pytest.approx(3.4, abs=0.05)
    assert fragments_of(files / "90p.mp4").segments[1].start == pytest.approx(2.0, abs=0.001)
    shown = frames(files / "90p.mp4")
    assert distance(shown[0], shown[8]) < 1 < distance(shown[0], shown[16])


def _shortened(files: Path) -> None:
    path = files / "180p.mp4"
    path.write_bytes(path.read_bytes()[:-100])


def _less(name: str, old: str, new: str = "") -> Callable[[Path], None]:
    def change(files: Path) -> None:
        path = files / name
        path.write_text(path.read_text().replace(old, new, 1))

    return change


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (_shortened, "of a broken file: it is cut off"),
    (_less("180p.m3u8", "#EXT-X-ENDLIST\n"), "without an end"),
    (_less("90p.m3u8", "90p.mp4\n#EXTINF", "180p.mp4\n#EXTINF"), "not readable"),
    (_less("90p.m3u8", "#EXTINF:1.0", "#EXTINF:9.0"), "long instead of"),
    (_less("sound-1.m3u8", "#EXT-X-BYTERANGE:", "#EXT-X-BYTERANGE:1"), "leading to places"),
    (_less("words-1.m3u8", "words-1.vtt", "90p.mp4"), "not readable"),
    (_less("../master.m3u8", "files/90p.m3u8"), "misses 90p.mp4"),
]


def test_a_stream_that_is_not_whole_is_seen(plan: MakePlan, clips: Clips, perform: Perform) -> None:
    wish = {"rungs": [180, 90], "segment_seconds": 1}
    source = _worded(clips)
    (output,) = plan("hls", wish, source).outputs
    kept = tuple(one for one in output.members if one.name != "words-2.vtt")
    output = output.model_copy(update={"members": kept})
    folder = perform("hls", wish, source).artifacts[0].path.parent
    whole = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    for damage, told in DAMAGES:
        assert all(check.passed for check in stream_checks(folder, output))
        damage(folder / "files")
        wrong = [check.actual for check in stream_checks(folder, output) if not check.passed]
        assert any(told in actual for actual in wrong), told
        for file, content in whole.items():
            file.write_bytes(content)


def test_sizes_cut_at_other_moments_are_seen(plan: MakePlan, clips: Clips, perform: Perform) -> None:
    source = clips.container("mkv")
    slow = perform("hls", {"rungs": [90], "segment_seconds": 2}, source).artifacts[0].path.parent / "files"
    kept = {name: (slow / name).read_bytes() for name in ("90p.mp4", "90p.m3u8")}
    wish = {"rungs": [180, 90], "segment_seconds": 1}
    folder = perform("hls", wish, source).artifacts[0].path.parent
    for name, content in kept.items():
        (folder / "files" / name).write_bytes(content)
    (output,) = plan("hls", wish, source).outputs
    assert [check.actual for check in stream_checks(folder, output) if not check.passed] == [
        "different in 90p"
    ]


def test_a_stream_that_may_not_grow_further_is_no_result(clips: Clips, perform: Perform) -> None:
    with pytest.raises(Problem) as caught:
        perform("hls", {"rungs": [180]}, clips.container("mp4"), limits=Limits(max_output_bytes=40_000))
    assert caught.value.code == "output_too_large"


def test_segments_of_half_a_second_more_are_counted_up(clips: Clips, perform: Perform) -> None:
    source = clips.made("odd-length", *picture("160x90", seconds=1.5), *H264, "-f", "mp4")
    made = only(perform("hls", {"rungs": [90]}, source))
    assert "#EXT-X-TARGETDURATION:2\n" in (made.path.parent / "files" / "90p.m3u8").read_text()


def test_a_file_that_is_no_row_of_segments_is_unsound(clips: Clips, tmp_path: Path) -> None:
    with pytest.raises(Unsound, match="cut off"):
        fragments_of(clips.container("mkv"))
    with pytest.raises(Unsound):
        fragments_of(clips.container("mp4"))
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(Unsound):
        fragments_of(empty)
