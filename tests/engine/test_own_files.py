"""A person's pictures and subtitles in pipelines and in segments: as in one operation, in one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalogue import others_for, parameters_for
from engine.control import Control
from engine.operation import Holds
from engine.segments import Machine, divided
from engine.small_files import SmallFile, small_file_intake
from engine.types.plan import Plan
from engine.types.recipes import SOURCE
from problems import Problem
from tests.engine.clips import H264, Clips, ffmpeg, sound
from tests.engine.results import distance, frames, only
from tests.engine.site_like import done, planned_for, taken_in
from tests.engine.test_plans import media

MARK, WORDS = "ast_" + "1" * 32, "ast_" + "2" * 32
LINE = "1\n00:00:00,500 --> 00:00:01,200\nMMMMMM\n\n2\n00:00:02,200 --> 00:00:02,600\nMMMMMM\n"


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> SmallFile:
    folder = tmp_path_factory.mktemp("mark")
    white = "color=white:s=80x80,format=rgba"
    ffmpeg("-f", "lavfi", "-i", white, "-frames:v", "1", "-f", "image2", folder / "logo.png")
    return small_file_intake(folder / "logo.png", folder, control=Control())


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> SmallFile:
    folder = tmp_path_factory.mktemp("words")
    (folder / "sent").write_text(LINE)
    return small_file_intake(folder / "sent", folder, control=Control())


def grey(clips: Clips, muxer: str = "mp4") -> Path:
    scene = ["-f", "lavfi", "-i", "color=c=gray:s=160x90:r=10:d=3"]
    return clips.made("own-grey", *scene, *sound(seconds=3), *H264, "-g", "5", "-c:a", "aac", "-f", muxer)


def white(picture: bytes, column: int, row: int) -> bool:
    return picture[row * 32 + column] > 200


def lettered(picture: bytes) -> bool:
    below = picture[9 * 32 :]
    return max(below) - min(below) > 20


def pipeline(*steps: tuple[str, dict[str, object]]) -> dict[str, object]:
    return {"steps": [{"type": type_, "parameters": wish} for type_, wish in steps]}


def made(
    type_: str,
    wish: dict[str, object],
    source: Path,
    tmp_path: Path,
    files: dict[str, SmallFile],
    *,
    seconds: float | None = None,
) -> tuple[Plan, list[bytes]]:
    media = taken_in(source, tmp_path / "look")
    plan = planned_for(type_, wish, media, {name: file.media for name, file in files.items()})
    if seconds is not None:
        whole, plan = plan, divided(plan, media, Machine(cores=2, slots=2), seconds=seconds)
        assert len(plan.steps) > len(whole.steps)
    sources = {SOURCE: source, **{name: file.path for name, file in files.items()}}
    return plan, frames(only(done(plan, sources, tmp_path / "work")).path)


def test_a_pipeline_names_the_files_of_all_its_steps() -> None:
    wish = pipeline(("watermark", {"image": MARK}), ("subtitles", {"file": WORDS}), ("mute", {}))
    assert others_for("pipeline", parameters_for("pipeline", wish)) == {MARK: Holds.IMAGE, WORDS: Holds.WORDS}


def test_a_picture_and_words_in_one_pass(
    clips: Clips, tmp_path: Path, mark: SmallFile, words: SmallFile
) -> None:
    """Two pictures, each with its own place, and letters at their times; cut and made smaller before."""
    wish = pipeline(
        ("trim", {"start": 1}),
        ("watermark", {"image": MARK, "position": "top_left", "size": 20, "opacity": 100}),
        ("watermark", {"image": MARK, "position": "top_right", "size": 20, "opacity": 100, "start": 1}),
        ("subtitles", {"file": WORDS, "size": 20}),
        ("convert", {"format": "mkv"}),
    )
    plan, shown = made("pipeline", wish, grey(clips), tmp_path, {MARK: mark, WORDS: words})
    assert plan.others == {MARK, WORDS}
    assert plan.summary.endswith("All in one pass.")
    assert len(plan.steps[0].runs) == 1
    assert len(shown) == 20
    assert all(white(one, 3, 2) for one in shown)
    assert [white(one, 28, 2) for one in shown] == [False] * 10 + [True] * 10
    # Counted on the part that is left, as the step sees it.
    assert [lettered(one) for one in shown] == [False] * 5 + [True] * 7 + [False] * 8


def test_what_is_cut_after_the_words_keeps_their_times(
    clips: Clips, tmp_path: Path, words: SmallFile
) -> None:
    wish = pipeline(("subtitles", {"file": WORDS, "size": 20}), ("trim", {"start": 1, "end": 2.5}))
    plan, shown = made("pipeline", wish, grey(clips), tmp_path, {WORDS: words})
    assert len(plan.steps[0].runs) == 2
    assert [lettered(one) for one in shown] == [True] * 2 + [False] * 10 + [True] * 3


def test_times_in_files_without_an_index_are_those_of_the_part(
    clips: Clips, tmp_path: Path, mark: SmallFile
) -> None:
    """Decoding begins before the part there; what is thrown away does not count."""
    placed = {"image": MARK, "position": "top_left", "size": 20, "opacity": 100, "start": 0.5}
    wish = pipeline(("trim", {"start": 1}), ("watermark", placed))
    _, shown = made("pipeline", wish, grey(clips, "mpegts"), tmp_path, {MARK: mark})
    assert [white(one, 3, 2) for one in shown].index(True) == pytest.approx(5, abs=1)


def test_new_tracks_come_last(words: SmallFile) -> None:
    wish = pipeline(("subtitles", {"file": WORDS, "action": "add"}), ("resize", {"width": 64}))
    with pytest.raises(Problem, match=r"Step 1 \(Subtitles\) can only be the last") as caught:
        planned_for("pipeline", wish, media(), {WORDS: words.media})
    assert caught.value.code == "parameters_do_not_fit"


@pytest.mark.parametrize("type_", ["watermark", "subtitles"])
def test_segments_show_the_same(
    clips: Clips, tmp_path: Path, mark: SmallFile, words: SmallFile, type_: str
) -> None:
    wishes: dict[str, dict[str, object]] = {
        "watermark": {"image": MARK, "size": 20, "opacity": 60, "start": 0.7, "end": 2.1},
        "subtitles": {"file": WORDS, "size": 20},
    }
    files = {MARK: mark} if type_ == "watermark" else {WORDS: words}
    source = grey(clips)
    _, alone = made(type_, wishes[type_], source, tmp_path / "alone", files)
    _, together = made(type_, wishes[type_], source, tmp_path / "pieces", files, seconds=1)
    assert len(alone) == len(together) == 30
    assert max(distance(*pair) for pair in zip(alone, together, strict=True)) < 2


def test_a_blurred_frame_is_divided_too(clips: Clips, tmp_path: Path) -> None:
    wish: dict[str, object] = {"width": 90, "height": 160, "fit": "pad", "background": "blur"}
    _, alone = made("resize", wish, grey(clips), tmp_path / "alone", {})
    _, together = made("resize", wish, grey(clips), tmp_path / "pieces", {}, seconds=1)
    assert max(distance(*pair) for pair in zip(alone, together, strict=True)) < 2
