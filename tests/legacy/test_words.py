"""Names, states and times of the original in today's words."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from users.ids import public_id_at, public_id_is_valid
from videoproc.legacy.names import email_variants, unmangled, username_variants
from videoproc.legacy.records import LegacyVideo, checked
from videoproc.legacy.works import BrokenWork, State, Work, works_of


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        ("cafÃ©", "café"),
        ("кино".encode().decode("latin-1"), "кино"),
        ("café", None),
        ("plain", None),
        ("日本", None),
        ("Ã", None),
        ("кино Ã©", None),
        ("", None),
    ],
)
def test_only_certain_mojibake_is_repaired(stored: str, meant: str | None) -> None:
    assert unmangled(stored) == meant


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("liam23", "liam23"),
        ("Liam Brown", "Liam_Brown"),
        ("a", "user-a"),
        ("ann@example.org", "ann"),
        ("../../etc", ".._.._etc"),
        ("\x00\ud800", "__"),
        ("x" * 500, "x" * 140),
    ],
)
def test_a_legal_name_is_found(wanted: str, first: str) -> None:
    assert list(islice(username_variants(wanted), 2)) == [first, f"{first}-2"]


def test_addresses_are_placeholders_unless_the_name_was_one() -> None:
    assert next(email_variants("ann", "ann@example.org", "k")) == "ann@example.org"
    assert next(email_variants("Ann", "Ann", "k")) == "ann@legacy.invalid"
    (odd,) = email_variants("..", "..", "k")
    assert odd.startswith("user-")
    assert odd.endswith("@legacy.invalid")


def works(**fields: Any) -> list[Work | BrokenWork]:
    record, _ = checked(LegacyVideo, {"videoId": "v1", "extension": "mp4", "userId": 1, **fields})
    return list(works_of(record))


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        ({"processing": False, "completed": True, "timestamp": "2026-11-22T17:57:33.426Z"}, State.FINISHED),
        ({"processing": False}, State.FINISHED),
        ({"processing": True}, State.UNFINISHED),
        (
            {"status": "processing", "startedAt": 1795370495413, "finishedAt": None, "error": None},
            State.UNFINISHED,
        ),
        ({"status": "completed", "finishedAt": 1795370495413, "error": None}, State.FINISHED),
        ({"status": "failed", "finishedAt": 1795370495413, "error": "no memory"}, State.FAILED),
        ({"processing": False, "completed": False}, State.UNFINISHED),
        ({"processing": False, "error": {"message": "no memory"}}, State.FAILED),
        ({"status": ["nonsense"]}, State.UNFINISHED),
        ({}, State.UNFINISHED),
    ],
)
def test_both_shapes_of_a_state_are_understood(entry: dict[str, Any], state: State) -> None:
    (work,) = works(conversions={"mov": entry})
    assert isinstance(work, Work)
    assert work.state is state
    assert work.error in {"", "no memory"}


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (1795370495413, datetime(2026, 11, 22, 18, 1, 35, 413000, UTC)),
        ("2026-11-22T17:57:33.426Z", datetime(2026, 11, 22, 17, 57, 33, 426000, UTC)),
        ("2026-11-22T17:57:33", datetime(2026, 11, 22, 17, 57, 33, tzinfo=UTC)),
        ("yesterday", None),
        (1e30, None),
        ("0001-01-01T00:00:00+14:00", None),
        (True, None),
        ([], None),
    ],
)
def test_times_come_in_two_forms(moment: Any, expected: datetime | None) -> None:
    (work,) = works(conversions={"mov": {"completed": True, "timestamp": moment}})
    assert isinstance(work, Work)
    assert work.at == expected


@pytest.mark.parametrize("key", ["800", "0x600", "800x600x3", "../../etc", "\uff19x\uff19", "800X600", ""])
def test_a_resize_that_is_no_size_is_broken(key: str) -> None:
    (work,) = works(resizes={key: {"processing": False}})
    assert isinstance(work, BrokenWork)


@pytest.mark.parametrize("key", ["../x", "exe", ""])
def test_an_unknown_format_is_broken(key: str) -> None:
    (work,) = works(conversions={key: {"completed": True}})
    assert isinstance(work, BrokenWork)


def test_an_id_sorts_as_its_moment() -> None:
    early, late = (public_id_at("vid", datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2))
    assert early < late < public_id_at("vid", datetime.now(UTC).replace(year=2090))
    assert public_id_is_valid("vid", early)
