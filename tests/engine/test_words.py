"""Subtitles as plain words: what may be in such a file, and what is left of it."""

from __future__ import annotations

import pytest

from engine.words import Cue, ass_of, cues_of, shown_until, srt_of


def srt(*texts: str) -> str:
    return "".join(
        f"{at + 1}\n00:00:{at:02},250 --> 00:00:{at + 1:02},000\n{text}\n\n" for at, text in enumerate(texts)
    )


def ass(*texts: str) -> str:
    lines = (
        f"Dialogue: 0,0:00:0{at}.25,0:00:0{at + 1}.00,Default,,0,0,0,,{text}\n"
        for at, text in enumerate(texts)
    )
    return "[Script Info]\n\n[Events]\n" + "".join(lines)


def test_times_and_lines_survive() -> None:
    cues = cues_of(srt("One\nline", "Two"))
    assert cues == [Cue(0.25, 1.0, ("One", "line")), Cue(1.25, 2.0, ("Two",))]
    assert cues_of(srt_of(cues)) == cues
    assert srt_of(cues).startswith("1\n00:00:00,250 --> 00:00:01,000\nOne\nline\n\n2\n")
    assert cues_of(ass("One\\Nline", "Two")) == cues


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<i>Hi</i> <font size=9999>there</font>", "Hi there"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("<scr<b>ipt>x</scr</b>ipt>", "x"),
        ("<img src=x onerror=alert(1)", "\u2039img src=x onerror=alert(1)"),
        ("5 < 6 & 7 > 6", "5 < 6 & 7 > 6"),
        ("{\\blur999\\t(\\fs9999)}Slow", "Slow"),
        ("{\\a{\\b1}n8}Twice", "Twice"),
        ("a {note} stays", "a {note} stays"),
        ("a --> b", "a → b"),
        ("nul\x00bell\x07", "nul bell"),
        ("שלום Привет ©", "שלום Привет ©"),
    ],
)
def test_only_words_are_left(text: str, left: str) -> None:
    assert [cue.lines for cue in cues_of(srt(text))] == [(left,)]


def test_drawings_are_no_words() -> None:
    found = cues_of(ass("{\\p1}m 0 0 l 100 100{\\p0}Words {\\an8}{comment}here", "{\\p2}m 0 0 l 9 9"))
    assert [cue.lines for cue in found] == [("Words here",)]


def test_there_are_never_too_many_at_once() -> None:
    one = "1\n00:00:00,000 --> 10:00:00,000\nx\n\n"
    assert len(cues_of(one * 500)) == 8
    assert len(cues_of("".join(srt("x").replace("00:00:00", f"{n:03}:00:00") for n in range(30)))) < 30


def test_a_line_has_an_end() -> None:
    (cue,) = cues_of(srt("\n".join(["word " * 1000] * 3)))
    assert max(map(len, cue.lines)) <= 200


def test_times_that_cannot_be_are_left_out() -> None:
    backwards = "1\n00:00:05,000 --> 00:00:04,000\nx\n\n"
    assert cues_of(backwards) == []
    assert cues_of("no subtitles at all") == []
    assert shown_until([Cue(1, 9, ("a",)), Cue(7, 8, ("b",))], 5) == [Cue(1, 5, ("a",))]


def test_nothing_in_a_line_acts_as_a_command() -> None:
    text = ass_of([Cue(0, 1.5, (r"a\N{b1}", "Dialogue: x,y"))], picture=(320, 180), size=20)
    (line,) = [line for line in text.splitlines() if line.startswith("Dialogue:")]
    assert line == "Dialogue: 0,0:00:00.00,0:00:01.50,Words,a\\\u2060N\\{b1\\}\\NDialogue: x,y"
