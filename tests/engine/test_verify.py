"""What is looked at before a result is shown to anyone, and that each check bites."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.control import Control
from engine.failures import RunFailed
from engine.types.limits import Limits
from engine.types.plan import Expectation, ExpectedStream, Origin, OutputPlan
from engine.verify import verify
from tests.engine.clips import H264, SECONDS, Clips, picture, sound
from tests.engine.conftest import MakePlan, Perform
from tests.engine.results import only

Check = Callable[..., dict[str, str]]

STREAMS = (
    ExpectedStream(kind="video", codec="h264", width=320, height=180),
    ExpectedStream(kind="audio", codec="aac"),
)


@pytest.fixture
def check(limits: Limits) -> Check:
    """Check a file as if it had been made by a plan with this expectation; what was found, by check."""

    def check(path: Path, *, source: Path | None = None, **expected: object) -> dict[str, str]:
        output = OutputPlan(
            role="video",
            container="mp4",
            extension="mp4",
            content_type="video/mp4",
            expectation=Expectation.model_validate({"container": "mp4", "streams": STREAMS, **expected}),
        )
        done = verify(path, output, limits=limits, control=Control(), source=source)
        return {item.name: item.actual for item in done.verification.report}

    return check


ORIGIN = Origin(picture=0, sound=1)
DARK = ["-f", "lavfi", "-i", f"color=s=320x180:r=25:d={SECONDS}:c=black"]
QUIET = ["-f", "lavfi", "-i", f"anullsrc=d={SECONDS}"]
MP4 = [*H264, "-c:a", "aac", "-shortest", "-f", "mp4"]


def test_a_result_is_seen_and_heard_beside_its_source(clips: Clips, check: Check) -> None:
    whole = clips.container("mp4")
    found = check(whole, source=whole, origin=ORIGIN)
    assert found["not black"] == found["not silent"] == "alike in the place looked at"


def test_a_black_result_is_refused(clips: Clips, check: Check) -> None:
    black = clips.made("black", *DARK, *sound(), *MP4)
    with pytest.raises(RunFailed, match=r"not black should be light .* and is black at 1.5 s") as caught:
        check(black, source=clips.container("mp4"), origin=ORIGIN)
    assert caught.value.code == "output_black"


def test_a_silent_result_is_refused(clips: Clips, check: Check) -> None:
    silent = clips.made("silent-result", *picture(), *QUIET, *MP4)
    with pytest.raises(RunFailed, match=r"not silent should be sound .* and is silent at 1.5 s"):
        check(silent, source=clips.container("mp4"), origin=ORIGIN)


def test_what_is_black_and_silent_may_stay_so(clips: Clips, check: Check) -> None:
    nothing = clips.made("nothing", *DARK, *QUIET, *MP4)
    found = check(nothing, source=nothing, origin=ORIGIN)
    assert "not black" not in found
    assert "not silent" not in found


def test_key_frames_of_other_moments_accuse_nobody(clips: Clips, check: Check) -> None:
    """Light in one half; the key frames before the place looked at lie in different halves."""
    scene = ["-f", "lavfi", "-i", "color=s=320x180:r=25:d=3:c=white", *sound()]
    night = ["-vf", "drawbox=color=black:t=fill:enable='lt(t,1)'", *H264, "-c:a", "aac", "-f", "mp4"]
    one = clips.made("dawn-1", *scene, *night, "-x264-params", "keyint=75:scenecut=0")
    two = clips.made("dawn-2", *scene, *night, "-x264-params", "keyint=30:scenecut=0")
    assert check(one, source=two, origin=ORIGIN)["not black"].startswith("alike")


@pytest.mark.parametrize(
    ("type_", "wish"),
    [
        ("trim", {"start": 1, "end": 2.5}),
        ("speed", {"factor": 2}),
        ("resize", {"width": 160}),
        ("loudness", {"target": -20}),
    ],
)
def test_operations_say_where_their_frames_come_from(
    clips: Clips, perform: Perform, type_: str, wish: dict[str, object]
) -> None:
    artifact = only(perform(type_, wish, clips.container("mp4")))
    names = {item.name for item in artifact.verification.report}
    assert names & {"not black", "not silent"}


def test_a_cut_out_corner_may_be_dark(clips: Clips, plan: MakePlan) -> None:
    origin = plan("crop", {"width": 32, "height": 32}, clips.container("mp4")).outputs[0].expectation.origin
    assert origin is not None
    assert origin.picture is None


def test_joined_files_are_decoded_whole(clips: Clips, check: Check) -> None:
    """Damage in the middle is outside the samples of other files."""
    long = clips.made("for-joining", *picture(seconds=9), *sound(seconds=9), "-g", "25", *MP4)
    count = 9 * 25
    assert check(long, joined=True, frames=count, duration=9)["frames"] == str(count)
    data = long.read_bytes()
    middle = len(data) // 2
    hurt = clips.written("hurt", data[:middle] + bytes(3000) + data[middle + 3000 :])
    check(hurt)
    with pytest.raises(RunFailed, match="decodes from end to end should be no errors"):
        check(hurt, joined=True)


def test_files_with_seams_are_decoded_across_them(clips: Clips, check: Check) -> None:
    long = clips.made("for-joining", *picture(seconds=9), *sound(seconds=9), "-g", "25", *MP4)
    assert check(long, seams=(4.5,))["decodes across 4.500 s"] == "30 frames"
    data = long.read_bytes()
    middle = len(data) // 2
    hurt = clips.written("hurt", data[:middle] + bytes(3000) + data[middle + 3000 :])
    check(hurt, seams=(2.5,))
    with pytest.raises(RunFailed, match=r"decodes across 4\.500 s should be frames without errors"):
        check(hurt, seams=(4.5,))


def test_frames_are_counted(clips: Clips, check: Check) -> None:
    assert check(clips.container("mp4"), frames=SECONDS * 25)["frames"] == "75"
    with pytest.raises(RunFailed, match="frames should be 76 and is 75"):
        check(clips.container("mp4"), frames=76)
    assert check(clips.container("mkv"), container="mkv", frames=75, streams=(
        STREAMS[0], ExpectedStream(kind="audio", codec="ac3")))["frames"] == "75"  # fmt: skip
