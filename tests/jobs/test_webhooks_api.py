"""Webhooks through the API and the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from rest_framework.test import APIClient

from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks import sending, services
from jobs.webhooks.events import PING
from tests.conftest import client_of
from tests.jobs.hooks import webhook_make
from tests.receiver import Receiver, answering
from users.models import ApiToken, User
from users.services import token_create

WISH = {"url": "https://example.org/hook", "events": ["job.failed", "job.completed"]}


def create(client: APIClient, **changes: Any) -> Any:
    return client.post("/api/v1/webhooks", {**WISH, **changes}, format="json")


class TestMaking:
    def test_the_secret_is_shown_once(self, alices_client: APIClient) -> None:
        response = create(alices_client, description="Render farm")
        assert response.status_code == 201
        assert response.headers["Cache-Control"] == "no-store"
        made = response.json()
        assert made["secret"].startswith("whsec_")
        assert made["events"] == ["job.completed", "job.failed"]
        assert (made["site_wide"], made["enabled"], made["off_reason"]) == (False, True, "")

        found = alices_client.get(f"/api/v1/webhooks/{made['id']}").json()
        assert {**found, "secret": made["secret"]} == made
        assert alices_client.get("/api/v1/webhooks").json() == {
            "data": [found],
            "next": None,
            "previous": None,
        }

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"url": "http://example.org/"}, "/url"),
            ({"url": "https://169.254.169.254/latest"}, "/url"),
            ({"url": "https://[::ffff:127.0.0.1]/"}, "/url"),
            ({"url": "https://example.org:5432/"}, "/url"),
            ({"url": "https://example.org/" + "x" * 2000}, "/url"),
            ({"url": "https://example.org/\x00"}, "/url"),
            ({"url": None}, "/url"),
            ({"events": []}, "/events"),
            ({"events": "job.failed"}, "/events"),
            ({"events": ["job.failed", "job.exploded"]}, "/events/1"),
            ({"description": "x" * 201}, "/description"),
            ({"secret": "whsec_mine"}, "/secret"),
        ],
    )
    def test_nonsense_is_refused_by_field(
        self, alices_client: APIClient, changes: dict[str, Any], pointer: str
    ) -> None:
        response = create(alices_client, **changes)
        assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
        assert not Webhook.objects.exists()

    def test_other_bodies(self, alices_client: APIClient) -> None:
        response = alices_client.post("/api/v1/webhooks", [1], format="json")
        assert (response.status_code, response.json()["code"]) == (400, "malformed_body")

    def test_there_are_not_any_number(self, alice: User, alices_client: APIClient) -> None:
        for _ in range(services.PER_OWNER):
            services.webhook_create(viewer=alice, url=WISH["url"], events=WISH["events"])  # type: ignore[arg-type]  # a mixed dict
        response = create(alices_client)
        assert (response.status_code, response.json()["code"]) == (409, "webhook_limit_reached")

    def test_only_staff_hears_of_everybody(self, alices_client: APIClient, carol: User) -> None:
        assert create(alices_client, site_wide=True).status_code == 403
        carols_client = client_of(carol)
        made = create(carols_client, site_wide=True).json()
        assert made["site_wide"]
        assert [one["id"] for one in carols_client.get("/api/v1/webhooks").json()["data"]] == [made["id"]]
        assert alices_client.get(f"/api/v1/webhooks/{made['id']}").status_code == 404

    def test_a_token_that_only_reads_makes_none(self, alice: User) -> None:
        _, text = token_create(user=alice, name="reads", scope=ApiToken.Scope.READ)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        assert create(client).status_code == 403
        assert client.get("/api/v1/webhooks").status_code == 200


class TestChanging:
    def test_what_is_given_changes(self, alice: User, alices_client: APIClient, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        address = f"/api/v1/webhooks/{webhook.id}"
        changed = alices_client.patch(address, {"events": ["video.ready"], "enabled": False}, format="json")
        assert (changed.status_code, changed.json()["events"]) == (200, ["video.ready"])
        assert (changed.json()["enabled"], changed.json()["off_reason"]) == (False, "owner")
        assert changed.json()["url"] == webhook.url
        again = alices_client.patch(address, {"enabled": True}, format="json").json()
        assert (again["enabled"], again["off_reason"]) == (True, "")
        assert alices_client.patch(address, {"url": "https://localhost/"}, format="json").status_code == 400
        assert alices_client.patch(address, {"enabld": True}, format="json").status_code == 400

    def test_what_an_administrator_switched_off_stays_off(
        self, alice: User, alices_client: APIClient, receiver: Receiver
    ) -> None:
        webhook = webhook_make(alice, receiver)
        services.webhook_switch_off(webhook=webhook)
        response = alices_client.patch(f"/api/v1/webhooks/{webhook.id}", {"enabled": True}, format="json")
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")

    def test_rotation_shows_the_new_secret(
        self, alice: User, alices_client: APIClient, receiver: Receiver
    ) -> None:
        webhook = webhook_make(alice, receiver)
        response = alices_client.post(f"/api/v1/webhooks/{webhook.id}/rotate")
        assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
        assert response.json()["secret"] != webhook.secret
        assert response.json()["former_secret_until"] is not None

    def test_deleted(self, alice: User, alices_client: APIClient, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        services.webhook_ping(webhook=webhook)
        assert alices_client.delete(f"/api/v1/webhooks/{webhook.id}").status_code == 204
        assert not WebhookDelivery.objects.exists()
        assert not sending.deliver()

    def test_strangers_find_nothing(self, alice: User, bobs_client: APIClient, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        delivery = services.webhook_ping(webhook=webhook)
        address = f"/api/v1/webhooks/{webhook.id}"
        for method, path in [
            ("get", ""), ("patch", ""), ("delete", ""), ("post", "/rotate"), ("post", "/test"),
            ("get", "/deliveries"), ("post", f"/deliveries/{delivery.id}/redeliver"),
        ]:  # fmt: skip
            assert getattr(bobs_client, method)(address + path).status_code == 404, f"{method} {path}"
        assert bobs_client.get("/api/v1/webhooks/whk_0").status_code == 404
        assert bobs_client.get("/api/v1/webhooks").json()["data"] == []


class TestDeliveries:
    def test_ping_log_and_redelivery(self, alice: User, alices_client: APIClient, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        address = f"/api/v1/webhooks/{webhook.id}"
        receiver.reply, good = answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), receiver.reply
        ping = alices_client.post(f"{address}/test")
        assert (ping.status_code, ping.json()["type"], ping.json()["status"]) == (202, PING, "pending")
        assert alices_client.post(f"{address}/test").json()["id"] == ping.json()["id"], "one at a time"
        assert sending.deliver()

        (entry,) = alices_client.get(f"{address}/deliveries").json()["data"]
        assert (entry["status"], entry["attempts"], entry["last_status"]) == ("pending", 1, 503)
        assert entry["last_error"] == "It answered 503."
        assert entry["payload"]["data"] == {"webhook": webhook.id}

        receiver.reply = good
        again = alices_client.post(f"{address}/deliveries/{entry['id']}/redeliver")
        assert (again.status_code, again.json()["event_id"]) == (202, entry["event_id"])
        assert sending.deliver()
        (entry,) = alices_client.get(f"{address}/deliveries").json()["data"]
        assert (entry["status"], entry["last_status"], entry["last_error"]) == ("delivered", 200, "")

        assert alices_client.post(f"{address}/deliveries/{entry['id']}/redeliver").status_code == 202
        assert sending.deliver()
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
        assert len(receiver.requests) == 3

    def test_the_log_is_paged(
        self,
        alice: User,
        alices_client: APIClient,
        receiver: Receiver,
        django_assert_max_num_queries: Any,
    ) -> None:
        webhook = webhook_make(alice, receiver)
        for _ in range(5):
            services.webhook_ping(webhook=webhook)
            WebhookDelivery.objects.filter(status="pending").update(status="failed", next_attempt_at=None)
        with django_assert_max_num_queries(6):
            page = alices_client.get(f"/api/v1/webhooks/{webhook.id}/deliveries?limit=3").json()
        rest = alices_client.get(page["next"]).json()
        ids = [entry["id"] for entry in page["data"] + rest["data"]]
        assert (len(page["data"]), len(rest["data"]), ids) == (3, 2, sorted(ids, reverse=True))

    def test_nothing_is_sent_while_it_is_off(
        self, alice: User, alices_client: APIClient, receiver: Receiver
    ) -> None:
        webhook = webhook_make(alice, receiver)
        delivery = services.webhook_ping(webhook=webhook)
        services.webhook_update(viewer=alice, webhook=webhook, enabled=False)
        assert not sending.deliver()
        for path in ("test", f"deliveries/{delivery.id}/redeliver"):
            response = alices_client.post(f"/api/v1/webhooks/{webhook.id}/{path}")
            assert (response.status_code, response.json()["code"]) == (409, "webhook_is_off")
        services.webhook_update(viewer=alice, webhook=webhook, enabled=True)
        assert sending.deliver(), "what waited goes out"


class TestAdmin:
    @pytest.fixture
    def admin(self, carol: User) -> Client:
        client = Client()
        client.force_login(carol)
        return client

    def test_reads_switches_off_and_sends_again(self, admin: Client, alice: User, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        delivery = services.webhook_ping(webhook=webhook)
        assert sending.deliver()
        for term in (webhook.id, alice.id):
            assert webhook.id in admin.get("/admin/jobs/webhook/", {"q": term}).content.decode()
        page = admin.get(f"/admin/jobs/webhook/{webhook.id}/change/").content.decode()
        assert receiver.host in page
        assert webhook.secret not in page
        assert 'name="_save"' not in page
        for term in (delivery.id, delivery.event_id, webhook.id):
            assert delivery.id in admin.get("/admin/jobs/webhookdelivery/", {"q": term}).content.decode()
        page = admin.get(f"/admin/jobs/webhookdelivery/{delivery.id}/change/").content.decode()
        assert delivery.event_id in page

        fields = {"action": "resend_selected", "_selected_action": [delivery.id]}
        page = admin.post("/admin/jobs/webhookdelivery/", fields, follow=True).content.decode()
        assert "1 webhook delivery was sent again." in page
        assert sending.deliver()
        assert len(receiver.requests) == 2

        fields = {"action": "switch_off_selected", "_selected_action": [webhook.id]}
        page = admin.post("/admin/jobs/webhook/", fields, follow=True).content.decode()
        assert "1 webhook was switched off." in page
        webhook.refresh_from_db()
        assert webhook.off_reason == Webhook.Off.STAFF
        assert LogEntry.objects.count() == 2

    def test_who_may_only_look_changes_nothing(self, alice: User, receiver: Receiver) -> None:
        webhook = webhook_make(alice, receiver)
        alice.is_staff = True
        alice.save()
        alice.user_permissions.add(Permission.objects.get(codename="view_webhook"))
        client = Client()
        client.force_login(alice)
        assert client.get("/admin/jobs/webhook/").status_code == 200
        client.post(
            "/admin/jobs/webhook/", {"action": "switch_off_selected", "_selected_action": [webhook.id]}
        )
        webhook.refresh_from_db()
        assert webhook.enabled
