"""Files whose times do not say how long they are: clocks that begin anew, streams of unlike lengths."""

from __future__ import annotations

from pathlib import Path

import pytest

from problems import Problem
from tests.engine.clips import H264, Clips, picture, sound
from tests.engine.results import frames, nearest, only
from tests.engine.site_like import made, planned_for, taken_in
from tests.engine.watching import watch

SMALL = picture("96x64", seconds=2)
_MPEG2 = ["-c:v", "mpeg2video", "-g", "10", "-c:a", "mp2"]
_KINDS = {
    "ts": [*H264, "-g", "10", "-c:a", "aac", "-f", "mpegts"],
    "mpg": [*_MPEG2, "-f", "mpeg"],
}


def twice(clips: Clips, kind: str, *offset: str) -> Path:
    """Two recordings in one file, as some recorders and `cat` make them; the second may have its own time."""
    grey = ["-f", "lavfi", "-i", "testsrc=s=96x64:r=25:d=2"]
    first = clips.made(f"clock-{kind}", *SMALL, *sound(440, seconds=2), *_KINDS[kind])
    second = clips.made(f"clock-{kind}-2", *grey, *sound(880, seconds=2), *offset, *_KINDS[kind])
    return clips.written(f"clock-both-{kind}{len(offset)}", first.read_bytes() + second.read_bytes())


@pytest.mark.parametrize("kind", list(_KINDS))
def test_a_clock_that_begins_anew(clips: Clips, tmp_path: Path, kind: str) -> None:
    media = taken_in(twice(clips, kind), tmp_path)
    assert media.broken_clock
    assert media.duration == pytest.approx(4, abs=0.2)
    assert media.video[0].duration == pytest.approx(4, abs=0.2)
    assert media.audio[0].duration == pytest.approx(4, abs=0.2)


def test_a_clock_that_jumps_ahead(clips: Clips, tmp_path: Path) -> None:
    media = taken_in(twice(clips, "ts", "-output_ts_offset", "5000"), tmp_path)
    assert media.duration == pytest.approx(4, abs=0.3)


@pytest.mark.parametrize("kind", list(_KINDS))
def test_all_of_it_is_converted(clips: Clips, tmp_path: Path, kind: str) -> None:
    source = twice(clips, kind)
    seen = watch(only(made("convert", {"format": "mp4", "quality": "medium"}, source, tmp_path)).path)
    assert len(seen.times) == pytest.approx(100, abs=2)
    assert seen.shown_until == pytest.approx(4, abs=0.15)
    assert seen.heard_until == pytest.approx(4, abs=0.15)


def test_its_second_half_can_be_found(clips: Clips, tmp_path: Path) -> None:
    source = twice(clips, "ts")
    part = only(made("trim", {"start": 3, "duration": 0.6}, source, tmp_path / "trim")).path
    shown = frames(source)
    assert len(frames(part)) == pytest.approx(15, abs=1)
    assert nearest(frames(part)[0], shown) == pytest.approx(75, abs=1)
    still = only(made("thumbnail", {"at": 3.5}, source, tmp_path / "still")).path
    assert nearest(frames(still)[0], shown) == pytest.approx(87, abs=2)
    several = only(made("trim", {"ranges": "0.4-0.8, 3-3.4"}, source, tmp_path / "several")).path
    numbers = [nearest(picture_, shown) for picture_ in frames(several)]
    assert numbers[0] == pytest.approx(10, abs=1)
    assert numbers[-1] == pytest.approx(84, abs=1)


@pytest.mark.parametrize(
    ("type_", "wish"),
    [("crop", {"auto": True}), ("compress", {"target_quality": 90}), ("gif", {"start": 1, "duration": 1})],
)
def test_what_would_look_at_places_is_refused(
    clips: Clips, tmp_path: Path, type_: str, wish: dict[str, object]
) -> None:
    media = taken_in(twice(clips, "ts"), tmp_path)
    with pytest.raises(Problem, match="clock") as caught:
        planned_for(type_, wish, media)
    assert caught.value.code == "parameters_do_not_fit"


_LONGER = {
    "avi-pcm": ["-c:v", "mpeg4", "-c:a", "pcm_s16le", "-f", "avi"],
    "wmv": ["-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf"],
    "avi": ["-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi"],
    "flv": ["-c:v", "flv", "-ar", "44100", "-c:a", "libmp3lame", "-f", "flv"],
    "mkv": [*H264, "-c:a", "aac", "-f", "matroska"],
    "ts": [*H264, "-c:a", "aac", "-f", "mpegts"],
    "mpg": ["-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpeg"],
    "ogv": ["-c:v", "libtheora", "-c:a", "libvorbis", "-f", "ogg"],
    "mp4": [*H264, "-c:a", "aac", "-f", "mp4"],
}


def longer(clips: Clips, kind: str) -> Path:
    """A second of picture and two of sound."""
    return clips.made(f"longer-{kind}", *picture("96x64", seconds=1), *sound(seconds=2), *_LONGER[kind])


@pytest.mark.parametrize("kind", list(_LONGER))
def test_each_stream_has_its_own_length_and_nothing_is_cut_where_there_is_no_picture(
    clips: Clips, tmp_path: Path, kind: str
) -> None:
    media = taken_in(longer(clips, kind), tmp_path)
    assert media.duration == pytest.approx(2, abs=0.1)
    assert media.video[0].duration == pytest.approx(1, abs=0.1)
    assert media.audio[0].duration == pytest.approx(2, abs=0.1)
    wishes: list[dict[str, object]] = [
        {"start": 1.4},
        {"start": 0, "end": 1.2, "action": "remove"},
        {"ranges": "1.3-1.5, 1.6-1.8"},
    ]
    for wish in wishes:
        with pytest.raises(Problem, match="picture") as caught:
            planned_for("trim", wish, media)
        assert caught.value.code == "parameters_do_not_fit"


@pytest.mark.parametrize("kind", ["wmv", "avi-pcm"])
def test_sound_may_go_on_after_the_picture(clips: Clips, tmp_path: Path, kind: str) -> None:
    source = longer(clips, kind)
    wishes: list[tuple[str, dict[str, object], float, float]] = [
        ("trim", {"start": 0.4, "end": 1.8}, 0.6, 1.4),
        ("convert", {"format": "mp4"}, 1.0, 2.0),
        ("convert", {"format": "avi"}, 1.0, 2.0),
    ]
    for number, (type_, wish, shown, heard) in enumerate(wishes):
        seen = watch(only(made(type_, wish, source, tmp_path / str(number))).path)
        assert seen.shown_until == pytest.approx(shown, abs=0.13), (type_, wish)
        assert seen.heard_until == pytest.approx(heard, abs=0.15), (type_, wish)
