"""Pages for staff in a real browser: each under its content security policy, and closed to everybody else."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.e2e.site import Site

pytestmark = pytest.mark.e2e

FLOWER = ("/flower/", "/flower/workers", "/flower/tasks", "/flower/broker")
GUARDED = (
    *FLOWER,
    "/flower/api/workers",
    "/flower/api/tasks",
    "/flower/worker/short",
    "/flower/static/js/flower.js",
)


def _sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/accounts/login/")
    _fill_in(page, name, password)
    expect(page).to_have_url("/")


def _fill_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Login").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_flower_works_under_its_own_policy(page: Page, site: Site) -> None:
    """The fixture fails on any violation and any error of its scripts."""
    page.goto("/flower/")
    _fill_in(page, "admin", site.admin_password)
    expect(page.get_by_text("encode@").first).to_be_visible(timeout=20_000)
    for path in FLOWER:
        reply = page.goto(path)
        assert reply is not None
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        expect(page.locator("table").first).to_be_visible()
    page.goto("/flower/workers")
    page.locator("a[href*='/flower/worker/']").first.click()
    for tab in page.get_by_role("tab").all():
        tab.click()
    page.goto("/flower/tasks")
    page.locator("a[href*='/flower/task/']").first.click()
    expect(page.get_by_text("jobs.").first).to_be_visible()


def test_api_docs_admin_and_metrics_work_under_the_policy_of_the_site(page: Page, site: Site) -> None:
    _sign_in(page, "admin", site.admin_password)
    page.goto("/api/docs")
    expect(page.get_by_text("Videoproc API").first).to_be_visible(timeout=20_000)
    page.locator(".opblock-summary-control").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()
    for path in ("/admin/", "/admin/jobs/job/", "/admin/users/user/", "/admin/videos/video/"):
        page.goto(path)
        expect(page.get_by_role("heading").first).to_be_visible()
    reply = page.goto("/metrics")
    assert reply is not None
    assert reply.status == 200
    for lane in ("short", "encode"):
        assert re.search(rf'videoproc_workers{{lane="{lane}"}} [1-9]', reply.text())


def test_nothing_of_it_is_open_to_strangers(site: Site) -> None:
    for path in GUARDED:
        for method in ("GET", "POST"):
            reply = requests.request(method, site.url + path, allow_redirects=False, timeout=10)
            assert reply.status_code in {302, 403}, (method, path)
            assert "flower" not in reply.text.lower().replace("/flower/", "").replace("%2fflower", "")
    for path in ("/flower/metrics", "/flower/healthcheck"):
        assert requests.get(site.url + path, timeout=10).status_code == 404
    assert requests.get(f"{site.url}/metrics", timeout=10).status_code == 401
    assert (
        requests.get(f"{site.url}/metrics", headers={"Authorization": "Bearer "}, timeout=10).status_code
        == 401
    )


def test_an_account_without_staff_rights_gets_403(page: Page, site: Site) -> None:
    session = requests.Session()
    account = {"username": "curious", "email": "curious@example.org", "password": "a long enough one"}
    assert session.post(f"{site.url}/api/v1/auth/register", json=account, timeout=10).status_code == 201
    _sign_in(page, "curious", "a long enough one")
    for path in (*GUARDED, "/metrics"):
        assert page.request.get(path, max_redirects=0).status == 403, path
    for path in ("/flower/metrics", "/flower/healthcheck"):
        assert page.request.get(path, max_redirects=0).status == 404
