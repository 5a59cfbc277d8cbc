"""reverse: the last frame first, the last sound first, and a clear answer for what is too long."""

from __future__ import annotations

import pytest

from problems import Problem
from tests.engine.clips import H264, Clips, picture
from tests.engine.conftest import Perform
from tests.engine.results import codecs, frames, loudest, nearest, only
from tests.engine.test_plans import media, planned


def test_the_end_comes_first(clips: Clips, perform: Perform) -> None:
    """The beep is in the last half second; the picture lasts a little less than the sound."""
    beep = ["-f", "lavfi", "-i", "sine=f=880:d=2,volume=enable='lt(t,1.5)':volume=0"]
    source = clips.made("beep", *picture(seconds=1.96), *beep, *H264, "-c:a", "aac", "-f", "mp4")
    artifact = only(perform("reverse", {}, source))
    before, after = frames(source), frames(artifact.path)
    assert len(after) == 50
    assert [nearest(after[number], before) for number in (5, 25, 49)] == [44, 24, 0]
    heard = loudest(artifact.path)
    assert max(heard[5:45]) > 0.05
    assert max(heard[60:190]) < 0.01


def test_without_sound(clips: Clips, perform: Perform) -> None:
    artifact = only(perform("reverse", {"sound": "muted"}, clips.container("mkv")))
    assert codecs(artifact.path) == ["h264"]


def test_what_is_too_long_is_told_with_what_would_do() -> None:
    with pytest.raises(Problem, match=r"enough for 19 s of 1920x1080") as caught:
        planned("reverse", media())
    assert caught.value.code == "parameters_do_not_fit"
