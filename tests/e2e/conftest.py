"""The site as `bin/up` starts it, and a browser."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.e2e.site import Site, running_site


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    # Not pytest's own folder: that is closed to others, and started by root the site runs as another account.
    with tempfile.TemporaryDirectory(prefix="videoproc-") as folder:
        Path(folder).chmod(0o755)
        with running_site(Path(folder)) as site:
            yield site


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=os.environ["VIDEOPROC_CHROMIUM"],
            args=[
                "--no-sandbox",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )


@pytest.fixture
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=site.url, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which any console error, CSP violation or failed request fails the test."""
    page = context.new_page()
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    def failed(request: Request) -> None:
        # Leaving a page aborts what it was still loading; that is not a fault.
        if "ERR_ABORTED" not in (request.failure or ""):
            complaints.append(f"{request.method} {request.url}: {request.failure}")

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", failed)
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " e => console.error('CSP', e.violatedDirective, e.blockedURI, e.sourceFile))"
    )
    yield page
    assert complaints == []
