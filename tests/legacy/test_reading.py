"""Damaged JSON: what cannot be read is named, the rest comes out."""

from __future__ import annotations

import json

import pytest

from videoproc.legacy.reading import Damage, Entry, entries


def values(text: str) -> list[object]:
    return [found.value for found in entries(text.encode()) if isinstance(found, Entry)]


def damages(text: str) -> list[Damage]:
    return [found for found in entries(text.encode()) if isinstance(found, Damage)]


def test_a_whole_list_comes_out_without_a_word() -> None:
    assert values('[{"a":1},\n {"b":{"c":{}}}] \n') == [{"a": 1}, {"b": {"c": {}}}]
    assert damages('[{"a":1}]') == []
    assert values("[]") == []
    assert damages("[]") == []


def test_json_lines_are_read_too() -> None:
    assert values('{"a":1}\n{"a":2}\n') == [{"a": 1}, {"a": 2}]


def test_a_broken_record_is_named_and_the_next_is_read() -> None:
    text = '[{"a":1},{"a":oops, "x":{"y":{}}},{"a":3}]'
    assert values(text) == [{"a": 1}, {"a": 3}]
    (damage,) = damages(text)
    assert damage.index == 1
    assert "character 14" in damage.reason


def test_a_cut_off_file_keeps_what_is_whole() -> None:
    text = '[{"a":1},{"a":2},{"a":'
    assert values(text) == [{"a": 1}, {"a": 2}]
    assert [damage.index for damage in damages(text)] == [2]
    assert values('[{"a":1},{"a":2}') == [{"a": 1}, {"a": 2}]
    assert [damage.reason for damage in damages('[{"a":1}')] == ["the file ends in the middle of the list"]


@pytest.mark.parametrize("text", ["", "  \n", "\ufeff"])
def test_an_empty_file_is_told(text: str) -> None:
    assert [damage.reason for damage in damages(text)] == ["the file is empty"]


def test_hostile_nesting_and_numbers_end_in_a_word() -> None:
    deep = "[" + '{"a":' * 100_000 + "1" + "}" * 100_000 + ',{"b":2}]'
    assert damages(deep)
    assert damages('[{"a":' + "9" * 5000 + "}]")


def test_bytes_that_are_no_text_are_told() -> None:
    found = list(entries(b'[{"a":"\xff"}]'))
    assert isinstance(found[0], Damage)
    assert found[1] == Entry(0, {"a": "\ufffd"})


def test_cutting_anywhere_loses_at_most_what_was_cut() -> None:
    records = [{"a": 1, "b": {"c": {}}}, {"d": "}, {"}, {"e": None}]
    text = json.dumps(records)
    ends = [len(json.dumps(records[:count])) - 1 for count in range(1, len(records) + 1)]
    for cut in range(len(text)):
        found = values(text[:cut])
        # A cut within the text "}, {" may look like a record's end; nothing whole is lost by it.
        assert found[: len(records)] == records[: len(found)], text[:cut]
        assert len(found) == sum(end <= cut for end in ends), text[:cut]
