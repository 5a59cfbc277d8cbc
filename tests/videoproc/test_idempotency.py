"""`Idempotency-Key`: the same request again gets the same reply and does nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.models.functions import Now
from django.test import Client
from rest_framework.test import APIClient

from jobs import housekeeping, services
from jobs.models import Job
from jobs.services import operation_submit
from tests.conftest import PASSWORD, client_of
from tests.pages.conftest import video_make
from users import idempotency
from users.models import ApiToken, IdempotencyKey, User
from users.services import token_create
from videos.models import Operation, Video

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"type": "resize", "parameters": {"width": 640}}


@pytest.fixture
def video(alice: User) -> Video:
    return video_make(alice)


def post(client: APIClient, path: str, body: Any = None, *, key: str = "k1") -> Any:
    return client.post(f"/api/v1/{path}", body, format="json", headers={"Idempotency-Key": key})


def ask(client: APIClient, video: Video, body: Any = BODY, *, key: str = "k1") -> Any:
    return post(client, f"videos/{video.id}/operations", body, key=key)


def test_the_first_reply_is_given_again(alices_client: APIClient, video: Video) -> None:
    first = ask(alices_client, video)
    again = ask(alices_client, video)

    assert (first.status_code, again.status_code) == (202, 202), "not the 200 of an equal request"
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"]
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Job.objects.count() == 1


def test_an_action_is_done_once(alices_client: APIClient, video: Video) -> None:
    job = ask(alices_client, video).json()["job"]
    for _ in range(3):
        answer = post(alices_client, f"jobs/{job['id']}/pause", key="k2")
        assert (answer.status_code, answer.json()["status"]) == (200, "paused")
    assert Job.objects.get().seq == answer.json()["seq"]
    assert post(alices_client, f"jobs/{job['id']}/pause", key="k3").status_code == 409


def test_without_a_key_nothing_is_kept(alices_client: APIClient, video: Video) -> None:
    alices_client.post(f"/api/v1/videos/{video.id}/operations", BODY, format="json")
    alices_client.get("/api/v1/jobs", headers={"Idempotency-Key": "k1"})
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize(
    ("path", "body"),
    [("operations", {"type": "resize", "parameters": {"width": 320}}), ("operations?plan=true", BODY)],
)
def test_another_request_with_the_key_is_refused(
    alices_client: APIClient, video: Video, path: str, body: Any
) -> None:
    ask(alices_client, video)
    other = post(alices_client, f"videos/{video.id}/{path}", body)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert other["Content-Type"] == "application/problem+json"
    assert Job.objects.count() == 1


def test_keys_of_two_users_are_two_keys(
    alices_client: APIClient, bobs_client: APIClient, bob: User, video: Video
) -> None:
    ask(alices_client, video)
    assert ask(bobs_client, video, key="k1").status_code == 404, "no look at alice's reply"
    assert ask(bobs_client, video_make(bob), key="k2").status_code == 202
    assert ask(alices_client, video, key="k2").status_code == 200


def test_a_refusal_that_settles_is_given_again(alices_client: APIClient, video: Video) -> None:
    wrong = {"type": "resize", "parameters": {"width": 0}}
    first, again = (ask(alices_client, video, wrong) for _ in range(2))
    assert (first.status_code, again.status_code) == (422, 422)
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"


def test_what_may_go_better_is_tried_again(alices_client: APIClient, video: Video) -> None:
    Video.objects.update(status="processing", media_info=None)
    assert ask(alices_client, video).json()["code"] == "video_not_ready"
    Video.objects.update(status="ready", media_info=video.media_info)
    assert ask(alices_client, video).status_code == 202


def test_a_failure_of_ours_gives_the_key_back(
    alices_client: APIClient, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("it broke")

    alices_client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(services, "operation_submit", broken)
        assert ask(alices_client, video).status_code == 500
    assert ask(alices_client, video).status_code == 202


def test_the_row_is_there_before_the_work(
    alices_client: APIClient, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from another connection: committed. A repetition meanwhile is told to wait."""
    meanwhile: list[Any] = []

    def repeat() -> None:
        meanwhile.append(IdempotencyKey.objects.get().status)
        meanwhile.append(ask(alices_client, video))
        connection.close()

    def slow(**wish: Any) -> Any:
        other = threading.Thread(target=repeat)
        other.start()
        other.join()
        return operation_submit(**wish)

    monkeypatch.setattr(services, "operation_submit", slow)
    assert ask(alices_client, video).status_code == 202
    status, answer = meanwhile
    assert status is None
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
    assert answer["Retry-After"] == "1"


def test_a_request_that_died_frees_its_key(alices_client: APIClient, video: Video) -> None:
    ask(alices_client, video)
    IdempotencyKey.objects.update(status=None)
    assert ask(alices_client, video).json()["code"] == "idempotency_key_in_use"
    IdempotencyKey.objects.update(expires_at=Now())
    assert ask(alices_client, video).status_code == 200, "done anew: it finds the equal operation"


def test_one_that_was_slow_cannot_overwrite_its_successor(alice: User) -> None:
    def begin() -> idempotency.Begun:
        begun = idempotency.request_begin(user=alice, key="k", fingerprint="f")
        assert isinstance(begun, idempotency.Begun)
        return begun

    slow = begin()
    IdempotencyKey.objects.update(expires_at=Now())
    quick = begin()
    idempotency.request_finish(slow, idempotency.Reply(200, {}, b"slow"))
    idempotency.request_release(slow)
    idempotency.request_finish(quick, idempotency.Reply(200, {}, b"quick"))
    kept = idempotency.request_begin(user=alice, key="k", fingerprint="f")
    assert kept == idempotency.Reply(200, {}, b"quick")


def test_a_day_later_the_key_is_gone(alices_client: APIClient, video: Video) -> None:
    ask(alices_client, video)
    row = IdempotencyKey.objects.annotate(now=Now()).get()
    assert 86_300 < (row.expires_at - row.now).total_seconds() <= 86_400
    assert housekeeping.clean().idempotency_keys == 0
    IdempotencyKey.objects.update(expires_at=Now())
    assert housekeeping.clean().idempotency_keys == 1


def test_fifty_at_once_do_it_once(alice: User) -> None:
    clients = [client_of(alice) for _ in range(10)]

    def one(number: int) -> int:
        try:
            return int(post(clients[number % 10], "tokens", {"name": "many"}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(one, range(50)))
    assert answers.count(201) == 1
    assert set(answers) == {201, 409}
    assert ApiToken.objects.filter(name="many").count() == 1


def test_secrets_are_not_kept(alices_client: APIClient) -> None:
    made = post(alices_client, "tokens", {"name": "ci"})
    assert made["Cache-Control"] == "no-store"
    again = post(alices_client, "tokens", {"name": "ci"})
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_reply_not_kept")
    assert ApiToken.objects.filter(name="ci").count() == 1
    assert IdempotencyKey.objects.get().body is None


@pytest.mark.parametrize(("length", "status"), [(0, 400), (1, 202), (255, 202), (256, 400)])
def test_a_key_has_a_length(alices_client: APIClient, video: Video, length: int, status: int) -> None:
    answer = ask(alices_client, video, key="k" * length)
    assert answer.status_code == status
    assert Operation.objects.count() == (status == 202)
    assert status == 202 or answer.json()["code"] == "idempotency_key_invalid"


def test_strangers_get_the_views_answer(anonymous: APIClient, video: Video) -> None:
    assert ask(anonymous, video).status_code == 401
    anonymous.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert ask(anonymous, video).status_code == 401
    assert not IdempotencyKey.objects.exists()


def test_signing_up_ignores_it(anonymous: APIClient) -> None:
    body = {"username": "dora", "email": "dora@example.org", "password": PASSWORD}
    assert post(anonymous, "auth/register", body).status_code == 201
    assert not IdempotencyKey.objects.exists()


def test_a_read_only_token_leaves_no_trace(alice: User, video: Video) -> None:
    _, text = token_create(user=alice, name="watcher", scope=ApiToken.Scope.READ)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    assert ask(client, video).status_code == 403
    assert ask(client_of(alice), video).status_code == 202


def test_the_session_cookie_needs_its_csrf_token(alice: User, video: Video) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    address, headers = f"/api/v1/videos/{video.id}/operations", {"Idempotency-Key": "k1"}
    refused = browser.post(address, BODY, content_type="application/json", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert not IdempotencyKey.objects.exists()
    browser.get("/account/")
    headers["X-CSRFToken"] = browser.cookies["videoproc_csrf"].value
    for _ in range(2):
        answer = browser.post(address, BODY, content_type="application/json", headers=headers)
        assert answer.status_code == 202
    assert Job.objects.count() == 1


def test_a_reply_that_cannot_be_stored_still_arrives(
    alices_client: APIClient, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("the connection is lost")

    monkeypatch.setattr("videoproc.idempotency.request_finish", away)
    assert ask(alices_client, video).status_code == 202


def test_the_schema_tells_every_caller(alices_client: APIClient) -> None:
    schema = alices_client.get("/api/v1/schema?format=json").json()
    reference = {"$ref": "#/components/parameters/IdempotencyKey"}
    posts = {path: operations["post"] for path, operations in schema["paths"].items() if "post" in operations}
    takes = {path for path, operation in posts.items() if reference in operation.get("parameters", [])}
    assert takes == set(posts) - {"/api/v1/auth/register", "/api/v1/auth/login"}
    assert "/api/v1/jobs/{job_id}/pause" in takes
    assert schema["components"]["parameters"]["IdempotencyKey"]["schema"]["maxLength"] == 255
