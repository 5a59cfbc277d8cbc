"""An owner's own order: moves between neighbours, what may not be moved, and what a move costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from jobs.claiming import step_claim
from jobs.models import Job, Step
from jobs.order import GAP
from jobs.selectors import queue_of
from jobs.steering import job_bump, job_pause, job_reorder, job_shift
from tests.conftest import client_of
from tests.jobs.conftest import Clip, Submit, video_make
from users.models import Priority, Tier, User
from videos.models import Video

Names = Callable[[], str]


@pytest.fixture
def jobs(video: Video, submit: Submit) -> dict[str, Job]:
    """Five that wait: a, b, c, d, e."""
    Tier.objects.update(concurrent_jobs=100)
    return {name: submit(video, width=160 + 2 * number) for number, name in enumerate("abcde")}


@pytest.fixture
def order(alice: User, jobs: dict[str, Job]) -> Names:
    names = {job.id: name for name, job in jobs.items()}
    return lambda: "".join(names[job.id] for line in queue_of(alice) for job in line.jobs)


def put(jobs: dict[str, Job], name: str, *, before: str = "", after: str = "") -> None:
    beside = jobs[before or after]
    job_reorder(viewer=beside.owner, job_id=jobs[name].id, beside=beside.id, before=bool(before))


def test_moves(jobs: dict[str, Job], order: Names) -> None:
    assert order() == "abcde"
    put(jobs, "e", before="a")
    assert order() == "eabcd"
    put(jobs, "e", after="d")
    assert order() == "abcde"
    put(jobs, "b", after="c")
    assert order() == "acbde"
    put(jobs, "b", before="c")
    assert order() == "abcde"
    put(jobs, "b", before="c")
    assert order() == "abcde"
    taken = []
    while found := step_claim(lane="encode", worker="here/1"):
        taken.append(found.job.id)
    assert taken == [job.id for job in jobs.values()]


def test_up_and_down(alice: User, jobs: dict[str, Job], order: Names) -> None:
    def shift(name: str, *, earlier: bool) -> str:
        job_shift(viewer=alice, job_id=jobs[name].id, earlier=earlier)
        return order()

    assert shift("c", earlier=True) == "acbde"
    assert shift("c", earlier=True) == "cabde"
    assert shift("c", earlier=True) == "cabde"
    assert shift("d", earlier=False) == "cabed"
    assert shift("d", earlier=False) == "cabed"


def test_nobody_else_moves(alice: User, bob: User, jobs: dict[str, Job], clip: Clip, submit: Submit) -> None:
    bobs = submit(video_make(bob, clip))
    before = Step.objects.get(job=bobs).rank
    put(jobs, "e", before="a")
    job_bump(viewer=alice, job_id=jobs["d"].id)
    assert Step.objects.get(job=bobs).rank == before


def test_a_divided_job_moves_as_one(video: Video, jobs: dict[str, Job], order: Names) -> None:
    job = jobs["d"]
    shape = {"owner_id": job.owner_id, "priority": job.priority, "type": job.type, "kind": "segment"}
    for position in range(1, 4):
        Step.objects.create(job=job, position=position, lane="encode", **shape)
    blocked = Step.objects.create(job=job, position=4, lane="encode", status="blocked", **shape)
    put(jobs, "d", before="b")
    assert order() == "adbce"
    blocked.refresh_from_db()
    assert Step.objects.get(job=jobs["a"]).rank < blocked.rank < Step.objects.get(job=jobs["b"]).rank
    put(jobs, "e", after="d")
    assert order() == "adebc"


def test_where_the_keys_run_out_they_are_dealt_anew(jobs: dict[str, Job], order: Names) -> None:
    for _ in range(40):
        put(jobs, "e", after="a")
        put(jobs, "d", after="a")
    assert order() == "adebc"
    ranks = list(Step.objects.order_by("rank").values_list("rank", flat=True))
    assert len(set(ranks)) == 5


def test_keys_next_to_each_other(jobs: dict[str, Job], order: Names) -> None:
    for rank, name in enumerate("abcde"):
        Step.objects.filter(job=jobs[name]).update(rank=rank)
    put(jobs, "e", before="b")
    assert order() == "aebcd"
    assert Step.objects.get(job=jobs["b"]).rank - Step.objects.get(job=jobs["a"]).rank == GAP


def test_what_does_not_wait_in_the_same_line(
    bob: User, jobs: dict[str, Job], video: Video, clip: Clip, submit: Submit
) -> None:
    alice = video.owner
    Tier.objects.update(priority=Priority.HIGH)
    high = submit(video, width=180)
    paused = submit(video, width=182, priority=Priority.LOW)
    job_pause(viewer=alice, job_id=paused.id)
    quick = submit(video, width=184, priority=Priority.LOW)
    Step.objects.filter(job=quick).update(lane="short")
    bobs = submit(video_make(bob, clip), priority=Priority.LOW)
    client = client_of(alice)

    def move(body: Any) -> tuple[int, str]:
        answer = client.post(f"/api/v1/jobs/{jobs['b'].id}/move", body, format="json")
        return answer.status_code, answer.json().get("code", "")

    ranks = dict(Step.objects.values_list("job_id", "rank"))
    for other in (high, paused, quick, jobs["b"]):
        assert move({"before": other.id}) == (409, "job_order_conflict")
    for unknown in (bobs.id, "job_00", "x"):
        assert move({"after": unknown}) == (404, "not_found")
    both = {"before": high.id, "after": high.id}
    for wrong in ({}, both, {"before": ""}, {"to": "first"}, {"before": None}):
        assert move(wrong) == (400, "invalid_request")
    assert move([1]) == (400, "malformed_body")
    assert dict(Step.objects.values_list("job_id", "rank")) == ranks
    assert move({"before": jobs["a"].id}) == (200, "")


def test_a_move_costs_the_same_in_a_long_queue(alice: User, jobs: dict[str, Job]) -> None:
    job = jobs["a"]
    shape = {"owner_id": job.owner_id, "priority": job.priority, "type": job.type}
    more = Job.objects.bulk_create(Job(video_id=job.video_id, **shape) for _ in range(2000))
    Step.objects.bulk_create(Step(job=one, position=0, kind="encode", lane="encode", **shape) for one in more)
    before = dict(Step.objects.values_list("id", "rank"))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        job_bump(viewer=alice, job_id=more[-1].id)
        job_reorder(viewer=alice, job_id=more[-2].id, beside=more[7].id, before=True)
    after = dict(Step.objects.values_list("id", "rank"))
    assert sum(after[key] != before[key] for key in before) == 2
    assert len(queries) < 60


class TestPage:
    def test_shows_the_order_and_changes_it(self, alice: User, jobs: dict[str, Job], order: Names) -> None:
        client = Client()
        client.force_login(alice)
        page = client.get(reverse("queue")).content.decode()
        assert [page.index(f'data-queue-job="{job.id}"') for job in jobs.values()] == sorted(
            page.index(f'data-queue-job="{job.id}"') for job in jobs.values()
        )
        assert f'id="earlier-{jobs["a"].id}"' not in page, "it is the first already"

        def press(name: str, **body: str) -> Any:
            address = reverse("queue-move", args=[jobs[name].id])
            return client.post(address, body, headers={"HX-Request": "true"})

        assert press("c", to="first").status_code == 200
        assert press("a", to="later").status_code == 200
        assert press("e", before=jobs["b"].id).status_code == 200
        assert order() == "cebad"
        assert press("d", after=jobs["c"].id).status_code == 200
        assert order() == "cdeba"
        assert press("d", to="nowhere").status_code == 400

        step_claim(lane="encode", worker="here/1")
        began = press("c", to="later")
        assert began.status_code == 200
        assert "Here is the queue as it is now." in began.headers["HX-Trigger"]
        assert client.post(reverse("queue-move", args=[jobs["d"].id]), {"to": "later"}).status_code == 302

    def test_a_stranger_finds_no_job(self, bob: User, jobs: dict[str, Job], order: Names) -> None:
        client = Client()
        client.force_login(bob)
        for body in ({"to": "first"}, {"to": "later"}, {"before": jobs["a"].id}):
            assert client.post(reverse("queue-move", args=[jobs["c"].id]), body).status_code == 404
        assert order() == "abcde"

    def test_questions_do_not_grow_with_the_jobs(self, alice: User, jobs: dict[str, Job]) -> None:
        client = Client()
        client.force_login(alice)
        client.get(reverse("queue"))
        with CaptureQueriesContext(connection) as few:
            client.get(reverse("queue"))
        for job in list(jobs.values())[1:]:
            Step.objects.filter(job=job).delete()
        with CaptureQueriesContext(connection) as one:
            client.get(reverse("queue"))
        assert len(few) == len(one)

    def test_an_empty_queue(self, alice: User) -> None:
        client = Client()
        client.force_login(alice)
        assert "Nothing waits" in client.get(reverse("queue")).content.decode()
