"""What somebody has, in numbers that triggers keep, against a count of the rows."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.videos.test_usage import STEPS as USAGE_STEPS
from tests.videos.test_usage import account, chosen, result
from users.models import User
from videos.models import HoldingChange, Operation, Output, Video
from videos.selectors import owner_statistics, videos_counted, videos_for, videos_held_counted
from videos.services.holdings import holdings_check, holdings_fold

pytestmark = pytest.mark.django_db


def naive(user: User) -> dict[str, Any]:
    """Row by row."""
    videos = list(Video.objects.filter(owner=user, deleted_at=None))
    operations = list(Operation.objects.filter(video__in=videos))
    outputs = list(Output.objects.filter(operation__in=operations))
    return {
        "videos": Counter(video.status for video in videos),
        "video_bytes": sum(video.size for video in videos),
        "video_seconds": pytest.approx(sum(video.duration or 0 for video in videos), abs=1e-6 * len(videos)),
        "operations": Counter(operation.status for operation in operations),
        "outputs": len(outputs),
        "output_bytes": sum(output.size for output in outputs),
    }


def assert_right(user: User) -> None:
    found = owner_statistics(user)
    for name, expected in naive(user).items():
        value = getattr(found, name)
        assert (+Counter(value) if isinstance(expected, Counter) else value) == expected, name
    assert videos_held_counted(user) == videos_counted(videos_for(user))


STEPS = USAGE_STEPS | {
    "status": lambda _, n: chosen(Operation.objects.all(), n).update(
        status=Operation.Status.values[n % len(Operation.Status.values)]
    ),
    "length": lambda _, n: chosen(Video.objects.all(), n).update(duration=n / 7 if n % 3 else None),
    "inspected": lambda _, n: chosen(Video.objects.all(), n).update(
        status="failed" if n % 2 else "processing", error_code="not_a_video"
    ),
    "fold": lambda *_: holdings_fold(),
}
OFTEN = ("video", "video", "result", "result", "result", *STEPS)


@settings(
    phases=[Phase.generate],
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.sampled_from(OFTEN), st.integers(0, 10**6)), min_size=15, max_size=30))
def test_the_numbers_are_those_of_the_rows(db: None, steps: list[tuple[str, int]]) -> None:
    with transaction.atomic():
        users = [account(), account()]
        for kind, number in steps:
            STEPS[kind](users, number)
            for user in users:
                assert_right(user)
        holdings_fold()
        assert holdings_check() == []
        for user in users:
            assert_right(user)
        transaction.set_rollback(True)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_rows_removed_by_hand_in_any_order_are_counted(alice: User, order: tuple[int, ...]) -> None:
    video = Video.objects.create(owner=alice, name="x", size=10)
    result(video, 5)
    tables = ("videos_video", "videos_operation", "videos_output")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for place in order:
            cursor.execute(f"DELETE FROM {tables[place]}")  # noqa: S608 - one of the three above
    holdings_fold()
    assert not HoldingChange.objects.exists()


def test_nothing_is_read_of_what_is_not_in_the_trash(alice: User) -> None:
    for size in range(1, 4):
        result(Video.objects.create(owner=alice, name="x", size=size), size)
    holdings_fold()
    assert HoldingChange.objects.count() == 3
    with CaptureQueriesContext(connection) as queries:
        found = owner_statistics(alice)
    assert len(queries) == 3
    assert (sum(found.videos.values()), found.outputs, found.output_bytes) == (3, 3, 6)


def test_numbers_that_went_wrong_are_found_and_put_right(alice: User, bob: User) -> None:
    Video.objects.create(owner=alice, name="x", size=10)
    HoldingChange.objects.all().delete()
    HoldingChange.objects.create(owner=bob, kind="output", status="", count=2, bytes=9, microseconds=0)
    with pytest.raises(CommandError, match="2 users differ"):
        call_command("check_storage", stdout=StringIO())
    assert holdings_check() == sorted([alice.pk, bob.pk])
    out = StringIO()
    call_command("check_storage", repair=True, stdout=out)
    assert "2 users were put right" in out.getvalue()
    assert holdings_check() == []
    assert_right(alice)
    assert_right(bob)
