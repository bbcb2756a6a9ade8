"""A real browser: Debian's Chromium, kept from calling out."""

import contextlib
from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.programs import need
from tests.support.waiting import PATIENCE

FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]
TIMEOUT = 15_000 * PATIENCE
"""Milliseconds to wait for whatever a page is expected to show."""


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, which ends with it; without one the test is skipped."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=need("chromium"), args=FLAGS, timeout=2 * TIMEOUT)
        try:
            yield running
        finally:
            running.close()


@contextlib.contextmanager
def chromium(url: str) -> Iterator[Page]:
    """Open a page in a browser of its own, which ends with it.

    What a test does to a page may be shown, or have come to the proxy, a while later: it expects (`expect`), and does
    not look at once.
    """
    with browser() as running:
        page = running.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(TIMEOUT)
        page.goto(url)
        yield page


def serious_faults(page: Page, within: str = "body") -> list[str]:
    """Return what axe-core finds to be serious or critical for people who cannot see, or not well, and where."""
    found: dict[str, Any] = Axe().run(page, context=within).response
    return [
        f"{fault['id']}: {node['html']}"
        for fault in found["violations"]
        for node in fault["nodes"]
        if fault["impact"] in ("serious", "critical")
    ]
