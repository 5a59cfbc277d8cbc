"""Plans: what is copied, encoded, dropped, and why. Pure; nothing is run."""

from __future__ import annotations

import pytest

from engine.catalogue import parameters_for, plan_for
from engine.types.media import AudioStream, MediaInfo, OtherStream, SubtitleStream, VideoStream
from engine.types.plan import Lane, Plan
from problems import Problem

PICTURE = VideoStream(
    index=0,
    codec="h264",
    width=1920,
    height=1080,
    pixel_format="yuv420p",
    frame_rate=25.0,
    bit_rate=4_000_000,
)
SOUND = AudioStream(index=1, codec="aac", channels=2, sample_rate=48_000, bit_rate=128_000, language="eng")


def media(container: str = "mp4", **changes: object) -> MediaInfo:
    values: dict[str, object] = {
        "container": container,
        "format_names": (container,),
        "duration": 60.0,
        "size": 31_000_000,
        "video": (PICTURE,),
        "audio": (SOUND,),
    }
    return MediaInfo.model_validate({**values, **changes})


def planned(type_: str, source: MediaInfo, **raw: object) -> Plan:
    return plan_for(type_, parameters_for(type_, raw), source)


def decisions(plan: Plan) -> dict[int, tuple[str, str | None]]:
    return {stream.source_index: (stream.action, stream.codec) for stream in plan.streams}


def size(plan: Plan) -> tuple[int | None, int | None]:
    stream = plan.outputs[0].expectation.streams[0]
    return stream.width, stream.height


@pytest.mark.parametrize("source", ["mp4", "mov", "mkv", "ts", "flv", "3gp"])
@pytest.mark.parametrize("target", ["mp4", "mov", "mkv", "flv"])
def test_h264_with_aac_moves_between_containers_untouched(source: str, target: str) -> None:
    plan = planned("convert", media(source), format=target)
    assert decisions(plan) == {0: ("copy", "h264"), 1: ("copy", "aac")}
    assert plan.steps[0].lane is Lane.SHORT
    assert plan.steps[0].kind == "remux"


def test_webm_cannot_carry_h264() -> None:
    plan = planned("convert", media(), format="webm")
    assert decisions(plan) == {0: ("encode", "vp9"), 1: ("encode", "opus")}
    assert plan.steps[0].lane is Lane.ENCODE
    assert plan.streams[0].why == "Encoded because H.264 does not fit into WebM files."


def test_a_wished_quality_encodes_even_what_could_be_copied() -> None:
    plan = planned("convert", media(), format="mkv", quality="high")
    assert decisions(plan) == {0: ("encode", "h264"), 1: ("copy", "aac")}
    assert plan.steps[0].runs[0].files[0].streams[0].options["crf"] == 19


def test_only_the_sound_is_encoded_when_only_the_sound_does_not_fit() -> None:
    source = media("mkv", audio=(SOUND.model_copy(update={"codec": "dts", "channels": 8}),))
    plan = planned("convert", source, format="mp4")
    assert decisions(plan) == {0: ("copy", "h264"), 1: ("encode", "aac")}
    assert "8 channels are mixed down to 6" in plan.streams[1].why


def test_a_turned_picture_is_turned_upright_where_the_container_cannot_say_so() -> None:
    source = media(video=(PICTURE.model_copy(update={"rotation": 90}),))
    assert decisions(planned("convert", source, format="mov"))[0] == ("copy", "h264")
    plan = planned("convert", source, format="flv")
    assert decisions(plan)[0] == ("encode", "h264")
    assert size(plan) == (1080, 1920)


def test_all_tracks_come_along_and_what_cannot_is_explained() -> None:
    source = media(
        "mkv",
        video=(PICTURE, VideoStream(index=5, codec="mjpeg", width=600, height=600, attached_picture=True)),
        audio=(SOUND, SOUND.model_copy(update={"index": 2, "language": "deu"})),
        subtitles=(
            SubtitleStream(index=3, codec="subrip"),
            SubtitleStream(index=4, codec="hdmv_pgs_subtitle"),
        ),
        others=(OtherStream(index=6, kind="attachment", codec="ttf"),),
    )
    plan = planned("convert", source, format="mp4")
    assert decisions(plan) == {
        0: ("copy", "h264"),
        1: ("copy", "aac"),
        2: ("copy", "aac"),
        3: ("encode", "mov_text"),
        4: ("drop", "hdmv_pgs_subtitle"),
        5: ("drop", "mjpeg"),
        6: ("drop", "ttf"),
    }
    assert all(stream.why.endswith(".") for stream in plan.streams)
    assert [stream.language for stream in plan.steps[0].runs[0].files[0].streams] == [
        None,
        "eng",
        "deu",
        None,
    ]


def test_flash_video_holds_one_sound_track() -> None:
    source = media(audio=(SOUND, SOUND.model_copy(update={"index": 2, "default": True})))
    assert decisions(planned("convert", source, format="flv"))[1] == ("drop", "aac")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"width": 1280}, (1280, 720)),
        ({"height": 720}, (1280, 720)),
        ({"width": 641}, (640, 360)),
        ({"width": 1000, "height": 1000}, (1000, 562)),
        ({"width": 1000, "height": 1000, "fit": "cover"}, (1000, 1000)),
        ({"width": 1000, "height": 1000, "fit": "stretch"}, (1000, 1000)),
        ({"width": 3840}, (1920, 1080)),
        ({"width": 3840, "upscale": True}, (3840, 2160)),
        ({"width": 4000, "height": 4000, "fit": "cover"}, (1080, 1080)),
        ({"width": 4000, "height": 500, "fit": "stretch"}, (1920, 500)),
        ({"short_side": 720}, (1280, 720)),
        ({"short_side": 2160}, (1920, 1080)),
        ({"short_side": 2160, "upscale": True}, (3840, 2160)),
    ],
)
def test_sizes_fit(raw: dict[str, object], expected: tuple[int, int]) -> None:
    assert size(planned("resize", media(), **raw)) == expected


def test_a_turned_picture_is_sized_as_it_is_seen() -> None:
    source = media(video=(PICTURE.model_copy(update={"rotation": 270}),))
    assert size(planned("resize", source, height=960)) == (540, 960)
    assert size(planned("resize", source, short_side=720)) == (720, 1280)
    assert "the source is not enlarged" in planned("resize", source, short_side=2160).summary


def test_wide_pixels_are_made_square() -> None:
    anamorphic = PICTURE.model_copy(update={"width": 720, "height": 576, "sample_aspect": (64, 45)})
    assert size(planned("resize", media(video=(anamorphic,)), width=512)) == (512, 288)


def test_the_size_it_has_already_is_a_copy() -> None:
    assert decisions(planned("resize", media(), width=1920))[0] == ("copy", "h264")


@pytest.mark.parametrize(
    ("source", "target"), [("mp4", "mp4"), ("mov", "mov"), ("ts", "mp4"), ("wmv", "mp4")]
)
def test_resize_keeps_the_kind_of_file_where_it_can_write_it(source: str, target: str) -> None:
    assert planned("resize", media(source), width=640).outputs[0].container == target


def test_filters_mend_what_the_source_has() -> None:
    difficult = PICTURE.model_copy(
        update={
            "interlaced": True,
            "color_transfer": "smpte2084",
            "bit_depth": 10,
            "pixel_format": "yuv420p10le",
        }
    )
    plan = planned("resize", media(video=(difficult,)), width=640)
    names = [item.name for item in plan.steps[0].runs[0].files[0].streams[0].filters]
    assert names[:2] == ["bwdif", "scale"]
    assert "tonemap" in names
    assert names[-1] == "format"
    assert "high dynamic range" in plan.streams[0].why


def test_sound_is_copied_out_where_it_fits() -> None:
    assert decisions(planned("extract_audio", media(), format="m4a"))[1] == ("copy", "aac")
    assert decisions(planned("extract_audio", media(), format="mp3"))[1] == ("encode", "mp3")
    assert decisions(planned("extract_audio", media(), format="m4a", bitrate=96))[1] == ("encode", "aac")


def test_sound_of_a_silent_video() -> None:
    with pytest.raises(Problem) as caught:
        planned("extract_audio", media(audio=()), format="mp3")
    assert caught.value.code == "no_audio_stream"


def test_a_track_that_is_not_there() -> None:
    with pytest.raises(Problem, match="Track 3 was asked for; the video has 1 sound track") as caught:
        planned("extract_audio", media(), format="mp3", track=3)
    assert caught.value.code == "parameters_do_not_fit"


def test_a_moment_after_the_end() -> None:
    with pytest.raises(Problem) as caught:
        planned("thumbnail", media(), at=61)
    assert caught.value.code == "parameters_do_not_fit"


def test_many_thumbnails_are_spread_over_the_video() -> None:
    plan = planned("thumbnail", media(), count=3, width=320)
    assert [run.inputs[0].start for run in plan.steps[0].runs] == [10.0, 30.0, 50.0]
    assert [output.filename for output in plan.outputs] == [
        "thumbnail_01.jpg",
        "thumbnail_02.jpg",
        "thumbnail_03.jpg",
    ]


def test_cover_art_is_no_video() -> None:
    art = VideoStream(index=0, codec="png", width=600, height=600, attached_picture=True)
    with pytest.raises(Problem) as caught:
        planned("resize", media(video=(art,)), width=320)
    assert caught.value.code == "no_video_stream"


@pytest.mark.parametrize(
    ("type_", "raw"),
    [
        ("resize", {"width": 640}),
        ("convert", {"format": "webm"}),
        ("extract_audio", {"format": "mp3"}),
        ("thumbnail", {"count": 2}),
        ("crop", {"width": 100, "height": 100}),
        ("gif", {}),
        ("loudness", {}),
        ("mute", {}),
        ("rotate", {"degrees": 90}),
        ("speed", {"factor": 2}),
        ("trim", {"start": 5, "end": 10}),
        ("watermark", {"text": "Mine"}),
    ],
)
def test_plans_and_media_survive_storage(type_: str, raw: dict[str, object]) -> None:
    source = media(subtitles=(SubtitleStream(index=2, codec="subrip"),))
    assert MediaInfo.model_validate_json(source.model_dump_json()) == source
    plan = planned(type_, source, **raw)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.estimated_size
    assert plan.estimated_seconds
    assert {stream.source_index for stream in plan.streams} == {0, 1, 2}
