"""join without encoding: videos of one camera, and what is done where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from tests.engine.clips import Clips, sound
from tests.engine.results import codecs, distance, frames, loudest, only, raw_probe
from tests.engine.site_like import done, planned_for, taken_in
from tests.engine.test_others import ONE, TWO
from tests.engine.watching import watch

_X264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p"]
_CAMERA = [*_X264, "-c:a", "aac", "-f", "mp4"]
_NO_SOUND = ["-an", "-f", "mp4"]


def shot(clips: Clips, number: int, *options: str, seconds: float = 1.2, rate: str = "25") -> Path:
    """One of several that one camera made: another scene and another tone each."""
    scene = ["-f", "lavfi", "-i", f"testsrc2=s=160x90:r={rate}:d={seconds},hue=h={90 * number}"]
    return clips.made(f"shot-{number}", *scene, *sound(400 * number, seconds=seconds), *options or _CAMERA)


def joined(shots: list[Path], work_dir: Path) -> tuple[Plan, Path]:
    """The first with the others after it."""
    names = [SOURCE, ONE, TWO][: len(shots)]
    sources = dict(zip(names, shots, strict=True))
    held = {name: taken_in(path, work_dir / f"look-{name}") for name, path in sources.items()}
    plan = planned_for("join", {"after": names[1:]}, held.pop(SOURCE), held)
    return plan, only(done(plan, sources, work_dir)).path


def told(plan: Plan) -> Mapping[str, tuple[str, str]]:
    return {one.kind: (one.action, one.why) for one in plan.streams}


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ((), "30000/1001"),
        ((*_X264, "-c:a", "aac", "-f", "matroska"), "25"),
        (("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", *_CAMERA[-4:]), "25"),
        (("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", *_CAMERA[-4:]), "25"),
    ],
)
def test_shots_of_one_camera_are_joined_without_loss(
    clips: Clips, tmp_path: Path, options: tuple[str, ...], rate: str
) -> None:
    shots = [shot(clips, number, *options, rate=rate) for number in (1, 2, 3)]
    plan, path = joined(shots, tmp_path)
    assert told(plan)["video"] == (
        "copy",
        "Copied without loss: all 3 videos are encoded with the same settings.",
    )
    assert told(plan)["audio"][0] == "copy"
    assert "joined without encoding" in plan.summary
    # Frame by frame those of the sources, none missing at the joins, evenly apart.
    shown = frames(path)
    wanted = [one for source in shots for one in frames(source)]
    assert len(shown) == len(wanted)
    assert max(distance(one, other) for one, other in zip(shown, wanted, strict=True)) == 0
    seen = watch(path)
    gaps = [after - before for before, after in zip(seen.times, seen.times[1:], strict=False)]
    assert max(gaps) < 1.5 * min(gaps)
    assert seen.heard_until == pytest.approx(seen.shown_until, abs=0.1)
    # No hole in the sound: at a join an encoder's beginning takes the time of a packet to become loud.
    quiet = [level < 0.05 for level in seen.loudness[3:-6]]
    assert sum(quiet) <= 6
    streams = raw_probe(path)["streams"]
    assert [stream["codec_type"] for stream in streams] == ["video", "audio"]


def test_picture_and_sound_stay_together(clips: Clips, tmp_path: Path) -> None:
    """A flash and a beep at the same moment of every shot, many times over: nothing drifts apart."""
    flash = "color=black:s=160x90:r=25:d=1.12,drawbox=color=white:t=fill:enable='between(t,0.6,0.79)'"
    beep = "aevalsrc='if(between(t,0.6,0.8),0.7,0)*sin(2764*t)':s=44100:d=1.13"
    source = clips.made("beeps", "-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep, *_CAMERA)
    media = taken_in(source, tmp_path / "look")
    plan = planned_for("join", {"after": [ONE] * 8}, media, {ONE: media})
    path = only(done(plan, {SOURCE: source, ONE: source}, tmp_path)).path
    assert told(plan)["video"][0] == told(plan)["audio"][0] == "copy"
    seen = watch(path)
    white = [sum(one) / len(one) > 200 for one in seen.pictures]
    flashes = [seen.times[at] for at in range(1, len(white)) if white[at] and not white[at - 1]]
    heard = loudest(path)
    loud = [at for at in range(5, len(heard)) if heard[at] > 0.2]
    beeps = [at / 100 for at in loud if max(heard[at - 5 : at]) <= 0.2]
    assert len(flashes) == len(beeps) == 9
    assert flashes == pytest.approx(beeps, abs=0.04)


def test_unlike_sound_is_encoded_and_the_picture_is_not(clips: Clips, tmp_path: Path) -> None:
    mono = [*_X264, "-ac", "1", "-c:a", "aac", "-f", "mp4"]
    shots = [shot(clips, 1), shot(clips, 2, *mono), shot(clips, 3, *_X264, *_NO_SOUND)]
    plan, path = joined(shots, tmp_path)
    assert told(plan)["video"][0] == "copy"
    assert told(plan)["audio"] == ("encode", "Encoded once for all: not all of the videos have sound.")
    assert codecs(path) == ["h264", "aac"]
    seen = watch(path)
    assert len(seen.times) == 90
    assert min(seen.loudness[5:235]) > 0.05
    assert max(seen.loudness[250:350]) < 0.01
    assert seen.heard_until == pytest.approx(3.6, abs=0.1)


def test_turned_shots_stay_turned(clips: Clips, tmp_path: Path) -> None:
    flat = shot(clips, 1)
    turned = clips.made("shot-turned", "-display_rotation:v:0", "-90", "-i", flat, "-c", "copy", "-f", "mp4")
    plan, path = joined([turned, turned], tmp_path)
    assert told(plan)["video"][0] == "copy"
    assert watch(path).size == (90, 160)
    plan, path = joined([flat, turned], tmp_path / "unlike")
    assert (
        "video 2 has a picture of 90x160, turned by 90 degrees and the first 160x90" in told(plan)["video"][1]
    )
    assert len(frames(path)) == 60


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"], "video 2 is H.265"),
        ([*_X264, "-vf", "scale=128:72"], "video 2 has a picture of 128x72 and the first 160x90"),
        ([*_X264, "-x264-params", "ref=5:cabac=0"], "video 2 was encoded with other settings than the first"),
    ],
)
def test_unlike_shots_are_encoded_and_the_plan_says_why(
    clips: Clips, tmp_path: Path, other: list[str], why: str
) -> None:
    shots = [shot(clips, 1), shot(clips, 2, *other, "-c:a", "aac", "-f", "mp4")]
    held = [taken_in(path, tmp_path / str(number)) for number, path in enumerate(shots)]
    plan = planned_for("join", {"before": [ONE]}, held[0], {ONE: held[1]})
    # The order counts: the other comes first here.
    action, reason = told(plan)["video"]
    assert action == "encode"
    assert reason.startswith("Encoded, so that all the videos have one shape and rate: video 2 ")
    plan = planned_for("join", {"after": [ONE]}, held[0], {ONE: held[1]})
    assert why in told(plan)["video"][1]


def test_pieces_that_do_not_go_together_are_encoded_after_all(clips: Clips, tmp_path: Path) -> None:
    """The second has lost a frame that others of it refer to."""
    whole = shot(clips, 1)
    cut = clips.made("shot-cut", "-i", whole, "-c", "copy", "-bsf:v", "noise=drop=eq(n\\,5)", "-f", "mp4")
    held = [taken_in(path, tmp_path / path.parent.name) for path in (whole, cut)]
    plan = planned_for("join", {"after": [ONE]}, held[0], {ONE: held[1]})
    assert told(plan)["video"][0] == "copy"
    result = done(plan, {SOURCE: whole, ONE: cut}, tmp_path)
    assert "the quick way does not work here" in result.log
    assert watch(only(result).path).shown_until == pytest.approx(2.2, abs=0.3)
