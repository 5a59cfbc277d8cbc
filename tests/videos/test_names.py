"""Names and headers from strangers."""

from __future__ import annotations

import base64
import contextlib
from email.message import Message

import pytest
from django.utils.http import content_disposition_header
from hypothesis import given
from hypothesis import strategies as st

from problems import Problem
from videos.names import download_name, filename_clean, name_clean, video_name
from videos.tus.headers import metadata_header, metadata_of

ANY_TEXT = st.text(max_size=300)
KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=20
)


@given(ANY_TEXT, ANY_TEXT)
def test_a_video_always_has_one_printable_line_of_a_name(title: str, filename: str) -> None:
    name = video_name(title=title, filename=filename)

    assert 0 < len(name) <= 255
    assert name.isprintable()
    assert name == name_clean(name)


@given(ANY_TEXT)
def test_a_download_never_names_a_path(name: str) -> None:
    filename = download_name(name, extension="mp4", suffix="extract audio")

    assert filename == filename.strip()
    assert len(filename.encode()) <= 255
    assert not set(filename) & set('/\\:*?"<>|\r\n\x00')
    assert filename.endswith(" - extract audio.mp4")
    header = content_disposition_header(as_attachment=True, filename=filename)
    assert header is not None
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.mp4", "a.mp4"),
        ("-y.mp4", "-y.mp4"),
        ("a%03d.png", "a%03d.png"),
        ("e\u0301.mp4", "\u00e9.mp4"),
        ("evil\u202e4pm.exe", "evil_4pm.exe"),
        ("trailing. ", "trailing"),
        ("..", ""),
    ],
)
def test_the_name_of_a_file_is_only_its_last_part(given_name: str, expected: str) -> None:
    assert filename_clean(given_name) == expected


@given(st.dictionaries(KEYS, st.text(st.characters(exclude_characters="\x00", codec="utf-8")), max_size=5))
def test_metadata_survives_the_header(metadata: dict[str, str]) -> None:
    assert metadata_of({"upload-metadata": metadata_header(metadata)}) == metadata


@given(st.text(max_size=100))
def test_any_metadata_header_is_read_or_refused(header: str) -> None:
    with contextlib.suppress(Problem):
        assert "\x00" not in str(metadata_of({"upload-metadata": header}))


def test_metadata_that_is_not_text_is_shown_as_such() -> None:
    value = base64.b64encode(b"\xff\x00a").decode()
    assert metadata_of({"upload-metadata": f"filename {value}"}) == {"filename": "\ufffda"}
