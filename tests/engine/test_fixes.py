"""What is proposed instead of a wish that failed or does not fit."""

from __future__ import annotations

import pytest

from engine.fixes import fix_for
from problems import Problem
from tests.engine.test_plans import media


@pytest.mark.parametrize(
    ("problem", "type_", "wish", "expected"),
    [
        (Problem("copy_impossible"), "convert", {"format": "mp4"}, {"format": "mp4", "quality": "medium"}),
        (
            Problem("timestamps_unusable"),
            "convert",
            {"format": "mkv"},
            {"format": "mkv", "quality": "medium"},
        ),
        (
            Problem("parameters_do_not_fit", reason=""),
            "crop",
            {"width": 4000, "height": 100, "x": 1900, "y": 10},
            {"width": 1920, "height": 100, "x": 0, "y": 10},
        ),
        (
            Problem("parameters_do_not_fit", reason=""),
            "trim",
            {"start": 1, "end": 5, "mode": "keyframe"},
            {"start": 1, "end": 5, "mode": "exact"},
        ),
        (
            Problem("parameters_do_not_fit", reason=""),
            "extract_audio",
            {"format": "mp3", "track": 7},
            {"format": "mp3"},
        ),
        (
            Problem("parameters_do_not_fit", reason=""),
            "gif",
            {"duration": 60, "width": 1920, "fps": 25},
            {"duration": 60, "width": 1920, "fps": 25, "format": "mp4"},
        ),
        (
            Problem("output_too_large", limit=1),
            "convert",
            {"format": "mp4"},
            {"format": "mp4", "quality": "low"},
        ),
        (
            Problem("out_of_memory"),
            "resize",
            {"width": 1600, "upscale": True},
            {"width": 1200, "upscale": True},
        ),
        (
            Problem("picture_not_encodable", reason=""),
            "convert",
            {"format": "mp4", "video_codec": "av1"},
            {"format": "mp4", "video_codec": "h264"},
        ),
        (
            Problem("sound_not_encodable", reason=""),
            "extract_audio",
            {"format": "mp3", "bitrate": 500},
            {"format": "mp3"},
        ),
        (
            Problem("subtitles_not_convertible"),
            "convert",
            {"format": "mp4"},
            {"format": "mkv"},
        ),
        (
            Problem("input_ends_early", readable=12.5, duration=60.0),
            "convert",
            {"format": "mkv"},
            {"end": 12.5},
        ),
        (Problem("disk_full"), "convert", {"format": "mp4"}, None),
        (Problem("no_audio_stream"), "mute", {}, None),
        (Problem("copy_impossible"), "retired", {}, None),
    ],
)
def test_a_fix_is_proposed_where_a_parameter_would_help(
    problem: Problem, type_: str, wish: dict[str, object], expected: dict[str, object] | None
) -> None:
    fix = fix_for(problem, type_, wish, media())
    assert (None if fix is None else fix.parameters) == expected
    if fix is not None:
        assert fix.words
        assert fix.type == ("trim" if problem.code == "input_ends_early" else type_)


def test_a_fix_that_would_fail_as_well_is_not_proposed() -> None:
    silent = media(audio=())
    problem = Problem("parameters_do_not_fit", reason="")
    assert fix_for(problem, "extract_audio", {"format": "mp3", "track": 7}, silent) is None
