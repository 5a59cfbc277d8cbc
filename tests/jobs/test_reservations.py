"""Room that is held for work: checked before it starts, given back when it ends, never forgotten."""

from __future__ import annotations

import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import Settings
from rest_framework.test import APIClient

from engine import catalogue
from engine.types.media import MediaInfo
from jobs import services, steering, transitions
from jobs.models import Job
from problems import Problem
from tests.pages.conftest import video_make
from users.models import User
from videos.models import Operation, Reservation, Upload, Video
from videos.selectors import storage_reserved, storage_usage
from videos.services import reservations
from videos.services.reservations import disk_held, operation_hold
from videos.services.uploads import upload_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def video(alice: User) -> Video:
    return video_make(alice)


def submitted(alice: User, video: Video, width: int = 640) -> services.Submission:
    return services.operation_submit(
        viewer=alice, video_id=video.pk, type="resize", parameters={"width": width}
    )


def estimate(made: services.Submission) -> int:
    assert made.job is not None
    assert made.job.plan is not None
    return int(made.job.plan["estimated_size"])


def quota(owner: User, total: int) -> None:
    owner.storage_bytes_override = total
    owner.save()


def ended(job: Job | None, how: str) -> None:
    assert job is not None
    with transaction.atomic():
        locked = transitions.job_lock(job.id)
        if how == "completed":
            transitions.job_complete(locked)
        elif how == "failed":
            transitions.job_fail(locked, Problem("worker_lost"))
        else:
            transitions.job_cancel(locked)


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
def test_is_held_from_the_request_to_the_end(alice: User, video: Video, how: str) -> None:
    made = submitted(alice, video)
    assert made.job is not None
    expected = estimate(made)
    assert storage_reserved(alice) == expected > 0
    again = submitted(alice, video)
    assert (again.created, storage_reserved(alice)) == (False, expected), (
        "an equal request holds nothing more"
    )
    steering.job_pause(viewer=alice, job_id=made.job.id)
    assert storage_reserved(alice) == expected
    ended(made.job, how)
    assert storage_reserved(alice) == 0


def test_what_runs_again_holds_again(alice: User, video: Video) -> None:
    made = submitted(alice, video)
    ended(made.job, "failed")
    assert made.job is not None
    services.job_retry(viewer=alice, job_id=made.job.id)
    assert storage_reserved(alice) > 0


def test_without_room_nothing_starts(alice: User, video: Video, alices_client: APIClient) -> None:
    first = submitted(alice, video, 640)
    held = storage_reserved(alice)
    used = storage_usage(alice)
    quota(alice, used + held + 10)
    answer = alices_client.post(
        f"/api/v1/videos/{video.pk}/operations",
        {"type": "resize", "parameters": {"width": 320}},
        format="json",
    )
    told = answer.json()
    assert (answer.status_code, told["code"]) == (413, "quota_exceeded")
    assert (told["used"], told["reserved"], told["limit"]) == (used, held, used + held + 10)
    assert Operation.objects.count() == Job.objects.count() == Reservation.objects.count() == 1
    with pytest.raises(Problem, match="held for jobs"):
        upload_create(owner=alice, length=11)
    ended(first.job, "cancelled")
    assert submitted(alice, video, 320).created


def test_an_unfinished_upload_holds_what_it_announced(alice: User, video: Video) -> None:
    quota(alice, storage_usage(alice) + 1000)
    upload_create(owner=alice, length=999)
    with pytest.raises(Problem) as caught:
        submitted(alice, video)
    assert caught.value.code == "quota_exceeded"


def test_the_disk_is_held_as_well(alice: User, bob: User, video: Video, settings: Settings) -> None:
    before = disk_held()
    upload = upload_create(owner=bob, length=10**6)
    Upload.objects.filter(pk=upload.pk).update(offset=400_000)
    made = submitted(alice, video)
    assert disk_held() - before == 600_000 + estimate(made)
    settings.DISK_RESERVE_BYTES = 10**18
    with pytest.raises(Problem) as caught:
        submitted(alice, video, 320)
    assert (caught.value.code, caught.value.status) == ("storage_full", 507)
    assert Job.objects.count() == 1


def test_a_plan_without_an_estimate_holds_as_much_as_the_source(
    alice: User, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_for = catalogue.plan_for

    def without(*args: Any) -> Any:
        return plan_for(*args).model_copy(update={"estimated_size": None})

    monkeypatch.setattr(catalogue, "plan_for", without)
    submitted(alice, video)
    assert storage_reserved(alice) == MediaInfo.model_validate(video.media_info).size


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_do_not_share_the_last_room(alice: User, video: Video) -> None:
    another = estimate(submitted(alice, video, 640))
    quota(alice, storage_usage(alice) + storage_reserved(alice) + another)
    outcomes: list[str] = []
    begin = threading.Barrier(4)

    def ask(width: int) -> None:
        begin.wait()
        try:
            submitted(User.objects.select_related("tier").get(pk=alice.pk), video, width)
            outcomes.append("started")
        except Problem as problem:
            outcomes.append(problem.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(width,)) for width in (632, 634, 636, 638)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["quota_exceeded"] * 3 + ["started"]
    assert storage_usage(alice) + storage_reserved(alice) <= alice.storage_bytes_limit


def test_it_goes_with_its_operation(alice: User, video: Video) -> None:
    submitted(alice, video)
    video.delete()
    assert storage_reserved(alice) == 0


def test_a_forgotten_one_is_found_and_removed(alice: User, video: Video) -> None:
    kept = submitted(alice, video).operation
    done = Operation.objects.create(
        video=video, type="gif", parameters={}, fingerprint="1", status=Operation.Status.COMPLETED
    )
    operation_hold(operation=done, expected=5)
    with pytest.raises(CommandError):
        call_command("check_storage", stdout=StringIO())
    call_command("check_storage", "--repair", stdout=(said := StringIO()))
    assert "1 operations hold room although they have ended." in said.getvalue()
    assert list(Reservation.objects.values_list("operation", flat=True)) == [kept.pk]
    assert reservations.reservations_check() == 0
