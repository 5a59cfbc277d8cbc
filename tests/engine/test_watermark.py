"""watermark: where the text stands, when it is seen, and that it is only ever text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.catalogue import parameters_for, plan_for
from engine.control import Control
from engine.execute import execute
from engine.probe import probe
from engine.small_files import SmallFile, small_file_intake
from engine.types.limits import Limits
from engine.types.media import MediaInfo, VideoStream
from engine.types.recipes import SOURCE
from engine.whitelist import UPLOADS
from problems import Problem
from tests.engine.clips import H264, Clips, ffmpeg
from tests.engine.conftest import Perform
from tests.engine.results import frames, only
from tests.engine.test_parameters import refusals
from tests.engine.test_plans import media, planned

MARK = "ast_" + "1" * 32


def grey(clips: Clips) -> Path:
    scene = "color=c=gray:s=320x180:r=10:d=2"
    return clips.made("grey", "-f", "lavfi", "-i", scene, *H264, "-f", "mp4")


def drawn(picture: bytes, width: int = 96, height: int = 54) -> list[tuple[int, int]]:
    """The points that are not the grey of the ground."""
    ground = max(set(picture), key=picture.count)
    return [(at % width, at // width) for at in range(width * height) if abs(picture[at] - ground) > 12]


def looks(path: Path) -> list[bytes]:
    return frames(path, width=96, height=54)


@pytest.mark.parametrize(
    ("position", "columns", "rows"),
    [
        ("top_left", (0, 40), (0, 18)),
        ("top", (28, 68), (0, 18)),
        ("top_right", (56, 96), (0, 18)),
        ("left", (0, 40), (18, 36)),
        ("center", (28, 68), (18, 36)),
        ("right", (56, 96), (18, 36)),
        ("bottom_left", (0, 40), (36, 54)),
        ("bottom", (28, 68), (36, 54)),
        ("bottom_right", (56, 96), (36, 54)),
    ],
)
def test_nine_places(
    clips: Clips, perform: Perform, position: str, columns: tuple[int, int], rows: tuple[int, int]
) -> None:
    wish = {"text": "Mark", "position": position, "size": 15, "margin": 3, "opacity": 100}
    points = drawn(looks(only(perform("watermark", wish, grey(clips))).path)[5])
    assert len(points) > 20
    assert all(columns[0] <= x < columns[1] and rows[0] <= y < rows[1] for x, y in points)


def test_the_text_comes_and_goes(clips: Clips, perform: Perform) -> None:
    wish = {"text": "Now", "size": 20, "start": 0.5, "end": 1.2}
    pictures = looks(only(perform("watermark", wish, grey(clips))).path)
    assert [bool(drawn(picture)) for picture in pictures] == [5 <= number < 12 for number in range(20)]


def test_opacity(clips: Clips, perform: Perform) -> None:
    strength = []
    for opacity in (20, 100):
        wish = {"text": "IIII", "size": 40, "position": "center", "opacity": opacity}
        picture = looks(only(perform("watermark", wish, grey(clips))).path)[5]
        strength.append(max(picture) - max(set(picture), key=picture.count))
    assert 3 < strength[0] < strength[1] / 2


@pytest.mark.parametrize(
    "text",
    [
        "it's 50% %{pts} %{eif:1:d}",
        "a':enable=0,movie=/etc/passwd[x];[x]null",
        "\\' , ; [in] : = \\\\ %",
        "textfile=/etc/passwd:x=1",
        "-y file:/etc/passwd",
        "$(touch x) `id` ${HOME}",
        "Ünïcödé Ελλάδα Привет שלום ©",
        "<script>alert(1)</script>",
    ],
)
def test_text_is_only_text(clips: Clips, perform: Perform, tmp_path: Path, text: str) -> None:
    result = perform("watermark", {"text": text, "size": 20, "position": "center"}, grey(clips))
    assert drawn(looks(only(result).path)[5])
    assert (tmp_path / "work" / "watermark.txt").read_text() == text
    plain = planned("watermark", media(), text=text)
    assert text not in str(plain.steps[0].runs[0].files)
    assert text not in result.log


def test_a_long_text_is_made_to_fit(clips: Clips, perform: Perform) -> None:
    wish = {"text": "A rather long line of words that is wide", "size": 20, "margin": 5}
    points = drawn(looks(only(perform("watermark", wish, grey(clips))).path)[5])
    assert points
    assert min(x for x, _ in points) >= 2
    assert "smaller than asked so that it fits" in planned("watermark", media(), **wish).summary


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, {"/parameters/text": "required"}),
        ({"text": "  "}, {"/parameters/text": "too_short"}),
        ({"text": "x" * 121}, {"/parameters/text": "too_long"}),
        ({"text": "a\nb"}, {"/parameters/text": "not_a_text"}),
        ({"text": "a\x00b"}, {"/parameters/text": "not_a_text"}),
        ({"text": "a\u202eb"}, {"/parameters/text": "not_a_text"}),
        ({"text": "a\ud800b"}, {"/parameters/text": "not_a_text"}),
        ({"text": 5}, {"/parameters/text": "not_a_text"}),
        ({"text": "x", "position": "middle"}, {"/parameters/position": "not_a_choice"}),
        ({"text": "x", "size": 51}, {"/parameters/size": "too_large"}),
        ({"text": "x", "opacity": 0}, {"/parameters/opacity": "too_small"}),
        ({"text": "x", "start": 3, "end": 2}, {"/parameters/end": "too_small"}),
        ({"text": "x", "image": MARK}, {"/parameters/text": "not_wanted"}),
        ({"image": "ast_../../etc"}, {"/parameters/image": "not_a_choice"}),
    ],
)
def test_nonsense_is_pointed_at(raw: dict[str, object], expected: dict[str, str]) -> None:
    assert refusals("watermark", raw) == expected


def test_a_time_after_the_end_does_not_fit() -> None:
    with pytest.raises(Problem) as caught:
        planned("watermark", media(), text="x", start=61)
    assert caught.value.code == "parameters_do_not_fit"


# ------------------------------------------------------------------------------------------- with a picture


def logo(tmp_path: Path) -> SmallFile:
    """A white square, the left half of it transparent."""
    path = tmp_path / "logo.png"
    half = "color=white:s=80x80,format=rgba,geq=r=255:g=255:b=255:a='if(lt(X,40),0,255)'"
    ffmpeg("-f", "lavfi", "-i", half, "-frames:v", "1", "-f", "image2", path)
    work = tmp_path / "small"
    work.mkdir()
    return small_file_intake(path, work, control=Control())


def marked(wish: Mapping[str, object], source: Path, mark: SmallFile, tmp_path: Path) -> list[bytes]:
    held = probe(source, reading=UPLOADS, limits=Limits(), control=Control()).media
    plan = plan_for(
        "watermark", parameters_for("watermark", {"image": MARK, **wish}), held, {MARK: mark.media}
    )
    assert plan.others == {MARK}
    result = execute(
        plan,
        0,
        sources={SOURCE: source, MARK: mark.path},
        work_dir=tmp_path / "work",
        limits=Limits(),
        on_progress=lambda _: None,
        control=Control(),
    )
    return looks(only(result).path)


@pytest.mark.parametrize(
    ("position", "column", "row"),
    [("top_left", 5, 5), ("center", 39, 18), ("bottom_right", 73, 31)],
)
def test_a_picture_is_laid_over(clips: Clips, tmp_path: Path, position: str, column: int, row: int) -> None:
    wish = {"position": position, "size": 33, "margin": 10, "opacity": 100}
    picture = marked(wish, grey(clips), logo(tmp_path), tmp_path)[5]
    points = drawn(picture)
    # A third of the height is 18 of 54 rows; only the right half of the square is to be seen.
    assert (min(x for x, _ in points), max(x for x, _ in points)) == pytest.approx(
        (column + 9, column + 17), abs=1
    )
    assert (min(y for _, y in points), max(y for _, y in points)) == pytest.approx((row, row + 17), abs=1)
    assert max(picture) > 245


def test_a_picture_fades_comes_and_goes(clips: Clips, tmp_path: Path) -> None:
    wish = {"position": "center", "size": 50, "opacity": 50, "start": 0.5, "end": 1.2}
    pictures = marked(wish, grey(clips), logo(tmp_path), tmp_path)
    assert [bool(drawn(picture)) for picture in pictures] == [5 <= number < 12 for number in range(20)]
    assert max(pictures[7]) == pytest.approx((128 + 255) / 2, abs=8)


def test_a_wide_picture_is_made_to_fit(tmp_path: Path) -> None:
    mark = MediaInfo(
        container="png",
        format_names=("png_pipe",),
        duration=0,
        size=1,
        video=(VideoStream(index=0, codec="png", width=2000, height=100),),
    )
    wish = parameters_for("watermark", {"image": MARK, "size": 20})
    assert "smaller than asked so that it fits" in plan_for("watermark", wish, media(), {MARK: mark}).summary
    with pytest.raises(Problem) as caught:
        plan_for("watermark", wish, media(), {MARK: media()})
    assert caught.value.code == "parameters_do_not_fit"
