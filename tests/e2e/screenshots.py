"""Photographs every page of a running site: wide and narrow, light and dark.

    python tests/e2e/screenshots.py http://127.0.0.1:8000 NAME PASSWORD FOLDER

Signs in with that account, follows its newest videos and jobs, and writes FOLDER/<page>-<width>-<theme>.png.
Ends with 1 and a list where a page wrote to the console, broke the content policy, or is wider than the
window.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = {1280: 900, 390: 844}
THEMES = ("light", "dark")
PUBLIC = {
    "landing": "/",
    "login": "/accounts/login/",
    "signup": "/accounts/signup/",
    "reset": "/accounts/password/reset/",
}
PRIVATE = {
    "home": "/",
    "library": "/videos/",
    "library-no-match": "/videos/?q=nothing+is+called+this",
    "upload": "/upload/",
    "jobs": "/jobs/",
    "queue": "/queue/",
    "jobs-no-match": "/jobs/?status=cancelled&type=thumbnail",
    "account": "/account/",
    "presets": "/presets/",
    "preset-new": "/presets/new/?type=resize&parameters=%7B%22short_side%22:480%7D",
    "not-found": "/nothing-here/",
    "api-docs": "/api/docs",
}
LISTS = {"video": ("/videos/", ".tile .name"), "job": ("/jobs/", ".row-card a.name")}
FOLLOWED = 6


def addresses(page: Page, site: str) -> Iterator[tuple[str, str]]:
    """Names and addresses of the pages a signed-in person can reach."""
    yield from PRIVATE.items()
    for name, (listing, links) in LISTS.items():
        page.goto(site + listing)
        found = [link.get_attribute("href") or "" for link in page.locator(links).all()[:FOLLOWED]]
        yield from ((f"{name}-{number}", address) for number, address in enumerate(found, 1))


def photograph(page: Page, site: str, name: str, address: str, folder: Path) -> list[str]:
    """Write one picture for each width and theme; returns what was wrong."""
    wrong: list[str] = []
    page.on(
        "console",
        lambda message: wrong.append(f"{name}: {message.text}") if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: wrong.append(f"{name}: {error}"))
    for theme in THEMES:
        page.add_init_script(f"localStorage.setItem('videoproc-theme', '{theme}')")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto(site + address, wait_until="load")
            page.wait_for_timeout(500)
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                wrong.append(f"{name}: wider than the window at {width}")
            page.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
    # A page that is not there answers 404, and the browser says so.
    return [text for text in wrong if not (name == "not-found" and "404" in text)]


def run(browser: Browser, site: str, username: str, password: str, folder: Path) -> list[str]:
    """Photograph everything; returns what was wrong."""
    wrong: list[str] = []
    stranger = browser.new_context()
    for name, address in PUBLIC.items():
        wrong += photograph(stranger.new_page(), site, name, address, folder)
    member = browser.new_context()
    page = member.new_page()
    page.goto(site + "/accounts/login/")
    page.fill("#id_login", username)
    page.fill("#id_password", password)
    page.click("main button")
    page.wait_for_url(site + "/")
    for name, address in list(addresses(page, site)):
        shot = member.new_page()
        wrong += photograph(shot, site, name, address, folder)
        shot.close()
    return wrong


def main() -> int:
    site, username, password, folder = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        wrong = run(browser, site, username, password, Path(folder))
        browser.close()
    sys.stdout.write("\n".join(sorted(set(wrong))) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
