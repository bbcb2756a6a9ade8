"""A real browser: Debian's Chromium, which cannot reach other hosts."""

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
"""Milliseconds to wait for what a page is expected to show."""


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser while the context is open; skip the test if there is none."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=need("chromium"), args=FLAGS, timeout=2 * TIMEOUT)
        try:
            yield running
        finally:
            running.close()


@contextlib.contextmanager
def chromium(url: str) -> Iterator[Page]:
    """Open a page in a new browser while the context is open.

    The effect of an action may be shown, or reach the proxy, a while later: tests wait for it (`expect`).
    """
    with browser() as running:
        page = running.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(TIMEOUT)
        page.goto(url)
        yield page


def serious_faults(page: Page, within: str = "body") -> list[str]:
    """Return the accessibility faults that axe-core rates serious or critical, each with its element."""
    found: dict[str, Any] = Axe().run(page, context=within).response
    return [
        f"{fault['id']}: {node['html']}"
        for fault in found["violations"]
        for node in fault["nodes"]
        if fault["impact"] in ("serious", "critical")
    ]
