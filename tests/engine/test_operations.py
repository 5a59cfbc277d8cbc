"""Every operation, really run, and its result looked at with a probe of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import execute
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.recipes import SOURCE
from engine.types.results import Progress
from problems import Problem
from tests.engine.clips import H264, SECONDS, Clips, picture, sound
from tests.engine.conftest import MakePlan, Perform
from tests.engine.results import codecs, duration, only, raw_probe


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("mp4", "mov", ["h264", "aac"]),
        ("mp4", "mkv", ["h264", "aac"]),
        ("mov", "mp4", ["h264", "aac"]),
        ("mkv", "mp4", ["h264", "aac"]),
        ("mp4", "avi", ["mpeg4", "mp3"]),
        ("mp4", "webm", ["vp9", "opus"]),
        ("mp4", "flv", ["h264", "aac"]),
        ("avi", "mkv", ["mpeg4", "mp3"]),
        ("webm", "mp4", ["h264", "opus"]),
        ("webm", "webm", ["vp8", "opus"]),
        ("flv", "mp4", ["h264", "mp3"]),
        ("ts", "mp4", ["h264", "aac"]),
        ("mpg", "webm", ["vp9", "opus"]),
        ("wmv", "mp4", ["h264", "aac"]),
        ("3gp", "avi", ["mpeg4", "mp3"]),
        ("ogv", "mov", ["h264", "aac"]),
    ],
)
def test_convert(clips: Clips, perform: Perform, source: str, target: str, expected: list[str]) -> None:
    artifact = only(perform("convert", {"format": target}, clips.container(source)))
    assert codecs(artifact.path) == expected
    assert artifact.extension == target
    assert artifact.media_info is not None
    assert artifact.media_info.container == target
    assert artifact.media_info.duration == pytest.approx(SECONDS, abs=0.3)


@pytest.mark.parametrize(
    ("codec", "target"), [("hevc", "mp4"), ("av1", "webm"), ("vp9", "mp4"), ("h264", "mkv")]
)
def test_convert_to_a_chosen_codec(clips: Clips, perform: Perform, codec: str, target: str) -> None:
    wish = {"format": target, "video_codec": codec, "quality": "low"}
    artifact = only(perform("convert", wish, clips.container("mov")))
    assert codecs(artifact.path)[0] == codec


HELD = {
    # The frame before the last is held; with B-frames the last is decoded long before it is shown.
    "last-but-one": ("-vf", "setpts='if(gte(N,49),PTS+3/TB,PTS)'", "-fps_mode", "passthrough"),
    "last": (
        "-bsf:v",
        "setts=pts=PTS:dts=DTS:duration='if(eq(NEXT_DTS,NOPTS),3.04/TB-PTS+49/25/TB,DURATION)'",
    ),
}


@pytest.mark.parametrize(
    "wish", [{"format": "mp4"}, {"format": "mp4", "quality": "low"}, {"format": "mkv", "quality": "low"}]
)
@pytest.mark.parametrize("held", HELD)
def test_a_frame_that_is_held_at_the_end_keeps_its_time(
    clips: Clips, perform: Perform, held: str, wish: dict[str, str]
) -> None:
    frames = ["-c:v", "libx264", "-bf", "3" if held == "last-but-one" else "0", "-pix_fmt", "yuv420p"]
    source = clips.made(f"held-{held}", *picture(seconds=2), *HELD[held], *frames, "-f", "matroska")
    path = only(perform("convert", wish, source)).path
    assert duration(path) == pytest.approx(5, abs=0.05)


def test_mp4_can_start_before_it_is_loaded(clips: Clips, perform: Perform) -> None:
    head = only(perform("convert", {"format": "mp4"}, clips.container("mkv"))).path.read_bytes()
    assert 0 < head.find(b"moov") < head.find(b"mdat")


@pytest.mark.parametrize(
    "source", ["mp4", "mov", "avi", "webm", "mkv", "flv", "ts", "mpg", "wmv", "3gp", "ogv"]
)
def test_resize_every_kind_of_source(clips: Clips, perform: Perform, source: str) -> None:
    artifact = only(perform("resize", {"width": 161}, clips.container(source)))
    stream = raw_probe(artifact.path)["streams"][0]
    assert (stream["width"], stream["height"]) == (160, 90)


@pytest.mark.parametrize(
    ("fit", "expected"), [("contain", (100, 56)), ("cover", (100, 100)), ("stretch", (100, 100))]
)
def test_resize_into_a_box(clips: Clips, perform: Perform, fit: str, expected: tuple[int, int]) -> None:
    artifact = only(perform("resize", {"width": 100, "height": 100, "fit": fit}, clips.container("mp4")))
    stream = raw_probe(artifact.path)["streams"][0]
    assert (stream["width"], stream["height"]) == expected
    assert stream["sample_aspect_ratio"] == "1:1"


def test_a_turned_picture_stands_upright(clips: Clips, perform: Perform) -> None:
    flat = clips.container("mp4")
    turned = clips.made("turned", "-display_rotation:v:0", "90", "-i", flat, "-c", "copy", "-f", "mp4")
    artifact = only(perform("resize", {"width": 90}, turned))
    stream = raw_probe(artifact.path)["streams"][0]
    assert (stream["width"], stream["height"]) == (90, 160)
    assert not [data for data in stream.get("side_data_list", ()) if data.get("rotation")]
    copied = only(perform("convert", {"format": "mov"}, turned))
    assert copied.media_info is not None
    assert (copied.media_info.video[0].display_width, copied.media_info.video[0].rotation) == (180, 270)


@pytest.mark.parametrize(("target", "action"), [("mov", "copy"), ("mkv", "encode"), ("flv", "encode")])
def test_what_an_edit_list_hides_stays_hidden(
    clips: Clips, plan: MakePlan, perform: Perform, target: str, action: str
) -> None:
    """A trim without encoding, as phones do it, keeps frames before the cut; mp4 and mov can hide them."""
    whole = clips.made(
        "groups", *picture(), *sound(), "-c:v", "libx264", "-g", "60", "-c:a", "aac", "-f", "mp4"
    )
    cut = clips.made("cut", "-ss", "1.3", "-i", whole, "-c", "copy", "-f", "mp4")
    assert plan("convert", {"format": target}, cut).streams[0].action == action
    media = only(perform("convert", {"format": target}, cut)).media_info
    assert media is not None
    assert media.duration == pytest.approx(1.7, abs=0.15)
    sound_alone = only(perform("extract_audio", {"format": "aac"}, cut)).media_info
    assert sound_alone is not None
    assert sound_alone.duration == pytest.approx(1.7, abs=0.15)


@pytest.mark.parametrize("target", ["flv", "avi", "webm"])
def test_sound_that_goes_on_after_the_picture(clips: Clips, perform: Perform, target: str) -> None:
    source = clips.made("tail", *picture(seconds=2), *sound(seconds=6), *H264, "-c:a", "aac", "-f", "mp4")
    media = only(perform("convert", {"format": target}, source)).media_info
    assert media is not None
    assert media.duration == pytest.approx(6, abs=0.15)


@pytest.mark.parametrize("format_", ["m4a", "mp3", "wav"])
def test_sound_that_begins_late(clips: Clips, perform: Perform, format_: str) -> None:
    late = ["-itsoffset", "1", *sound(seconds=2)]
    source = clips.made("late", *picture(), *late, "-map", "0", "-map", "1", *H264, "-f", "mp4")
    only(perform("extract_audio", {"format": format_}, source))


def test_odd_sides_and_fine_colours_become_playable(clips: Clips, perform: Perform) -> None:
    odd = clips.made(
        "odd",
        "-f",
        "lavfi",
        "-i",
        "color=red:s=321x181:r=25:d=1",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv444p10le",
        "-f",
        "mp4",
    )
    artifact = only(perform("convert", {"format": "mp4"}, odd))
    stream = raw_probe(artifact.path)["streams"][0]
    assert (stream["width"], stream["height"], stream["pix_fmt"]) == (320, 180, "yuv420p")


def test_fields_become_frames(clips: Clips, perform: Perform) -> None:
    filters = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct"]
    woven = clips.made("woven", *picture(rate="50"), *filters, "-c:v", "mpeg2video", "-f", "mpegts")
    artifact = only(perform("convert", {"format": "mp4"}, woven))
    assert raw_probe(artifact.path)["streams"][0].get("field_order") in (None, "progressive")


def test_high_dynamic_range_is_kept_or_mapped(clips: Clips, perform: Perform) -> None:
    source = clips.hdr()
    for type_, wish, codec, transfer, pixels in (
        ("resize", {"width": 160}, "hevc", "smpte2084", "yuv420p10le"),
        ("convert", {"format": "mkv", "video_codec": "av1"}, "av1", "smpte2084", "yuv420p10le"),
        ("convert", {"format": "webm"}, "vp9", "smpte2084", "yuv420p10le"),
        ("convert", {"format": "mp4", "video_codec": "h264"}, "h264", "bt709", "yuv420p"),
    ):
        stream = raw_probe(only(perform(type_, wish, source)).path)["streams"][0]
        found = (stream["codec_name"], stream["color_transfer"], stream["pix_fmt"])
        assert found == (codec, transfer, pixels)


def test_every_track_its_language_and_the_chapters_come_along(clips: Clips, perform: Perform) -> None:
    words = clips.written("words", b"1\n00:00:00,500 --> 00:00:01,500\nHello\n")
    marks = clips.written(
        "marks",
        b";FFMETADATA1\ntitle=Secret place\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n",
    )
    source = clips.made(
        "tracks", *picture(), *sound(440), *sound(880),
        "-f", "srt", "-i", words, "-f", "ffmetadata", "-i", marks,
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map_metadata", "4", "-map_chapters", "4",
        *H264, "-c:a", "aac", "-c:s", "srt",
        "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu",
        "-metadata:s:s:0", "language=fra",
        "-disposition:a:1", "default", "-f", "matroska",
    )  # fmt: skip
    found = raw_probe(only(perform("convert", {"format": "mp4"}, source)).path)
    streams = [stream for stream in found["streams"] if stream["codec_type"] != "data"]
    assert [stream["codec_name"] for stream in streams] == ["h264", "aac", "aac", "mov_text"]
    assert [stream["tags"]["language"] for stream in streams[1:]] == ["eng", "deu", "fra"]
    assert [chapter["tags"]["title"] for chapter in found["chapters"]] == ["One"]
    assert "Secret place" not in json.dumps(found["format"])


@pytest.mark.parametrize(
    ("format_", "codec"),
    [
        ("aac", "aac"),
        ("m4a", "aac"),
        ("mp3", "mp3"),
        ("wav", "pcm_s16le"),
        ("ogg", "vorbis"),
        ("flac", "flac"),
    ],
)
def test_extract_audio(clips: Clips, perform: Perform, format_: str, codec: str) -> None:
    artifact = only(perform("extract_audio", {"format": format_}, clips.container("mp4")))
    assert codecs(artifact.path) == [codec]
    assert artifact.media_info is not None
    assert artifact.media_info.container == format_
    assert artifact.media_info.duration == pytest.approx(SECONDS, abs=0.12)


def test_extract_a_track_at_a_rate(clips: Clips, perform: Perform) -> None:
    source = clips.made(
        "two", *picture(), *sound(440), *sound(880, layout="5.1(side)"),
        "-map", "0", "-map", "1", "-map", "2", *H264, "-c:a", "aac", "-f", "mp4",
    )  # fmt: skip
    artifact = only(perform("extract_audio", {"format": "mp3", "track": 2, "bitrate": 64}, source))
    stream = raw_probe(artifact.path)["streams"][0]
    assert (stream["channels"], int(stream["bit_rate"])) == (2, 64_000)
    surround = only(perform("convert", {"format": "webm"}, source))
    assert surround.media_info is not None
    assert [track.channels for track in surround.media_info.audio] == [2, 6]


@pytest.mark.parametrize("format_", ["jpg", "png", "webp"])
@pytest.mark.parametrize("at", [0, 1.2, SECONDS])
def test_thumbnail_at_a_moment(clips: Clips, perform: Perform, format_: str, at: float) -> None:
    artifact = only(perform("thumbnail", {"at": at, "format": format_, "width": 160}, clips.container("mp4")))
    magic = {"jpg": b"\xff\xd8\xff", "png": b"\x89PNG", "webp": b"RIFF"}[format_]
    assert artifact.path.read_bytes().startswith(magic)
    assert ("picture size", "160x90") in [
        (check.name, check.actual) for check in artifact.verification.report
    ]


def test_many_thumbnails_differ(clips: Clips, perform: Perform) -> None:
    result = perform("thumbnail", {"count": 4, "width": 64}, clips.container("webm"))
    assert [artifact.path.name for artifact in result.artifacts] == [
        f"thumbnail_0{n}.jpg" for n in (1, 2, 3, 4)
    ]
    assert len({artifact.sha256 for artifact in result.artifacts}) == 4


def test_progress_is_real(clips: Clips, perform: Perform) -> None:
    seen: list[Progress] = []
    perform("resize", {"width": 480, "upscale": True}, clips.long(), on_progress=seen.append)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 5
    assert fractions[-1] == 1.0
    assert max(fractions[:-1]) < 1.0
    assert any(progress.speed and progress.eta_seconds is not None and progress.frame for progress in seen)


def test_results_and_logs_name_no_directory(clips: Clips, perform: Perform, tmp_path: Path) -> None:
    result = perform("convert", {"format": "mkv"}, clips.container("mp4"))
    assert "ffmpeg" in result.log
    assert "video.mkv" in result.log
    assert str(tmp_path) not in result.log
    assert str(clips.container("mp4").parent) not in result.log
    assert 0 < result.cpu_seconds < 60


def test_a_source_that_is_gone(clips: Clips, look: Callable[[Path], MediaInfo], tmp_path: Path) -> None:
    media = look(clips.container("mp4"))
    plan = plan_for("resize", parameters_for("resize", {"width": 64}), media)
    with pytest.raises(Problem) as caught:
        execute(
            plan,
            0,
            sources={SOURCE: tmp_path / "gone"},
            work_dir=tmp_path,
            limits=Limits(),
            on_progress=lambda _: None,
            control=Control(),
        )
    assert caught.value.code == "source_missing"
