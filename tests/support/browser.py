"""A real browser: Debian's Chromium, kept from calling out."""

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]
PATIENCE = 15_000
"""Milliseconds to wait for whatever a page is expected to show."""


@contextlib.contextmanager
def chromium(url: str) -> Iterator[Page]:
    """Open a page in a browser of its own, which ends with it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(PATIENCE)
            page.goto(url)
            yield page
        finally:
            browser.close()
