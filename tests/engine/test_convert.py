"""convert with everything that can be asked of it, really run."""

from __future__ import annotations

import pytest

from engine.containers import VIDEO_CONTAINERS
from engine.types.plan import Lane
from problems import Problem
from tests.engine.clips import Clips, picture, sound
from tests.engine.conftest import MakePlan, Perform
from tests.engine.results import frames, only, raw_probe
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import PICTURE, SOUND, decisions, media, planned


@pytest.mark.parametrize(
    ("codec", "target", "pixels"),
    [("prores", "mov", "yuv422p10le"), ("prores", "mkv", "yuv422p10le"), ("mpeg4", "avi", "yuv420p")],
)
def test_codecs_for_editing_and_old_players(
    clips: Clips, perform: Perform, codec: str, target: str, pixels: str
) -> None:
    path = only(perform("convert", {"format": target, "video_codec": codec}, clips.container("mp4"))).path
    stream = raw_probe(path)["streams"][0]
    assert (stream["codec_name"], stream["pix_fmt"]) == (codec, pixels)


@pytest.mark.parametrize("target", ["mp4", "mov"])
def test_h265_is_marked_so_that_apple_plays_it(clips: Clips, perform: Perform, target: str) -> None:
    wish = {"format": target, "video_codec": "h265", "preset": "fastest"}
    assert (
        raw_probe(only(perform("convert", wish, clips.container("mp4"))).path)["streams"][0][
            "codec_tag_string"
        ]
        == "hvc1"
    )


def test_ten_bits_are_kept_where_the_codec_carries_them(clips: Clips, perform: Perform) -> None:
    deep = clips.made(
        "deep", *picture(seconds=1), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le",
        "-f", "matroska",
    )  # fmt: skip
    for codec, pixels in (("hevc", "yuv420p10le"), ("av1", "yuv420p10le"), ("h264", "yuv420p")):
        wish = {"format": "mp4", "video_codec": codec, "preset": "fastest"}
        assert raw_probe(only(perform("convert", wish, deep)).path)["streams"][0]["pix_fmt"] == pixels


def test_fewer_frames_where_there_are_more(clips: Clips, perform: Perform, plan: MakePlan) -> None:
    source = clips.container("mp4")
    artifact = only(perform("convert", {"format": "mp4", "fps": 10}, source))
    assert raw_probe(artifact.path)["streams"][0]["avg_frame_rate"] == "10/1"
    assert len(frames(artifact.path)) == 30
    assert plan("convert", {"format": "mp4", "fps": 25}, source).steps[0].lane is Lane.SHORT


def test_sound_as_asked(clips: Clips, perform: Perform) -> None:
    source = clips.made("surround", *picture(), *sound(layout="5.1"), "-c:a", "aac", "-f", "matroska")
    wish = {"format": "mkv", "audio_codec": "mp3", "audio_bitrate": 64, "channels": 1}
    stream = raw_probe(only(perform("convert", wish, source)).path)["streams"][1]
    assert (stream["codec_name"], stream["channels"]) == ("mp3", 1)


def test_a_smaller_crf_is_larger(clips: Clips, perform: Perform) -> None:
    source = clips.container("mp4")
    sizes = [
        only(perform("convert", {"format": "mp4", "crf": crf, "preset": "fastest"}, source)).size
        for crf in (20, 40)
    ]
    assert sizes[0] > 1.5 * sizes[1]


def test_what_is_as_asked_already_is_copied() -> None:
    wish = {"video_codec": "h264", "audio_codec": "aac", "channels": 2, "fps": 30, "preset": "slow"}
    assert decisions(planned("convert", media(), format="mp4", **wish)) == {
        0: ("copy", "h264"),
        1: ("copy", "aac"),
    }


def test_only_the_sound_is_touched_when_only_that_is_asked() -> None:
    plan = planned("convert", media(), format="mp4", audio_bitrate=96)
    assert decisions(plan) == {0: ("copy", "h264"), 1: ("encode", "aac")}
    assert plan.streams[1].why == "Encoded at 96 kbit/s, as asked."
    lossless = media("mkv", audio=(SOUND.model_copy(update={"codec": "flac"}),))
    assert decisions(planned("convert", lossless, format="mkv", audio_bitrate=96))[1] == ("encode", "aac")


def test_a_rate_the_encoder_cannot_take_is_moved_and_told() -> None:
    mono = media(audio=(SOUND.model_copy(update={"channels": 1, "sample_rate": 8000}),))
    plan = planned("convert", mono, format="webm", audio_bitrate=512, audio_codec="vorbis")
    assert "Vorbis takes 220 kbit/s here" in plan.streams[1].why
    assert plan.steps[0].runs[0].files[0].streams[1].options["ar"] == 48_000


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"format": "mp4", "crf": 20, "quality": "low"}, {"/parameters/crf": "conflict"}),
        ({"format": "mp4", "crf": 60, "video_codec": "h264"}, {"/parameters/crf": "not_applicable"}),
        ({"format": "mp4", "crf": 64}, {"/parameters/crf": "too_large"}),
        ({"format": "mov", "crf": 9, "video_codec": "prores"}, {"/parameters/crf": "not_applicable"}),
        ({"format": "mp4", "video_codec": "prores"}, {"/parameters/video_codec": "not_a_choice"}),
        ({"format": "webm", "audio_codec": "aac"}, {"/parameters/audio_codec": "not_a_choice"}),
        (
            {"format": "mkv", "audio_codec": "flac", "audio_bitrate": 128},
            {"/parameters/audio_bitrate": "not_applicable"},
        ),
        ({"format": "mp4", "channels": 3}, {"/parameters/channels": "not_a_choice"}),
        ({"format": "mp4", "fps": 0}, {"/parameters/fps": "too_small"}),
    ],
)
def test_a_wish_that_makes_no_sense_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("convert", raw) == expected


def test_a_crf_that_only_the_chosen_codec_shows_to_be_wrong() -> None:
    with pytest.raises(Problem, match=r"For H\.264 this is from 0 to 51") as caught:
        planned("convert", media(), format="mp4", crf=60)
    assert caught.value.code == "parameters_do_not_fit"


def test_every_codec_of_every_container_has_a_plan() -> None:

    odd = media(video=(PICTURE.model_copy(update={"codec": "theora"}),))
    for container in VIDEO_CONTAINERS.values():
        for codec in container.video_encodes:
            for preset in ("fastest", "fast", "medium", "slow", "slowest"):
                plan = planned("convert", odd, format=container.name, video_codec=codec, preset=preset)
                assert decisions(plan)[0] == ("encode", codec)


def test_slow_mp3_does_not_go_into_mp4() -> None:
    slow = media("avi", audio=(SOUND.model_copy(update={"codec": "mp3", "sample_rate": 11_025}),))
    assert decisions(planned("convert", slow, format="mp4"))[1] == ("encode", "aac")
    assert decisions(planned("convert", slow, format="mkv"))[1] == ("copy", "mp3")


def test_ten_bits_upside_down_and_an_odd_picture_of_them(clips: Clips, perform: Perform) -> None:
    """x265 crashes on frames that vflip alone has turned; zscale on sides of half a colour sample."""
    turned = raw_probe(only(perform("rotate", {"flip": "vertical"}, clips.hdr())).path)["streams"][0]
    assert (turned["codec_name"], turned["pix_fmt"]) == ("hevc", "yuv420p10le")
    only(perform("thumbnail", {"width": 48}, clips.hdr()))


def test_a_gif_shorter_than_the_time_between_its_frames(clips: Clips, perform: Perform) -> None:
    raw = {"start": 0.9, "duration": 0.1, "fps": 1, "format": "mp4", "width": 64}
    assert len(frames(only(perform("gif", raw, clips.hdr())).path)) == 1
