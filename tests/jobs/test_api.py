from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from jobs.claiming import step_claim
from jobs.execution import lane_work
from jobs.models import Job
from jobs.serializers import JobSerializer
from jobs.steering import job_cancel
from jobs.transitions import job_create
from tests.conftest import client_of
from tests.jobs.conftest import Clip, Submit, video_make
from users.models import ApiToken, Priority, User
from users.services import token_create
from videos.models import Operation, Video


def resize(**parameters: object) -> dict[str, object]:
    return {"type": "resize", "parameters": parameters}


RESIZE = resize(width=160)


def post(client: APIClient, path: str, body: Any = None, **query: str) -> Any:
    return client.post(f"/api/v1/{path}", body, format="json", query_params=query)


def get(client: APIClient, path: str, **query: Any) -> Any:
    return client.get(f"/api/v1/{path}", query_params=query)


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


class TestSubmit:
    def test_starts_an_operation(self, alices_client: APIClient, video: Video) -> None:
        answer = post(alices_client, f"videos/{video.id}/operations", RESIZE)

        assert answer.status_code == 202
        operation = answer.json()
        assert operation["id"].startswith("op_")
        assert (operation["type"], operation["status"], operation["outputs"]) == ("resize", "pending", [])
        assert operation["parameters"]["width"] == 160
        assert operation["error"] is None
        job = operation["job"]
        assert (job["operation"], job["video"]) == (operation["id"], video.id)
        assert (job["status"], job["priority"], job["progress"], job["queue_position"]) == (
            "queued",
            "low",
            0,
            1,
        )
        assert set(job) == set(JobSerializer().fields), "the schema says what is sent"

    def test_answers_200_for_an_equal_one(self, alices_client: APIClient, video: Video) -> None:
        first = post(alices_client, f"videos/{video.id}/operations", RESIZE).json()
        again = post(alices_client, f"videos/{video.id}/operations", RESIZE)

        assert again.status_code == 200
        assert again.json()["job"]["id"] == first["job"]["id"]

    def test_plans_without_starting(self, alices_client: APIClient, video: Video) -> None:
        answer = post(alices_client, f"videos/{video.id}/operations", RESIZE, plan="true")

        assert answer.status_code == 200
        plan = answer.json()
        assert plan["type"] == "resize"
        assert {stream["action"] for stream in plan["streams"]} <= {"copy", "encode", "drop"}
        assert all(stream["why"] for stream in plan["streams"])
        assert plan["estimated_seconds"] is None or plan["estimated_seconds"] > 0
        assert not Job.objects.exists()

    @pytest.mark.parametrize(
        ("body", "answered"),
        [
            ({"type": "dance"}, (422, "unknown_operation", [])),
            (resize(width=0), (422, "invalid_parameters", ["/parameters/width"])),
            (resize(width="abc"), (422, "invalid_parameters", ["/parameters/width"])),
            (resize(x=1), (422, "invalid_parameters", None)),
            ({"parameters": {}}, (400, "invalid_request", ["/type"])),
            ({**RESIZE, "parameters": "small"}, (400, "invalid_request", ["/parameters"])),
            ({**RESIZE, "priority": "now"}, (400, "invalid_request", ["/priority"])),
            ({**RESIZE, "prioritie": "low"}, (400, "invalid_request", ["/prioritie"])),
            ([1], (400, "malformed_body", [])),
        ],
    )
    def test_refuses(
        self, alices_client: APIClient, video: Video, body: Any, answered: tuple[int, str, list[str] | None]
    ) -> None:
        answer = post(alices_client, f"videos/{video.id}/operations", body)
        status, code, where = answered

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer["Content-Type"] == "application/problem+json"
        if where is not None:
            assert pointers(answer) == where
        assert not Operation.objects.exists()

    def test_takes_a_lower_priority(self, alices_client: APIClient, video: Video) -> None:
        User.objects.update(tier="enterprise")
        for priority, width in (("low", 160), ("high", 162)):
            body = {"type": "resize", "parameters": {"width": width}, "priority": priority}
            made = post(alices_client, f"videos/{video.id}/operations", body).json()
            assert made["job"]["priority"] == priority


class TestReading:
    def test_lists_operations_with_results(
        self, alices_client: APIClient, video: Video, submit: Submit
    ) -> None:
        submit(video, width=160)
        assert lane_work(lane="encode")
        submit(video, width=162)
        answer = get(alices_client, f"videos/{video.id}/operations")

        assert answer.status_code == 200
        newer, older = answer.json()["data"]
        assert (newer["status"], newer["job"]["status"], newer["outputs"]) == ("pending", "queued", [])
        assert (older["status"], older["job"]["status"]) == ("completed", "completed")
        output = older["outputs"][0]
        assert output["id"].startswith("out_")
        assert output["size"] > 0
        assert output["url"].endswith(f"/api/v1/outputs/{output['id']}/file")
        assert get(alices_client, f"operations/{older['id']}").json() == older

    def test_lists_operations_in_few_queries(
        self, alices_client: APIClient, video: Video, submit: Submit, django_assert_max_num_queries: Any
    ) -> None:
        for width in range(160, 180, 2):
            submit(video, width=width)
        with django_assert_max_num_queries(20):
            assert len(get(alices_client, f"videos/{video.id}/operations").json()["data"]) == 10

    def test_lists_jobs_newest_first_by_pages(
        self, alices_client: APIClient, video: Video, submit: Submit, django_assert_max_num_queries: Any
    ) -> None:
        made = [submit(video, width=width).id for width in (160, 162, 164)]
        with django_assert_max_num_queries(17):
            first = get(alices_client, "jobs", limit=2).json()
        assert [job["id"] for job in first["data"]] == made[:0:-1]
        assert [job["queue_position"] for job in first["data"]] == [3, 2]
        rest = alices_client.get(first["next"]).json()
        assert [job["id"] for job in rest["data"]] == made[:1]
        assert rest["next"] is None

    def test_leaves_intake_out_unless_asked_for(
        self, alices_client: APIClient, video: Video, submit: Submit
    ) -> None:
        intake = job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
        resize = submit(video)

        assert [job["id"] for job in get(alices_client, "jobs").json()["data"]] == [resize.id]
        assert [job["id"] for job in get(alices_client, "jobs", type="intake").json()["data"]] == [intake.id]
        assert get(alices_client, f"jobs/{intake.id}").json()["type"] == "intake"

    def test_filters(self, alices_client: APIClient, alice: User, clip: Clip, submit: Submit) -> None:
        one, two = video_make(alice, clip), video_make(alice, clip)
        waiting, cancelled = submit(one), submit(two)
        job_cancel(viewer=alice, job_id=cancelled.id)

        def found(**query: Any) -> set[str]:
            return {job["id"] for job in get(alices_client, "jobs", **query).json()["data"]}

        assert found(status="cancelled") == {cancelled.id}
        assert found(status=["queued", "cancelled"]) == {waiting.id, cancelled.id}
        assert found(video=one.id) == {waiting.id}
        assert found(type="resize") == {waiting.id, cancelled.id}
        assert found(type="convert") == set()
        between = waiting.queued_at.isoformat()
        assert found(created_after=cancelled.queued_at.isoformat()) == {cancelled.id}
        assert found(created_after=between, created_before=cancelled.queued_at.isoformat()) == {waiting.id}

    @pytest.mark.parametrize(
        ("query", "where"),
        [
            ({"status": "lost"}, "/status"),
            ({"type": "dance"}, "/type"),
            ({"video": "12"}, "/video"),
            ({"created_after": "yesterday"}, "/created_after"),
        ],
    )
    def test_refuses_filters_that_make_no_sense(
        self, alices_client: APIClient, query: dict[str, str], where: str
    ) -> None:
        answer = get(alices_client, "jobs", **query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert pointers(answer) == [where]

    def test_shows_the_log_as_text(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        job = submit(video)
        assert lane_work(lane="encode")
        answer = alices_client.get(f"/api/v1/jobs/{job.id}/log", HTTP_ACCEPT="text/plain")

        assert answer.status_code == 200
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert "ffmpeg" in answer.content.decode()

    def test_says_why_a_job_failed(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        job = submit(video)
        assert lane_work(lane="encode")
        Job.objects.filter(id=job.id).update(
            status="failed", error_code="encoder_failed", error_message="It broke."
        )
        error = get(alices_client, f"jobs/{job.id}").json()["error"]
        assert (error["code"], error["message"], error["retryable"]) == ("encoder_failed", "It broke.", False)
        assert error["hint"]


class TestWaiting:
    def test_answers_when_the_job_ends(
        self, alices_client: APIClient, alice: User, video: Video, submit: Submit
    ) -> None:
        job = submit(video)

        def end_it() -> None:
            time.sleep(0.5)
            job_cancel(viewer=alice, job_id=job.id)
            connection.close()

        ending = threading.Thread(target=end_it)
        ending.start()
        started = time.monotonic()
        answer = get(alices_client, f"jobs/{job.id}", wait=20)
        ending.join()
        assert answer.json()["status"] == "cancelled"
        assert 0.4 < time.monotonic() - started < 10

    def test_answers_after_the_time(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        started = time.monotonic()
        assert get(alices_client, f"jobs/{submit(video).id}", wait=1).json()["status"] == "queued"
        assert time.monotonic() - started >= 1

    @pytest.mark.parametrize("wait", ["61", "-1", "soon"])
    def test_refuses_times_that_make_no_sense(
        self, alices_client: APIClient, video: Video, submit: Submit, wait: str
    ) -> None:
        answer = get(alices_client, f"jobs/{submit(video).id}", wait=wait)
        assert answer.status_code == 400
        assert pointers(answer) == ["/wait"]


class TestSteering:
    def test_cancel_and_retry(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        job = submit(video)
        answer = post(alices_client, f"jobs/{job.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        conflict = post(alices_client, f"jobs/{job.id}/cancel")
        assert (conflict.status_code, conflict.json()["code"]) == (409, "job_state_conflict")

        again = post(alices_client, f"jobs/{job.id}/retry")
        assert (again.status_code, again.json()["status"]) == (200, "queued")
        assert again.json()["id"] != job.id
        assert post(alices_client, f"jobs/{again.json()['id']}/retry").status_code == 409

    def test_pause_and_resume(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        job = submit(video)
        paused = post(alices_client, f"jobs/{job.id}/pause").json()
        assert (paused["status"], paused["queue_position"]) == ("paused", None)
        assert paused["paused_at"] is not None
        conflict = post(alices_client, f"jobs/{job.id}/pause")
        assert (conflict.status_code, conflict.json()["code"]) == (409, "job_state_conflict")

        resumed = post(alices_client, f"jobs/{job.id}/resume").json()
        assert (resumed["status"], resumed["queue_position"], resumed["paused_at"]) == ("queued", 1, None)
        assert post(alices_client, f"jobs/{job.id}/resume").status_code == 409

    def test_bump(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        first, second = submit(video, width=160), submit(video, width=162)
        assert post(alices_client, f"jobs/{second.id}/bump").json()["queue_position"] == 1
        assert get(alices_client, f"jobs/{first.id}").json()["queue_position"] == 2
        post(alices_client, f"jobs/{first.id}/pause")
        assert post(alices_client, f"jobs/{first.id}/bump").status_code == 409

    def test_cancel_all(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        for width in (160, 162):
            submit(video, width=width)
        answer = post(alices_client, "jobs/cancel")
        assert (answer.status_code, answer.json()) == (200, {"cancelled": 2})
        assert post(alices_client, "jobs/cancel").json() == {"cancelled": 0}

    def test_knows_no_other_action(self, alices_client: APIClient, video: Video, submit: Submit) -> None:
        assert post(alices_client, f"jobs/{submit(video).id}/hurry").status_code == 404


class TestDoors:
    @pytest.fixture
    def addresses(self, video: Video, submit: Submit) -> list[tuple[str, str]]:
        job = submit(video)
        return [
            ("get", f"videos/{video.id}/operations"),
            ("post", f"videos/{video.id}/operations"),
            ("get", f"operations/{job.operation_id}"),
            ("get", f"jobs/{job.id}"),
            ("get", f"jobs/{job.id}/log"),
            ("post", f"jobs/{job.id}/cancel"),
            ("post", f"jobs/{job.id}/pause"),
            ("post", f"jobs/{job.id}/resume"),
            ("post", f"jobs/{job.id}/bump"),
            ("post", f"jobs/{job.id}/retry"),
        ]

    def test_a_stranger_finds_nothing(self, bobs_client: APIClient, addresses: list[tuple[str, str]]) -> None:
        for method, path in addresses:
            answer = getattr(bobs_client, method)(f"/api/v1/{path}", RESIZE, format="json")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert get(bobs_client, "jobs").json()["data"] == []
        assert Job.objects.get().status == Job.Status.QUEUED

    def test_nobody_gets_nothing(self, anonymous: APIClient, addresses: list[tuple[str, str]]) -> None:
        for method, path in [*addresses, ("get", "jobs"), ("post", "ws-ticket")]:
            answer = getattr(anonymous, method)(f"/api/v1/{path}", RESIZE, format="json")
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), path

    @pytest.mark.parametrize("job_id", ["1", "job_", "job_" + "g" * 32, "vid_" + "0" * 32, "job_" + "0" * 32])
    def test_an_id_that_is_none_is_not_found(self, alices_client: APIClient, job_id: str) -> None:
        assert get(alices_client, f"jobs/{job_id}").status_code == 404

    def test_a_read_only_token_may_watch_and_change_nothing(
        self, alice: User, video: Video, submit: Submit
    ) -> None:
        job = submit(video)
        _, text = token_create(user=alice, name="watcher", scope=ApiToken.Scope.READ)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        assert get(client, f"jobs/{job.id}").status_code == 200
        assert post(client, "ws-ticket").status_code == 201
        assert post(client, f"jobs/{job.id}/cancel").status_code == 403
        assert post(client, f"videos/{video.id}/operations", RESIZE).status_code == 403


def test_queue_positions_follow_priority_and_skip_what_runs(
    alice: User, bob: User, clip: Clip, submit: Submit
) -> None:
    User.objects.filter(id=bob.id).update(tier="enterprise")
    alices = video_make(alice, clip)
    running, waiting = submit(alices, width=160), submit(alices, width=162)
    assert step_claim(lane="encode", worker="here/1")
    bobs = submit(video_make(User.objects.get(id=bob.id), clip))

    assert get(client_of(alice), f"jobs/{running.id}").json()["queue_position"] is None
    assert get(client_of(bob), f"jobs/{bobs.id}").json()["queue_position"] == 1
    assert get(client_of(alice), f"jobs/{waiting.id}").json()["queue_position"] == 2
