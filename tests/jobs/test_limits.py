"""Limits of tier and operation and the hours of low priority: they hold in the claim, and the job says so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time

import pytest
from django.db import IntegrityError, connection, transaction

from jobs.claiming import Claim, lanes_claimable, step_claim
from jobs.models import Limit, SiteSettings, Step
from jobs.selectors import job_hold
from jobs.site import limit_delete, limit_save, site_settings_save
from jobs.steering import job_pause
from problems import Problem
from tests.conftest import client_of
from tests.jobs.conftest import Clip, Submit, video_make
from users.models import Priority, Tier, User
from videos.models import Video


def claim(lane: str = "encode") -> Claim | None:
    return step_claim(lane=lane, worker="here/1")


@pytest.fixture(autouse=True)
def _wide_caps(db: None) -> None:
    Tier.objects.update(concurrent_jobs=100)


class TestOperation:
    def test_no_more_of_it_run_on_the_site(self, alice: User, bob: User, clip: Clip, submit: Submit) -> None:
        alices, bobs = video_make(alice, clip), video_make(bob, clip)
        limit_save(Limit(type="resize", at_once=2))
        first = submit(alices, width=160)
        submit(bobs, width=160)
        held = [submit(alices, width=162), submit(bobs, width=162)]
        assert claim()
        assert claim()
        assert claim() is None
        assert lanes_claimable() == []
        for job in held:
            hold = job_hold(job)
            assert hold is not None
            assert hold.code == "operation_limit"
            assert hold.words == "2 jobs of “Resize” of this site are running, the most allowed at once"
        # Paused, but still in a worker's hands.
        job_pause(viewer=alice, job_id=first.id)
        assert claim() is None

        limit_delete(Limit.objects.get())
        assert claim()

    def test_other_operations_of_the_same_owner_go_on(self, video: Video, submit: Submit) -> None:
        limit_save(Limit(type="resize", per_user=1))
        submit(video, width=160)
        held = submit(video, width=162)
        other = submit(video, width=164)
        Step.objects.filter(job=other).update(type="convert")
        type(other).objects.filter(id=other.id).update(type="convert")
        taken = [claim(), claim(), claim()]
        assert [one and one.job.id for one in taken[1:]] == [other.id, None]
        hold = job_hold(held)
        assert hold is not None
        assert hold.words == "1 of your jobs of “Resize” is running, the most allowed at once"

    def test_the_steps_of_a_job_that_runs_go_on(self, video: Video, submit: Submit) -> None:
        limit_save(Limit(type="resize", at_once=1))
        job = submit(video, width=160)
        shape = {"owner_id": job.owner_id, "priority": job.priority, "type": job.type, "kind": "segment"}
        Step.objects.create(job=job, position=1, lane="encode", **shape)
        submit(video, width=162)
        assert [one and one.job.id for one in (claim(), claim(), claim())] == [job.id, job.id, None]


class TestTier:
    def test_only_its_accounts_are_limited(self, alice: User, bob: User, clip: Clip, submit: Submit) -> None:
        User.objects.filter(pk=bob.pk).update(tier="pro")
        limit_save(Limit(tier_id="free", at_once=1))
        alices, bobs = video_make(alice, clip), video_make(User.objects.get(pk=bob.pk), clip)
        submit(alices, width=160)
        assert claim()
        held = submit(alices, width=162)
        free = [submit(bobs, width=160), submit(bobs, width=162)]
        assert {(one := claim()) and one.job.id for _ in range(2)} == {job.id for job in free}
        assert claim() is None
        hold = job_hold(held)
        assert hold is not None
        assert (hold.code, hold.words) == (
            "tier_limit",
            "1 job of Free accounts is running, the most allowed at once",
        )

    def test_limits_hold_when_many_claim_at_once(
        self, alice: User, bob: User, clip: Clip, submit: Submit
    ) -> None:
        limit_save(Limit(type="resize", at_once=3))
        limit_save(Limit(tier_id="free", per_user=2))
        for owner in (alice, bob):
            video = video_make(owner, clip)
            for width in range(160, 170, 2):
                submit(video, width=width)
        start = threading.Barrier(10)

        def take(_: int) -> list[Claim]:
            start.wait()
            try:
                return [one for _ in range(2) if (one := claim())]
            finally:
                connection.close()

        with ThreadPoolExecutor(10) as threads:
            claims = [one for some in threads.map(take, range(10)) for one in some]
        assert len(claims) == 3
        owners = [one.job.owner_id for one in claims]
        assert max(owners.count(alice.pk), owners.count(bob.pk)) == 2


def test_own_limit_is_said(video: Video, submit: Submit) -> None:
    Tier.objects.update(concurrent_jobs=1)
    submit(video, width=160)
    held = submit(video, width=162)
    assert job_hold(held) is None, "it only waits for its turn"
    assert claim()
    answer = client_of(video.owner).get(f"/api/v1/jobs/{held.id}").json()
    assert answer["held"] == {
        "code": "own_limit",
        "detail": "1 of your jobs is running, the most allowed at once.",
        "until": None,
    }


@pytest.mark.parametrize("wrong", [{}, {"type": "resize"}, {"at_once": 0}])
def test_a_limit_limits(wrong: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Limit(**wrong).save()


def test_one_limit_for_each_tier_and_operation(db: None) -> None:
    limit_save(Limit(type="resize", at_once=1))
    with pytest.raises(IntegrityError), transaction.atomic():
        limit_save(Limit(type="resize", per_user=1))


class TestHours:
    @pytest.mark.parametrize(
        ("begin", "end", "zone", "moment", "runs"),
        [
            ("22:00", "06:00", "UTC", "2026-03-01T23:00", True),
            ("22:00", "06:00", "UTC", "2026-03-01T05:59", True),
            ("22:00", "06:00", "UTC", "2026-03-01T06:00", False),
            ("08:00", "18:00", "UTC", "2026-03-01T07:59", False),
            ("08:00", "18:00", "UTC", "2026-03-01T08:00", True),
            ("08:00", "18:00", "Asia/Kolkata", "2026-03-01T03:00", True),
            ("02:00", "03:00", "Europe/Berlin", "2026-03-29T00:30", False),
        ],
    )
    def test_clock(self, begin: str, end: str, zone: str, moment: str, *, runs: bool) -> None:
        site = SiteSettings(
            low_from=time.fromisoformat(begin), low_until=time.fromisoformat(end), time_zone=zone
        )
        at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        assert site.low_runs_at(at) is runs
        site_settings_save(site)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT CASE WHEN low_from < low_until THEN c >= low_from AND c < low_until "
                "ELSE c >= low_from OR c < low_until END "
                "FROM jobs_sitesettings, LATERAL "
                "(SELECT (%s::timestamptz AT TIME ZONE time_zone)::time AS c) clock",
                [at],
            )
            assert cursor.fetchone() == (runs,), "PostgreSQL's clock agrees"

    def test_only_low_encodes_wait_for_them(self, alice: User, video: Video, submit: Submit) -> None:
        Tier.objects.update(priority=Priority.NORMAL)
        hour = datetime.now(UTC).hour
        outside = SiteSettings(low_from=time((hour + 2) % 24), low_until=time((hour + 3) % 24))
        site_settings_save(outside)
        low = submit(video, width=160, priority=Priority.LOW)
        normal = submit(video, width=162)
        taken = claim()
        assert taken is not None
        assert taken.job.id == normal.id
        assert claim() is None
        assert lanes_claimable() == []
        hold = job_hold(low)
        assert hold is not None
        assert hold.code == "working_hours"
        assert hold.words.startswith("jobs of low priority start from")
        assert "(UTC)" in hold.words

        outside.low_from = outside.low_until = None
        site_settings_save(outside)
        assert claim()

    def test_quick_work_runs_at_any_hour(self, video: Video, submit: Submit) -> None:
        hour = datetime.now(UTC).hour
        site_settings_save(SiteSettings(low_from=time((hour + 2) % 24), low_until=time((hour + 3) % 24)))
        low = submit(video, width=160, priority=Priority.LOW)
        Step.objects.update(lane="short")
        assert job_hold(low) is None
        assert claim("short")

    def test_a_wrong_time_zone_changes_nothing(self, video: Video, submit: Submit) -> None:
        submit(video)
        for name in ("Nowhere/At_all", "", "../../etc/passwd", "x" * 64):
            with pytest.raises(Problem) as caught:
                site_settings_save(SiteSettings(drained=True, time_zone=name))
            assert caught.value.code == "invalid_request"
        assert claim()

    def test_half_of_the_hours_is_refused(self, db: None) -> None:
        for wrong in ({"low_from": time(8)}, {"low_from": time(8), "low_until": time(8)}):
            with pytest.raises(IntegrityError), transaction.atomic():
                site_settings_save(SiteSettings(**wrong))
