"""Captures and browsers: what a real Chromium recorded is ours to use, and it shows what we recorded."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.support.browser import TIMEOUT
from tests.support.browser import browser as start_browser
from tests.support.capture_commands import capture, tools
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

from proxy_policies.capture.har.reader import open_capture

PAGE = b"""<!doctype html><title>empty</title><link rel="stylesheet" href="/style.css"><img src="/dot.png">
<script>
fetch("/cart", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({item: 7})})
    .then(answer => answer.json()).then(cart => { document.title = `${cart.items} in the cart` })
</script>"""
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf500f00038601805a347de50000000049454e44ae426082"
)
ROUTES = {
    "/": Answer(200, [("Content-Type", "text/html")], PAGE),
    "/style.css": Answer(200, [("Content-Type", "text/css")], b"img { width: 9px }"),
    "/dot.png": Answer(200, [("Content-Type", "image/png")], DOT),
    "/cart": Answer(200, [("Content-Type", "application/json")], b'{"items": 3}'),
}


@pytest.fixture
def shop(origin: Callable[..., Origin]) -> Origin:
    server = origin()
    for path, answer in ROUTES.items():
        server.route(path, answer)
    server.route("/favicon.ico", Answer(204))
    return server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as running:
        yield running


def visit(browser: Browser, url: str, **options: Any) -> None:
    """Open the page, and wait until its script has had its answer."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(url)
    page.wait_for_function("document.title === '3 in the cart'")
    context.close()


@pytest.mark.parametrize("content", ["embed", "attach"])
def test_what_a_browser_exported_is_shown_replayed_and_checked(
    browser: Browser, shop: Origin, tmp_path: Path, content: str
) -> None:
    visit(browser, shop.url, record_har_path=tmp_path / "shop.har", record_har_content=content)
    listed = tools(tmp_path, "show", "shop.har")
    assert [path for path in ROUTES if f"{shop.url}{path}" in listed.stdout] == list(ROUTES), listed.stderr
    body = ("-H", "Content-Type: application/json", "-d", '{"item":7}')
    replayed = capture(tmp_path, "replay", "shop.har", "--", "curl", "-sS", *body, f"{shop.url}/cart")
    assert (replayed.returncode, replayed.stdout) == (0, '{"items": 3}'), replayed.stderr
    same = capture(tmp_path, "check", "shop.har", "--target", shop.url)
    assert same.returncode == 0, same.stdout + same.stderr
    shop.route("/cart", Answer(200, [("Content-Type", "application/json")], b'{"items": 4}'))
    changed = capture(tmp_path, "check", "shop.har", "--target", shop.url)
    assert changed.returncode == 1
    assert "json:$.items  3 → 4" in changed.stdout


def test_a_zipped_export_is_read(browser: Browser, shop: Origin, tmp_path: Path) -> None:
    visit(browser, shop.url, record_har_path=tmp_path / "shop.zip")
    done = tools(tmp_path, "show", "shop.zip", "1")
    assert done.returncode == 0, done.stderr
    assert "<!doctype html>" in done.stdout


def test_a_browser_is_served_from_what_we_recorded(browser: Browser, shop: Origin, tmp_path: Path) -> None:
    for path in ROUTES:
        sent = ("-H", "Content-Type: application/json", "-d", '{"item":7}') if path == "/cart" else ()
        one = capture(tmp_path, "record", f"{len(path)}.har", "--", "curl", "-sS", "-o", "out", *sent, shop.url + path)
        assert one.returncode == 0, one.stderr
    parts = sorted(path.name for path in tmp_path.glob("*.har"))
    assert tools(tmp_path, "merge", *parts, "-o", "shop.har").returncode == 0
    shop.close()
    context = browser.new_context()
    context.route_from_har(tmp_path / "shop.har", not_found="abort")
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(f"{shop.url}/")
    page.wait_for_function("document.title === '3 in the cart'")
    assert page.evaluate("document.images[0].naturalWidth") == 1
    context.close()


def test_mitmweb_records_what_the_filter_chooses(
    mitmdump: Callable[..., Mitmdump], shop: Origin, curl: Any, tmp_path: Path
) -> None:
    path = tmp_path / "web.har"
    web = ("--web-port", "0", "--no-web-open-browser", "--set", "web_host=127.0.0.1")
    options = ("--set", f"capture_file={path}", "--set", "capture_filter=~t json")
    proxy = mitmdump(*web, *options, program="mitmweb")
    for target in ("/style.css", "/cart"):
        assert curl("-x", proxy.url, shop.url + target).status == 200
    wait_until(lambda: b"/cart" in path.read_bytes())
    assert proxy.stop() == 0
    assert [entry.request.url for entry in open_capture(path)] == [f"{shop.url}/cart"]
    assert json.loads(path.read_text())["log"]["version"] == "1.2"
