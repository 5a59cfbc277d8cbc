"""Events are noted with the change they tell of, and sent signed, at least once, until they are accepted."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from jobs import dispatch, housekeeping
from jobs.claiming import step_claim
from jobs.execution import lane_work
from jobs.models import Job
from jobs.outcomes import step_fail
from jobs.reconcile import reconcile
from jobs.services import upload_finish
from jobs.steering import job_cancel
from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks import sending, services
from jobs.webhooks.events import event_record
from jobs.webhooks.signing import secret_new, signature_headers
from problems import Problem
from tests.jobs.conftest import Clip, Submit
from tests.jobs.hooks import webhook_make
from tests.jobs.worker import Worker, wait_for
from tests.receiver import Receiver, answering, receiving
from users.ids import public_id_at
from users.models import User
from videos.models import Video
from videos.services.uploads import upload_advance, upload_create
from videos.storage import upload_path

BAD = answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
PENDING, DELIVERED, FAILED = WebhookDelivery.Status


def due_now() -> None:
    """Time goes on: every pause is over."""
    WebhookDelivery.objects.filter(status=PENDING).update(next_attempt_at=Now())
    Webhook.objects.update(retry_at=None)


Row = TypeVar("Row", bound=Model)


def fresh(row: Row) -> Row:
    row.refresh_from_db()
    return row


class TestEvents:
    def test_each_end_of_a_job_is_told(
        self, alice: User, video: Video, submit: Submit, receiver: Receiver
    ) -> None:
        webhook_make(alice, receiver)
        done, failed, cancelled = (submit(video, width=width) for width in (160, 162, 164))
        job_cancel(viewer=alice, job_id=cancelled.id)
        assert lane_work(lane="encode")
        claim = step_claim(lane="encode", worker="here/1")
        assert claim is not None
        assert step_fail(claim, Problem("encoder_failed"))

        told = {row.type: json.loads(row.body) for row in WebhookDelivery.objects.all()}
        assert {type_: body["data"]["job"]["id"] for type_, body in told.items()} == {
            "job.completed": done.id,
            "job.failed": failed.id,
            "job.cancelled": cancelled.id,
        }
        assert told["job.failed"]["type"] == "job.failed"
        assert told["job.failed"]["timestamp"].endswith("Z")
        assert told["job.failed"]["data"]["job"]["error"]["code"] == "encoder_failed"
        assert WebhookDelivery.objects.values("event_id").distinct().count() == 3

    def test_a_video_is_ready(self, alice: User, clip: Clip, receiver: Receiver) -> None:
        webhook_make(alice, receiver, "video.ready")
        content = clip.path.read_bytes()
        upload = upload_create(owner=alice, length=len(content), filename="a.mp4")
        upload_path(upload.id).write_bytes(content)
        upload_advance(upload=upload, from_offset=0, to_offset=len(content))
        upload_finish(upload_id=upload.id)
        assert lane_work(lane="short")

        (delivery,) = WebhookDelivery.objects.all()
        job = json.loads(delivery.body)["data"]["job"]
        assert (delivery.type, job["type"], job["video"]) == ("video.ready", "intake", Video.objects.get().id)

    def test_only_those_who_asked_are_told(
        self, bob: User, carol: User, video: Video, submit: Submit, receiver: Receiver
    ) -> None:
        alice = video.owner
        mine = webhook_make(alice, receiver, "job.cancelled")
        webhook_make(alice, receiver, "job.completed")
        webhook_make(bob, receiver)
        webhook_make(carol, receiver)
        everybodys = webhook_make(carol, receiver, site_wide=True)
        off = webhook_make(alice, receiver)
        services.webhook_update(viewer=alice, webhook=off, enabled=False)
        job_cancel(viewer=alice, job_id=submit(video).id)

        rows = WebhookDelivery.objects.all()
        assert {row.webhook_id for row in rows} == {mine.id, everybodys.id}
        assert len({row.event_id for row in rows}) == 1, "one event, one id"

    def test_nothing_is_told_of_what_was_rolled_back(
        self, alice: User, video: Video, submit: Submit, receiver: Receiver
    ) -> None:
        webhook_make(alice, receiver)
        job = submit(video)
        with transaction.atomic():
            job_cancel(viewer=alice, job_id=job.id)
            assert WebhookDelivery.objects.exists()
            transaction.set_rollback(True)
        assert not WebhookDelivery.objects.exists()

    def test_costs_one_look_where_nobody_listens(self, video: Video, submit: Submit) -> None:
        job = submit(video)
        with CaptureQueriesContext(connection) as queries:
            event_record("job.completed", job)
        assert len(queries) == 1


class TestSignatures:
    def test_the_reference_verifies_them(self) -> None:
        secret, body = secret_new(), '{"a": "ü"}'.encode()
        headers = signature_headers(
            message_id="evt_1", timestamp=int(time.time()), body=body, secrets_valid=[secret]
        )
        assert Verifier(secret).verify(body, headers) == {"a": "ü"}
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(body + b" ", headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(secret_new()).verify(body, headers)

    def test_known_message(self) -> None:
        """The test vector of the reference implementations."""
        headers = signature_headers(
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp=1614265330,
            body=b'{"test": 2432232314}',
            secrets_valid=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        )
        assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_secrets_are_long_and_differ(self) -> None:
        one, other = secret_new(), secret_new()
        assert one != other
        assert len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32


class TestSending:
    def test_a_message_arrives_and_verifies(self, alice: User, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        delivery = services.webhook_ping(webhook=webhook)
        assert sending.deliver()

        (request,) = receiver.requests
        assert request.line == "POST /hook HTTP/1.1"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["webhook-id"] == delivery.event_id
        assert Verifier(webhook.secret).verify(request.body, request.headers) == json.loads(delivery.body)
        row = fresh(delivery)
        assert (row.status, row.attempts, row.last_status, row.last_error) == (DELIVERED, 1, 200, "")
        assert row.delivered_at is not None
        assert fresh(webhook).lease_token is None
        assert not sending.deliver(), "once"

    def test_two_secrets_sign_after_a_rotation(self, alice: User, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        changed = services.webhook_rotate(webhook=webhook)
        assert changed.secret != webhook.secret
        services.webhook_ping(webhook=webhook)
        assert sending.deliver()
        for secret in (webhook.secret, changed.secret):
            Verifier(secret).verify(receiver.requests[0].body, receiver.requests[0].headers)

        Webhook.objects.update(former_secret_until=Now())
        services.webhook_ping(webhook=webhook)
        assert sending.deliver()
        with pytest.raises(WebhookVerificationError):
            Verifier(webhook.secret).verify(receiver.requests[1].body, receiver.requests[1].headers)

    def test_a_refused_message_is_tried_again_with_the_same_id_and_body(
        self, alice: User, receiver: Receiver
    ) -> None:
        webhook = webhook_make(alice, receiver)
        delivery = services.webhook_ping(webhook=webhook)
        receiver.reply, good = BAD, receiver.reply
        assert sending.deliver()
        row = fresh(delivery)
        assert (row.status, row.attempts, row.last_status) == (PENDING, 1, 500)
        assert row.last_error == "It answered 500."
        assert fresh(webhook).failing_since is not None
        assert not sending.deliver(), "there is a pause"

        receiver.reply = good
        due_now()
        assert sending.deliver()
        assert fresh(delivery).status == DELIVERED
        assert (fresh(webhook).failing_since, webhook.failures, webhook.retry_at) == (None, 0, None)
        first, second = receiver.requests
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]

    def test_pauses_grow_from_seconds_to_hours_and_take_about_a_day(self) -> None:
        pauses = [sending._pause(number) for number in range(1, len(sending.PAUSES) + 1)]
        assert sending._pause(len(sending.PAUSES) + 1) is None
        known = [pause for pause in pauses if pause is not None]
        assert known[0] < timedelta(seconds=10)
        assert sorted(sending.PAUSES) == list(sending.PAUSES)
        assert timedelta(hours=20) < sum(known, timedelta()) < timedelta(hours=30)

    def test_after_the_last_try_it_is_given_up(self, alice: User, receiver: Receiver) -> None:
        webhook, receiver.reply = webhook_make(alice, receiver), BAD
        delivery = services.webhook_ping(webhook=webhook)
        WebhookDelivery.objects.update(attempts=len(sending.PAUSES))
        assert sending.deliver()
        assert fresh(delivery).status == FAILED
        assert fresh(webhook).enabled, "one bad day is no reason"

    def test_switched_off_after_days_of_failure(self, alice: User, receiver: Receiver) -> None:
        webhook, receiver.reply = webhook_make(alice, receiver), BAD
        services.webhook_ping(webhook=webhook)
        WebhookDelivery.objects.update(attempts=len(sending.PAUSES))
        Webhook.objects.update(failing_since=Now() - timedelta(days=4), failures=100)
        assert sending.deliver()
        assert (fresh(webhook).enabled, webhook.off_reason) == (False, Webhook.Off.FAILING)
        with pytest.raises(Problem, match="switched off"):
            services.webhook_ping(webhook=webhook)

        again = services.webhook_update(viewer=alice, webhook=webhook, enabled=True)
        assert (again.enabled, again.off_reason, again.failures) == (True, "", 0)

    def test_gone_is_gone(self, alice: User, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        receiver.reply = answering(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
        services.webhook_ping(webhook=webhook)
        assert sending.deliver()
        assert fresh(webhook).off_reason == Webhook.Off.GONE

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "Redirects"),
            (b"", "not HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000, "more than 65536 bytes"),
        ],
    )
    def test_bad_answers_are_failures(
        self, alice: User, receiver: Receiver, answer: bytes, error: str
    ) -> None:
        delivery = services.webhook_ping(webhook=webhook_make(alice, receiver))
        receiver.reply = answering(answer)
        assert sending.deliver()
        assert error in fresh(delivery).last_error
        assert delivery.status == PENDING

    def test_an_address_that_leads_inside_is_never_called(
        self, alice: User, receiver: Receiver, settings: Settings
    ) -> None:
        """The row was written when it was still allowed, or past all checks."""
        delivery = services.webhook_ping(webhook=webhook_make(alice, receiver))
        settings.OUTBOUND_TRUSTED = []
        settings.OUTBOUND_PORTS = [443, receiver.port]
        Webhook.objects.update(url=f"https://127.0.0.1:{receiver.port}/hook")
        assert sending.deliver()
        assert "public internet" in fresh(delivery).last_error
        assert not receiver.requests

    def test_a_dead_one_takes_one_try_and_does_not_hold_up_others(
        self, alice: User, bob: User, receiver: Receiver, settings: Settings
    ) -> None:
        with receiving(BAD) as dead:
            settings.OUTBOUND_TRUSTED = [*settings.OUTBOUND_TRUSTED, ("127.0.0.1", dead.port)]
            broken, good = webhook_make(alice, dead), webhook_make(bob, receiver)
            for _ in range(3):
                WebhookDelivery.objects.bulk_create(
                    [
                        WebhookDelivery(
                            webhook=one, type="job.failed", body="{}", give_up_at=Now() + timedelta(1)
                        )
                        for one in (broken, good)
                    ]
                )
            turns = 0
            while sending.deliver():
                turns += 1
            assert turns == 2, "a turn each, then the dead one is left alone"
            assert len(dead.requests) == 1
        assert len(receiver.requests) == 3
        assert good.deliveries.filter(status=DELIVERED).count() == 3
        assert fresh(broken).retry_at is not None


class TestClaims:
    def test_one_worker_at_a_time_sends_to_a_webhook(
        self, alice: User, receiver: Receiver, settings: Settings
    ) -> None:
        settings.SHORT_WORKER_CONCURRENCY = 5
        services.webhook_ping(webhook=webhook_make(alice, receiver))
        assert sending._claim() is not None
        assert sending._claim() is None

    def test_a_place_of_the_lane_is_left_for_uploads(
        self, alice: User, bob: User, receiver: Receiver, settings: Settings
    ) -> None:
        settings.SHORT_WORKER_CONCURRENCY = 2
        for owner in (alice, bob):
            services.webhook_ping(webhook=webhook_make(owner, receiver))
        assert sending._claim() is not None
        assert sending._claim() is None
        settings.SHORT_WORKER_CONCURRENCY = 3
        assert sending._claim() is not None

    def test_a_dead_workers_lease_runs_out_and_it_is_sent_again(
        self, alice: User, receiver: Receiver
    ) -> None:
        delivery = services.webhook_ping(webhook=webhook_make(alice, receiver))
        lost = sending._claim()
        assert lost is not None
        assert not sending.deliver()
        Webhook.objects.update(lease_until=Now() - timedelta(seconds=1))
        assert sending.deliver()
        assert fresh(delivery).status == DELIVERED
        outcome = sending._Outcome(status=500, error="late", milliseconds=1)
        assert not sending._record(lost, delivery, outcome), "the late one changes nothing"
        assert fresh(delivery).status == DELIVERED

    def test_deleted_in_the_middle(self, alice: User, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        services.webhook_ping(webhook=webhook)
        good = receiver.reply
        deleted = threading.Event()

        def delete(connection_: socket.socket) -> None:
            deleted.wait(10)
            good(connection_)

        receiver.reply = delete
        worker = threading.Thread(target=_in_thread(sending.deliver))
        worker.start()
        wait_for(lambda: bool(receiver.requests), seconds=10, what="it is being sent")
        services.webhook_delete(webhook=webhook)
        deleted.set()
        worker.join()
        assert not WebhookDelivery.objects.exists()

    def test_the_reconciler_wakes_for_what_waits_and_gives_up_what_is_late(
        self, alice: User, receiver: Receiver
    ) -> None:
        webhook = webhook_make(alice, receiver)
        delivery = services.webhook_ping(webhook=webhook)
        dispatch.flush()
        assert reconcile().wake_ups_sent == 1
        WebhookDelivery.objects.update(give_up_at=Now() - timedelta(seconds=1))
        Webhook.objects.update(failing_since=Now() - timedelta(days=4))
        assert reconcile().deliveries_given_up == 1
        assert fresh(delivery).status == FAILED
        assert fresh(webhook).off_reason == Webhook.Off.FAILING
        assert reconcile().wake_ups_sent == 0

    def test_the_log_is_kept_for_a_month(self, alice: User, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        fresh_one = services.webhook_ping(webhook=webhook)
        assert sending.deliver()
        rows = [
            WebhookDelivery(
                id=public_id_at("whd", fresh_one.created_at - timedelta(days=days)),
                webhook=webhook,
                type="job.failed",
                body="{}",
                status=FAILED,
                next_attempt_at=None,
                give_up_at=Now(),
            )
            for days in (29, 31)
        ]
        WebhookDelivery.objects.bulk_create(rows)
        assert housekeeping.clean().webhook_deliveries == 1
        assert set(webhook.deliveries.values_list("id", flat=True)) == {fresh_one.id, rows[0].id}


def _in_thread(work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    return run


def test_a_real_worker_sends_at_once(
    video: Video,
    submit: Submit,
    receiver: Receiver,
    worker_environment: dict[str, str],
    start_worker: Callable[..., Worker],
) -> None:
    worker_environment["VIDEOPROC_OUTBOUND_TRUSTED"] = f"127.0.0.1:{receiver.port}"
    webhook = webhook_make(video.owner, receiver, "job.completed")
    start_worker()
    job = submit(video)
    wait_for(lambda: bool(receiver.requests), seconds=60, what="the message comes")
    message = Verifier(webhook.secret).verify(receiver.requests[0].body, receiver.requests[0].headers)
    assert message["data"]["job"]["id"] == job.id
    assert message["data"]["job"]["status"] == Job.Status.COMPLETED
    wait_for(
        lambda: WebhookDelivery.objects.filter(status=DELIVERED).exists(), seconds=20, what="it is noted"
    )
