"""Names, types, tags and lengths of what is handed out. The bytes are the edge's, see test_edge."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videos.delivery import Delivery
from videos.names import content_disposition


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("clip.mp4", 'attachment; filename="clip.mp4"'),
        ("a b (1).mp4", 'attachment; filename="a b (1).mp4"'),
        ("Größe.mov", "attachment; filename=\"Groe.mov\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.mov"),
        (
            "日本語.mp4",
            "attachment; filename=\"download.mp4\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC%E8%AA%9E.mp4",
        ),
        ('q"uo\\te.mp4', "attachment; filename=\"q_uo_te.mp4\"; filename*=UTF-8''q%22uo%5Cte.mp4"),
        ("100%41.mp4", "attachment; filename=\"100_41.mp4\"; filename*=UTF-8''100%2541.mp4"),
        (
            "a\r\nSet-Cookie: x",
            "attachment; filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x",
        ),
        ("", 'attachment; filename=""'),
    ],
)
def test_names_in_the_header(filename: str, header: str) -> None:
    assert content_disposition(filename, inline=False) == header


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_name_survives_the_header(filename: str) -> None:
    header = content_disposition(filename, inline=True)
    assert header.isascii()
    assert header.isprintable()
    kind, *parts = header.split("; filename")
    assert kind == "inline"
    message = Message()
    message["Content-Disposition"] = header
    if len(parts) == 1:
        assert message.get_filename("") == filename
    else:
        assert unquote(parts[-1].removeprefix("*=UTF-8''")) == filename


@pytest.mark.parametrize(
    ("wanted", "promised"),
    [
        ("", 1000),
        ("bytes=0-99", 100),
        ("bytes=900-", 100),
        ("bytes=-1", 1),
        ("bytes=-5000", 1000),
        ("bytes=0-0,10-19, -5", 16),
        ("bytes=0-899,0-899", 1000),
        ("bytes=1000-", 0),
        ("items=0-9", 1000),
        ("bytes=-", 1000),
        ("bytes=9-1", 0),
    ],
)
def test_promised_bytes(tmp_path: Path, wanted: str, promised: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    delivery = Delivery(path=path, filename="x", content_type="video/mp4", inline=False)
    assert delivery.promised_bytes(wanted) == promised


def test_the_tag_is_of_the_bytes(tmp_path: Path, settings: object) -> None:
    settings.MEDIA = tmp_path  # type: ignore[attr-defined]  # pytest-django's fixture
    path = tmp_path / "file"
    one = Delivery(path=path, filename="x", content_type="video/mp4", inline=False, digest="ab" * 32)
    assert one.answer("GET", {})["ETag"] == f'"{"ab" * 16}"'
    none = Delivery(path=path, filename="x", content_type="video/mp4", inline=False)
    assert "ETag" not in none.answer("GET", {})
