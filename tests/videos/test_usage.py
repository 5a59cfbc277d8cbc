"""What counts against the quota: always the sum of the bytes stored, whoever changes them and how."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from users.ids import public_id_new
from users.models import User
from videos.models import Operation, Output, StorageChange, Upload, Video
from videos.selectors import storage_usage
from videos.services.usage import Difference, usage_check, usage_fold
from videos.services.videos import video_restore, video_trash, videos_purge

pytestmark = pytest.mark.django_db


def naive(user: User) -> int:
    """Added up row by row, as a reader of the quota's rule would."""
    videos = Video.objects.filter(owner=user, deleted_at=None)
    results = Output.objects.filter(operation__video__in=videos)
    uploads = Upload.objects.filter(owner=user, video=None)
    # Equal originals are stored once.
    originals = {(video.sha256 or video.pk, video.size) for video in videos}
    stored = [*(size for _, size in originals), *results.values_list("size", flat=True)]
    announced = [upload.offset if upload.length is None else upload.length for upload in uploads]
    return sum(stored) + sum(announced)


def account() -> User:
    name = public_id_new("usr")
    return User.objects.create_user(name[-30:], f"{name}@example.org")


def result(video: Video, size: int) -> Output:
    operation = Operation.objects.create(
        video=video, type="resize", parameters={}, fingerprint=public_id_new("op")
    )
    return Output.objects.create(operation=operation, role="video", size=size, verification={})


def chosen(rows: QuerySet[Any], number: int) -> QuerySet[Any]:
    """One of them, or none where there are none."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    return rows.filter(pk=keys[number % len(keys)] if keys else None)


def for_each(videos: QuerySet[Video], act: Callable[..., None]) -> None:
    for video in videos:
        act(video=video)


def upload_end(uploads: QuerySet[Upload]) -> None:
    for upload in uploads:
        made = Video.objects.create(owner=upload.owner, name="y", size=upload.offset)
        Upload.objects.filter(pk=upload.pk).update(video=made)


def account_replace(users: list[User], number: int) -> None:
    if number % 5 == 0:
        users[number % len(users)].delete()
        users[number % len(users)] = account()


# What happens, to rows that the number chooses.
STEPS: dict[str, Callable[[list[User], int], object]] = {
    "video": lambda users, n: Video.objects.create(owner=users[n % 2], name="x", size=n),
    "equal video": lambda users, n: Video.objects.create(
        owner=users[n % 2], name="x", size=1 + n % 3, sha256=f"{n % 3:064}"
    ),
    "equals at once": lambda users, n: Video.objects.bulk_create(
        [Video(owner=users[m % 2], name="x", size=1 + n % 3, sha256=f"{n % 3:064}") for m in range(n % 5)]
    ),
    "hashed": lambda _, n: chosen(Video.objects.filter(sha256=""), n).update(sha256=f"{n % 3:064}"),
    "all trashed": lambda users, n: for_each(
        Video.objects.filter(owner=users[0], size__gt=n % 5), video_trash
    ),
    "half restored": lambda _, n: Video.objects.filter(size__gt=n % 3).update(deleted_at=None),
    "equals go": lambda _, n: n % 4 or Video.objects.filter(sha256=f"{n % 3:064}").delete(),
    "upload": lambda users, n: Upload.objects.create(
        owner=users[n % 2], length=n if n % 3 else None, expires_at=timezone.now() + timedelta(days=1)
    ),
    "result": lambda _, n: [result(video, 1 + n) for video in chosen(Video.objects.all(), n)],
    "result grows": lambda _, n: chosen(Output.objects.all(), n).update(size=1 + n),
    "result goes": lambda _, n: chosen(Output.objects.all(), n).delete(),
    "operation goes": lambda _, n: chosen(Operation.objects.all(), n).delete(),
    "trash": lambda _, n: for_each(chosen(Video.objects.all(), n), video_trash),
    "restore": lambda _, n: for_each(chosen(Video.objects.all(), n), video_restore),
    "purge": lambda _, n: n % 3 or videos_purge(trashed_before=timedelta(days=-1)),
    "given away": lambda users, n: chosen(Video.objects.all(), n).update(owner=users[n % 2]),
    "freed": lambda _, n: chosen(Video.objects.all(), n).update(size=0, name="freed"),
    "upload grows": lambda _, n: chosen(Upload.objects.filter(length=None), n).update(offset=F("offset") + n),
    "upload ends": lambda _, n: upload_end(chosen(Upload.objects.filter(video=None), n)),
    "upload goes": lambda _, n: chosen(Upload.objects.all(), n).delete(),
    "account goes": account_replace,
    "fold": lambda *_: usage_fold(),
}
# Several of each, or there would never be much to change.
OFTEN = ("video", "video", "upload", "result", "result", "result", *STEPS)


@settings(
    phases=[Phase.generate],
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.sampled_from(OFTEN), st.integers(0, 10**6)), min_size=15, max_size=30))
def test_usage_is_the_sum_of_what_is_stored(db: None, steps: list[tuple[str, int]]) -> None:
    with transaction.atomic():
        users = [account(), account()]
        for kind, number in steps:
            STEPS[kind](users, number)
            assert [storage_usage(user) for user in users] == [naive(user) for user in users], kind
        usage_fold()
        assert usage_check() == []
        assert StorageChange.objects.count() == len([user for user in users if naive(user)])
        transaction.set_rollback(True)


def test_rows_removed_by_hand_and_in_any_order_are_counted(alice: User) -> None:
    video = Video.objects.create(owner=alice, name="x", size=10)
    result(video, 5)
    with connection.cursor() as cursor:
        # The video first: its foreign keys are looked at when the transaction ends.
        for table in ("video", "operation", "output"):
            cursor.execute(f"DELETE FROM videos_{table}")  # noqa: S608 - three constants
    assert storage_usage(alice) == 0


@pytest.mark.django_db(transaction=True)
def test_a_result_published_while_its_video_moves_to_the_trash_counts_once(alice: User) -> None:
    video = Video.objects.create(owner=alice, name="x", size=10)
    operation = Operation.objects.create(video=video, type="resize", parameters={}, fingerprint="0")

    def trash() -> None:
        video_trash(video=video)
        connection.close()

    other = threading.Thread(target=trash)
    with transaction.atomic():
        Output.objects.create(operation=operation, role="video", size=5, verification={})
        other.start()
        other.join(timeout=0.2)
        assert other.is_alive(), "it waits for the result"
    other.join()
    assert storage_usage(alice) == 0
    video_restore(video=video)
    assert storage_usage(alice) == 15


def test_a_round_of_folding_leaves_one_row_for_each_owner(alice: User, bob: User) -> None:
    for size in (10, 20, 30):
        Video.objects.create(owner=alice, name="x", size=size)
    Video.objects.create(owner=bob, name="x", size=7)
    assert usage_fold() == 2
    assert usage_fold() == 0
    assert dict(StorageChange.objects.values_list("owner", "bytes")) == {alice.pk: 60, bob.pk: 7}


def test_what_was_not_counted_is_found_and_put_right(alice: User, bob: User) -> None:
    Video.objects.create(owner=alice, name="x", size=10)
    StorageChange.objects.all().delete()
    StorageChange.objects.create(owner=bob, bytes=3)
    with pytest.raises(CommandError, match="2 users differ"):
        call_command("check_storage", stdout=StringIO())
    found = {Difference(alice.pk, 10), Difference(bob.pk, -3)}
    assert set(usage_check(repair=True)) == found
    assert StorageChange.objects.filter(owner=bob).aggregate(total=Sum("bytes"))["total"] == 0
    assert storage_usage(alice) == 10
    call_command("check_storage", stdout=(said := StringIO()))
    assert said.getvalue() == "All users are right.\n"
