"""An administrator's day in a real browser: why a job failed, another try, another tier, a drain."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from engine.samples import sample_clip
from tests.e2e.client import Client
from tests.e2e.site import Site

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "Trip to the lake.mp4"
    sample_clip(path, seconds=1, width=320, height=180)
    return path


def _save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_an_administrators_day(page: Page, context: BrowserContext, site: Site, clip: Path) -> None:
    customer = Client(site.url)
    video = customer.ready_video(clip)
    source = site.var / "media" / "videos" / video["id"] / "source"
    source.rename(source.with_name("lost"))
    failed = customer.job_ended(customer.operation(video, "resize", width=160)["job"]["id"])
    assert failed["status"] == "failed"

    page.goto("/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(site.admin_password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="The site now")).to_be_visible()
    expect(page.get_by_role("link", name="Source missing")).to_be_visible()

    # Find the failed job of a user by their name, and see why.
    page.get_by_role("link", name="Failed jobs", exact=True).click()
    page.get_by_role("textbox", name="Search").fill(customer.name)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=failed["id"]).click()
    expect(page.get_by_text("Ask the administrator to check the storage.")).to_be_visible()

    # The cause is mended; once more, on the other queue.
    source.with_name("lost").rename(source)
    page.get_by_role("button", name="Retry this job in the short lane").click()
    expect(page.get_by_text("1 job was queued again in the short lane.")).to_be_visible()
    page.get_by_role("link", name="all runs of this operation").click()
    again = page.locator("#result_list tbody th a").first.inner_text()
    assert again != failed["id"]
    assert customer.job_ended(again)["status"] == "completed"
    page.get_by_role("link", name=again).click()
    expect(page.locator(".field-lane p").first).to_have_text("Short")

    # The user's tier.
    page.get_by_role("link", name=customer.name).click()
    page.get_by_label("Tier").select_option("Pro")
    _save(page)
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert customer.call("GET", "me", 200)["tier"] == "pro"

    # Drain: what is asked for now waits, and its owner is told why.
    page.goto("/admin/")
    page.get_by_role("link", name="Drain, banner, retention").click()
    page.get_by_label("Drain the whole site").check()
    _save(page)
    expect(page.get_by_text("Drained: encode, short.")).to_be_visible()
    waiting = customer.operation(video, "resize", width=170)["job"]
    held = customer.call("GET", f"jobs/{waiting['id']}", 200, params={"wait": 2})
    assert held["status"] == "queued"
    expect(page.get_by_text("The site is paused for maintenance.")).to_be_visible()

    page.get_by_role("link", name="Drain, banner, retention").click()
    page.get_by_label("Drain the whole site").uncheck()
    _save(page)
    expect(page.get_by_text("Drained:")).to_have_count(0)
    assert customer.job_ended(waiting["id"])["status"] == "completed"

    page.goto("/admin/admin/logentry/")
    for words in ("Queued again in the short lane.", "Changed Tier.", "Changed Drain the whole site"):
        expect(page.get_by_text(words).first).to_be_visible()
