"""Every hostile case has its tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from problems import KINDS
from tests.hostile.cases import CASES, with_table

TESTS = Path(__file__).parents[1]


def names_in(path: Path) -> set[str]:
    """Test functions, with their class where they have one."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            functions = (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            found.update(f"{node.name}::{one.name}" for one in functions)
    return found


def test_no_case_is_missing() -> None:
    assert list(CASES) == list(range(1, 65))
    assert all(case.tests for case in CASES.values())


@pytest.mark.parametrize("number", CASES)
def test_the_tests_of_a_case_exist(number: int) -> None:
    for test in CASES[number].tests:
        path, _, rest = test.partition("::")
        name, _, parameter = rest.partition("[")
        file = TESTS / path
        assert file.is_file(), test
        if name:
            assert name in names_in(file), test
        assert parameter.rstrip("]") in file.read_text(), test


@pytest.mark.parametrize("number", CASES)
def test_codes_are_those_of_the_catalogue(number: int) -> None:
    codes = re.findall(r"`([a-z_]+)`", CASES[number].response)
    assert set(codes) - {"nosniff"} <= set(KINDS)


def test_the_page_has_the_table() -> None:
    text = (TESTS.parent / "docs" / "sandbox.md").read_text()
    assert with_table(text) == text
