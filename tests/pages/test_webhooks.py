"""The pages of webhooks, without a script."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from jobs.webhook_models import Webhook, WebhookDelivery
from jobs.webhooks import services
from tests.pages.test_access import INLINE
from users.models import User

FIELDS = {"url": "https://example.org/hook", "description": "Render farm", "events": ["job.failed"]}


@pytest.fixture
def webhook(alice: User) -> Webhook:
    return services.webhook_create(viewer=alice, url=FIELDS["url"], events=["job.failed"])  # type: ignore[arg-type]  # a mixed dict


def test_strangers_are_sent_to_the_sign_in_page(client: Client) -> None:
    assert client.get("/account/webhooks/").headers["Location"].startswith("/accounts/login/")


def test_add_shows_the_secret_once(browser: Client, alice: User) -> None:
    assert "Add a webhook" in browser.get("/account/").content.decode()
    assert "No webhooks yet" in browser.get("/account/webhooks/").content.decode()
    page = browser.post("/account/webhooks/", FIELDS).content.decode()
    made = Webhook.objects.get(owner=alice)
    assert (made.url, made.description, made.events) == (
        "https://example.org/hook",
        "Render farm",
        ["job.failed"],
    )
    assert made.secret in page
    for address in ("/account/webhooks/", f"/account/webhooks/{made.id}/"):
        page = browser.get(address).content.decode()
        assert "Render farm" in page
        assert made.secret not in page
        assert not INLINE.search(page)
    assert "You have 1." in browser.get("/account/").content.decode()


def test_refused_ones_say_why_beside_the_field(browser: Client) -> None:
    page = browser.post("/account/webhooks/", {"url": "https://127.0.0.1/"}).content.decode()
    assert "There is a problem" in page
    page = browser.post("/account/webhooks/", {**FIELDS, "url": "https://127.0.0.1/"}).content.decode()
    assert 'id="id_url_error"' in page
    assert "does not lead to the public internet" in page
    assert not Webhook.objects.exists()


def test_only_staff_is_offered_everybodys(browser: Client, carol: User) -> None:
    assert "site_wide" not in browser.get("/account/webhooks/").content.decode()
    browser.post("/account/webhooks/", {**FIELDS, "site_wide": "on"})
    assert Webhook.objects.get().owner is not None
    staff = Client()
    staff.force_login(carol, backend="django.contrib.auth.backends.ModelBackend")
    assert "site_wide" in staff.get("/account/webhooks/").content.decode()
    staff.post("/account/webhooks/", {**FIELDS, "site_wide": "on"})
    assert Webhook.objects.filter(owner=None).count() == 1


def test_change_switch_rotate_test_resend_delete(browser: Client, webhook: Webhook) -> None:
    here = f"/account/webhooks/{webhook.id}/"
    changed = {**FIELDS, "events": ["video.ready", "job.cancelled"]}
    assert browser.post(here, changed).headers["Location"] == here
    webhook.refresh_from_db()
    assert webhook.events == ["job.cancelled", "video.ready"]

    before = webhook.secret
    page = browser.post(f"{here}rotate/").content.decode()
    webhook.refresh_from_db()
    assert webhook.secret != before
    assert webhook.secret in page

    assert browser.post(f"{here}test/").status_code == 302
    delivery = WebhookDelivery.objects.get()
    page = browser.get(here).content.decode()
    assert "webhook.ping" in page
    assert "Try now" in page
    page = browser.get(f"{here}deliveries/{delivery.id}/").content.decode()
    assert delivery.event_id in page
    assert "&quot;webhook.ping&quot;" in page
    assert not INLINE.search(page)
    WebhookDelivery.objects.update(status="failed", next_attempt_at=None, last_error="It answered 500.")
    assert "It answered 500." in browser.get(here).content.decode()
    assert browser.post(f"{here}deliveries/{delivery.id}/resend/").status_code == 302
    assert WebhookDelivery.objects.get().status == "pending"

    browser.post(f"{here}switch/", {"enabled": "false"})
    webhook.refresh_from_db()
    assert not webhook.enabled
    assert "Switched off by hand" in browser.get(here).content.decode()
    browser.post(f"{here}switch/", {"enabled": "true"})
    webhook.refresh_from_db()
    assert webhook.enabled

    assert browser.post(f"{here}delete/").headers["Location"] == "/account/webhooks/"
    assert not Webhook.objects.exists()


def test_the_owner_is_told_when_the_site_switched_it_off(browser: Client, webhook: Webhook) -> None:
    Webhook.objects.update(enabled=False, off_reason=Webhook.Off.FAILING)
    assert "1 webhook was switched off" in browser.get("/account/").content.decode()
    assert "It did not answer for days" in browser.get(f"/account/webhooks/{webhook.id}/").content.decode()


def test_what_belongs_to_someone_else_is_not_there(strangers_browser: Client, webhook: Webhook) -> None:
    delivery = services.webhook_ping(webhook=webhook)
    for name in ("webhook", "webhook-rotate", "webhook-test", "webhook-switch", "webhook-delete"):
        address = reverse(name, args=[webhook.id])
        assert strangers_browser.post(address).status_code == 404, name
    for name in ("webhook-delivery", "webhook-resend"):
        address = reverse(name, args=[webhook.id, delivery.id])
        method = strangers_browser.get if name == "webhook-delivery" else strangers_browser.post
        assert method(address).status_code == 404, name
