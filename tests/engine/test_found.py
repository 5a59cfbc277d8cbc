"""What random videos found (`test_properties`): each once more, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.control import Control
from engine.decoding import measure
from engine.intake import intake
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.whitelist import RESULTS
from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.conftest import Perform
from tests.engine.results import duration, nearest, only
from tests.engine.test_plans import PICTURE, media, planned
from tests.engine.watching import watch

SMALL = picture("96x64", seconds=1)


def taken_in(source: Path, work_dir: Path) -> MediaInfo:
    return intake(
        source, work_dir, limits=Limits(threads=1), on_progress=lambda _: None, control=Control()
    ).media


def test_a_file_without_an_index_is_read_from_its_beginning(clips: Clips, perform: Perform) -> None:
    """Its first frame is stored before it is shown: a search for the very beginning ended at the end."""
    encoded = ["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"]
    late = ["-itsoffset", "0.15", *sound(seconds=0.8)]
    source = clips.made("found-flv", *SMALL, *late, *encoded, "-c:a", "aac", "-f", "flv")
    seen = watch(only(perform("trim", {"end": 0.4}, source)).path)
    assert len(seen.times) == 10


def test_a_matroska_file_that_tells_its_end_for_its_duration(clips: Clips, tmp_path: Path) -> None:
    late = ["-output_ts_offset", "30", "-f", "matroska"]
    source = clips.made("found-mkv", *SMALL, *sound(seconds=1), *H264, "-c:a", "flac", *late)
    found = taken_in(source, tmp_path)
    assert found.duration == pytest.approx(1, abs=0.05)
    assert found.video[0].duration == pytest.approx(1, abs=0.05)
    assert found.audio[0].duration == pytest.approx(1, abs=0.05)


def test_sound_shorter_than_a_video_that_does_not_tell(clips: Clips, perform: Perform) -> None:
    kinds = ["-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf"]
    source = clips.made("found-wmv", *picture("96x64", seconds=2), *sound(seconds=0.6), *kinds)
    assert duration(only(perform("extract_audio", {"format": "mp3"}, source)).path) < 1


def test_peaks_keep_sound_from_becoming_as_loud_as_asked(clips: Clips, perform: Perform) -> None:
    beep = "aevalsrc='if(between(t,0.5,0.7),0.7,0.02)*sin(2764*t)':s=48000:d=1.2"
    source = clips.made("found-beep", *SMALL, "-f", "lavfi", "-i", beep, *H264, "-c:a", "aac", "-f", "mp4")
    wish = {"target": -8, "true_peak": -6}
    report = {check.name: check for check in only(perform("loudness", wish, source)).verification.report}
    assert report["loudness"].passed
    assert report["loudness"].actual.startswith("-1")


def test_one_picture_is_no_moving_webp() -> None:
    with pytest.raises(Problem, match="two pictures") as caught:
        planned("gif", media(), format="webp", start=1, duration=0.1)
    assert caught.value.code == "parameters_do_not_fit"


def test_the_last_of_few_frames_may_be_shown_longer() -> None:
    silent = media(audio=())
    slack = planned("convert", silent, format="mkv", fps=5).outputs[0].expectation.duration_tolerance
    assert slack == pytest.approx(0.4)


@pytest.mark.parametrize(
    "wish", [{"start": 0.2, "end": 0.4, "action": "remove"}, {"ranges": "0-0.2, 0.6-0.7, 1.4-1.8"}]
)
def test_parts_without_sound_are_silent(clips: Clips, perform: Perform, wish: dict[str, object]) -> None:
    """The track begins after the first part ends, and ends before the last begins."""
    late = ["-itsoffset", "0.5", *sound(seconds=0.6)]
    kinds = ["-c:v", "mpeg4", "-c:a", "aac", "-f", "mp4"]
    source = clips.made("found-parts", *picture("96x64", seconds=2), *late, *kinds)
    seen = watch(only(perform("trim", wish, source)).path)
    length = 1.8 if "action" in wish else 0.7
    assert seen.shown_until == pytest.approx(length, abs=0.05)
    assert seen.heard_until == pytest.approx(length, abs=0.05)
    assert max(seen.loudness[:15]) < 0.01
    assert max(seen.loudness) > 0.05


def test_avi_keeps_late_sound_late(clips: Clips, perform: Perform) -> None:
    late = ["-itsoffset", "0.4", *sound(seconds=0.6)]
    kinds = ["-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts"]
    source = clips.made("found-late", *SMALL, *late, *kinds)
    seen = watch(only(perform("convert", {"format": "avi"}, source)).path)
    begins = next(at for at, level in enumerate(seen.loudness) if level > 0.05) / 100
    assert begins == pytest.approx(0.4, abs=0.08)


def test_uneven_frames_are_no_error(clips: Clips) -> None:
    """Rounded to the rate they have on average, two would be shown at one moment."""
    uneven = ["-vf", "settb=1/1000,setpts='PTS+18*mod(N,2)'", "-fps_mode", "passthrough"]
    source = clips.made("found-uneven", *SMALL, *uneven, "-enc_time_base", "1/1000", *H264, "-f", "mp4")
    found = measure(source, reading=RESULTS, limits=Limits(), control=Control(), decoding=True)
    assert (found.frames, found.errors) == (25, 0)


def test_flv_counts_from_where_the_first_frame_is_stored() -> None:
    """So it tells a length that is some frames longer."""
    fast = media(audio=(), video=(PICTURE.model_copy(update={"frame_rate": 50.0}),))
    slack = planned("convert", fast, format="flv", quality="high").outputs[0].expectation.duration_tolerance
    assert slack >= 0.1


@pytest.mark.parametrize("at", [0.3, 0.95])
def test_a_thumbnail_behind_the_last_key_frame(clips: Clips, perform: Perform, at: float) -> None:
    """Without an index a search went on to the next key frame; there is none."""
    source = clips.made(
        "found-ts", *SMALL, *sound(seconds=1), *H264, "-g", "99", "-c:a", "aac", "-f", "mpegts"
    )
    taken = watch(only(perform("thumbnail", {"at": at}, source)).path)
    seen = watch(source)
    wanted = max(number for number, time in enumerate(seen.times) if time <= at + 0.04)
    assert nearest(taken.pictures[0], list(seen.pictures)) == pytest.approx(wanted, abs=2)
