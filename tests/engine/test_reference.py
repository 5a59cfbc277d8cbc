"""The page about operations says what the parameters say."""

from __future__ import annotations

from pathlib import Path

from engine.reference import table_of, with_tables

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_tables_of_the_page_are_current() -> None:
    text = PAGE.read_text()
    assert with_tables(text) == text, "run: python -m engine.reference docs/operations.md"


def test_a_table_names_every_parameter() -> None:
    table = table_of("rotate")
    assert "| `degrees` | `90`, `180`, `270` |" in table
    assert "| `flip` | `horizontal`, `vertical` |" in table
    assert "**required**" in table_of("convert")
    assert "No parameters." in table_of("mute")
