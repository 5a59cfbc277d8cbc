from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from jobs.claiming import Claim, lanes_claimable, step_claim
from jobs.execution import lane_work
from jobs.leases import Lease, lease_look, lease_renew, progress_write
from jobs.models import Job, Step
from jobs.transitions import job_create
from tests.jobs.conftest import Clip, Submit, video_make
from tests.jobs.costs import claim_and_pages
from users.models import Priority, Tier, User
from videos.models import Operation, Video
from videos.services.videos import video_trash


def claim(lane: str = "encode") -> Claim | None:
    return step_claim(lane=lane, worker="here/1")


def cap(jobs: int) -> None:
    Tier.objects.update(concurrent_jobs=jobs)


def test_takes_the_oldest_and_leases_it(video: Video, submit: Submit) -> None:
    first, second = submit(video, width=160), submit(video, width=162)
    taken = claim()

    assert taken is not None
    assert taken.job.id == first.id
    assert (taken.job.status, taken.job.attempt, taken.attempt) == ("active", 1, 1)
    assert taken.job.started_at is not None
    assert taken.job.operation is not None
    operation = Operation.objects.get(id=taken.job.operation_id)
    assert operation.status == Operation.Status.PROCESSING
    step = Step.objects.annotate(now=Now()).get(id=taken.step_id)
    assert (step.status, step.lease_token, step.worker) == ("active", taken.token, "here/1")
    assert step.lease_until is not None
    assert timedelta(seconds=28) < step.lease_until - step.now <= timedelta(seconds=30)
    assert Job.objects.get(id=second.id).status == Job.Status.QUEUED


def test_priority_goes_before_age(video: Video, submit: Submit) -> None:
    Tier.objects.update(priority=Priority.HIGH)
    low = submit(video, width=160, priority=Priority.LOW)
    high = submit(video, width=162)

    claims = [claim(), claim()]
    assert [taken and taken.job.id for taken in claims] == [high.id, low.id]


def test_lanes_are_apart(video: Video, submit: Submit) -> None:
    submit(video)
    assert claim("short") is None
    assert lanes_claimable() == ["encode"]


def test_the_cap_of_the_tier_holds(video: Video, submit: Submit) -> None:
    cap(2)
    for width in (160, 162, 164):
        submit(video, width=width)

    assert claim()
    assert claim()
    assert claim() is None
    assert lanes_claimable() == []


def test_the_override_goes_before_the_tier(alice: User, video: Video, submit: Submit) -> None:
    cap(5)
    User.objects.filter(id=alice.id).update(concurrent_jobs_override=1)
    submit(video, width=160)
    submit(video, width=162)

    assert claim()
    assert claim() is None


def test_the_cap_of_one_does_not_hold_up_another(alice: User, bob: User, clip: Clip, submit: Submit) -> None:
    cap(1)
    alices, bobs = video_make(alice, clip), video_make(bob, clip)
    submit(alices, width=160)
    submit(alices, width=162)
    wanted = submit(bobs, width=160)

    assert claim()
    taken = claim()
    assert taken is not None
    assert taken.job.id == wanted.id


def test_intake_runs_at_the_cap_and_does_not_count(alice: User, video: Video, submit: Submit) -> None:
    cap(1)
    submit(video)
    assert claim()
    for _ in range(2):
        job_create(video=video, operation=None, priority=Priority.LOW, plan=None)

    assert claim("short")
    assert claim("short")
    assert Job.objects.filter(status="active", type=Job.INTAKE).count() == 2


def test_a_job_that_waits_for_its_next_try_is_left_out(video: Video, submit: Submit) -> None:
    job = submit(video)
    Step.objects.filter(job=job).update(run_after=Now() + timedelta(seconds=60))
    assert claim() is None
    Step.objects.filter(job=job).update(run_after=Now() - timedelta(seconds=1))
    assert claim()


def test_jobs_of_deleted_videos_are_left_out(video: Video, submit: Submit) -> None:
    submit(video)
    video_trash(video=video)
    assert claim() is None


def test_steps_wait_for_those_they_need(video: Video, submit: Submit) -> None:
    job = submit(video)
    Step.objects.create(
        job=job, owner=job.owner, position=1, kind="assemble", lane="short", priority=job.priority, needs=[0]
    )
    assert claim("short") is None
    Step.objects.filter(job=job, position=0).update(status="done")
    taken = claim("short")
    assert taken is not None
    assert taken.position == 1


def test_claims_at_once_take_each_step_once_and_keep_the_cap(
    alice: User, bob: User, clip: Clip, submit: Submit
) -> None:
    cap(3)
    for video in (video_make(alice, clip), video_make(bob, clip)):
        for width in range(160, 180, 2):
            submit(video, width=width)
    start = threading.Barrier(12)

    def take(_: int) -> list[Claim]:
        start.wait()
        try:
            return [taken for _ in range(3) if (taken := claim())]
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as threads:
        claims = [taken for some in threads.map(take, range(12)) for taken in some]

    assert len({taken.step_id for taken in claims}) == len(claims) == 6
    for owner in (alice, bob):
        assert Job.objects.filter(owner=owner, status="active").count() == 3


def test_a_lease_is_renewed_by_its_holder_alone(video: Video, submit: Submit) -> None:
    submit(video)
    taken = claim()
    assert taken is not None
    Step.objects.update(lease_until=Now() + timedelta(seconds=1))

    assert lease_look(taken) is Lease.HELD
    assert lease_renew(taken) is Lease.HELD
    assert Step.objects.filter(lease_until__gt=Now() + timedelta(seconds=25)).exists()

    Step.objects.update(lease_token="00000000-0000-4000-8000-000000000000")
    assert lease_look(taken) is Lease.LOST
    assert lease_renew(taken) is Lease.LOST
    assert progress_write(taken, per_cent=50, speed=None, eta_seconds=None) is None
    assert Job.objects.get().progress == 0


def test_a_lease_ends_with_its_video(video: Video, submit: Submit) -> None:
    submit(video)
    taken = claim()
    assert taken is not None
    video_trash(video=video)
    assert lease_renew(taken) is Lease.LOST


def test_nothing_to_do_is_no_fault(alice: User) -> None:
    assert not lane_work(lane="encode")


def test_a_long_queue_does_not_slow_a_claim_down(alice: User, bob: User, clip: Clip, submit: Submit) -> None:
    """Tens of thousands of waiting steps, of an owner who may run more and then of one who may not."""
    cap(2)
    short = _pages_of_a_claim(alice, clip, submit)
    _queue_up(bob, video_make(bob, clip), 30_000)
    with_bobs = _pages_of_a_claim(alice, clip, submit)
    assert claim()
    assert claim()
    assert claim() is None, "bob is at his cap"
    with_bob_at_his_cap = _pages_of_a_claim(alice, clip, submit)

    # Read one by one these steps are thousands of pages.
    assert with_bobs < 2 * short + 100
    assert with_bob_at_his_cap < 2 * short + 100


def _pages_of_a_claim(owner: User, clip: Clip, submit: Submit) -> int:
    """What one claim looks at; the job goes away again."""
    video = video_make(owner, clip)
    Tier.objects.update(priority=Priority.HIGH)
    job = submit(video, width=160)
    Tier.objects.update(priority=Priority.LOW)
    job_id, pages = claim_and_pages()
    assert job_id == job.id
    Job.objects.filter(id=job.id).delete()
    return pages


def _queue_up(owner: User, video: Video, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH job AS (
                INSERT INTO jobs_job (id, owner_id, video_id, type, priority, status, progress, attempt,
                    max_attempts, error_code, error_message, log, queued_at, cpu_seconds, seq)
                SELECT gen_random_uuid(), %(owner)s, %(video)s, 'resize', 9, 'queued', 0, 0,
                    4, '', '', '', now(), 0, 1000
                FROM generate_series(1, %(count)s) RETURNING id
            )
            INSERT INTO jobs_step (job_id, owner_id, position, kind, lane, priority, needs, status, attempt,
                worker, cpu_seconds)
            SELECT id, %(owner)s, 0, 'encode', 'encode', 9, '{}', 'queued', 0, '', 0 FROM job
            """,
            {"owner": owner.id.partition("_")[2], "video": video.id.partition("_")[2], "count": count},
        )
        cursor.execute("ANALYZE jobs_job, jobs_step")
