"""Makes the pictures of the pages by running the proxy: mitmweb, the dashboard, a report. See scripts/pictures."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import trustme
from playwright.sync_api import Browser, ViewportSize, sync_playwright

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "addons" / "proxy_policies"
ORIGIN = 9000
"""The port of the origin in README.md."""
TLS_ORIGIN = 9443
PROXY, WEB, DASHBOARD = 18080, 18081, 18082
START = 60.0
"""Seconds for mitmweb's start."""
SIZES: dict[str, ViewportSize] = {
    "mitmweb": {"width": 1360, "height": 600},
    "dashboard": {"width": 1360, "height": 760},
    "report": {"width": 1120, "height": 500},
}
PASSWORD = "pictures-pictures"  # noqa: S105 - of a proxy that is gone a minute later
CHROMIUM = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PRODUCTS = [{"id": number, "name": name, "price": 3.5 * number} for number, name in enumerate(("Tea", "Mug", "Pot"), 1)]


class Shop(http.server.BaseHTTPRequestHandler):
    """A small shop. `price` is that of a pot."""

    price = 10.5
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the path's content; prices may be stored, the cart must not."""
        products = [{**product, "price": self.price} if product["name"] == "Pot" else product for product in PRODUCTS]
        bodies = {"/products.json": products, "/cart.json": {"items": 2, "total": 2 * self.price}}
        kind, body = "application/json", json.dumps(bodies.get(self.path, {}))
        if self.path == "/":
            kind, body = "text/html", "<!doctype html><title>Tea shop</title><p>Tea, mugs and pots.</p>" * 40
        self.send_response(200 if self.path in ("/", *bodies) else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store" if self.path == "/cart.json" else "max-age=60")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def origin(port: int, context: ssl.SSLContext | None = None) -> Iterator[None]:
    """Run the shop, over TLS if there is a context."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Shop)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def server_context() -> ssl.SSLContext:
    """Return a context with a certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


@contextlib.contextmanager
def mitmweb(folder: Path) -> Iterator[str]:
    """Run mitmweb with every policy; yield its page's URL."""
    command = [str(Path(sys.executable).parent / "mitmweb"), "--no-web-open-browser", "--listen-host", "127.0.0.1"]
    options = (
        f"confdir={folder}",
        f"web_port={WEB}",
        "web_password=pictures",
        f"dashboard={DASHBOARD}",
        f"dashboard_password={PASSWORD}",
        "header_rules=|~u /cart|X-Shop|tea",
    )
    settings = [part for option in options for part in ("--set", option)]
    command += ["-p", str(PROXY), "-s", str(ROOT / "addons" / "policy.py"), *settings]
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + START
        while "Web server listening" not in log.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"pictures: mitmweb did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{WEB}/?token=pictures"
    finally:
        process.terminate()
        process.wait()


def ask(*arguments: str) -> None:
    """Send a request through the proxy."""
    subprocess.run(["curl", "-s", "-o", "/dev/null", "-x", f"http://127.0.0.1:{PROXY}", "-m", "20", *arguments])


def browse() -> None:
    """Send a request of each kind, for the list."""
    shop = f"http://127.0.0.1:{ORIGIN}"
    for path in ("/", "/products.json", "/cart.json", "/products.json"):
        ask("--compressed", shop + path)
    ask("-k", f"https://localhost:{TLS_ORIGIN}/")  # left untouched
    ask("-H", "Cache-Control: only-if-cached", f"{shop}/offers.json")
    ask("http://127.0.0.1:9/")  # nothing listens there


@contextlib.contextmanager
def visitors() -> Iterator[None]:
    """Send requests repeatedly; yield after a dozen seconds, for the charts."""
    over = threading.Event()

    def visit() -> None:
        for number in itertools.cycle(range(8)):
            if over.wait(0.1 * (number % 4)):
                return
            ask(f"http://127.0.0.1:{ORIGIN}/{('products.json', '', f'offers/{number}.json', 'cart.json')[number % 4]}")

    thread = threading.Thread(target=visit)
    thread.start()
    time.sleep(12)
    try:
        yield
    finally:
        over.set()
        thread.join()


def take(browser: Browser, url: str, folder: Path, name: str) -> None:
    """Take a picture in each colour scheme, and print its size."""
    for scheme in SCHEMES:
        page = browser.new_page(viewport=SIZES[name], color_scheme=scheme)
        page.goto(url)
        if name == "mitmweb":
            rows = page.locator(".flow-table tbody tr:has(td)")
            rows.filter(has_text="hit").first.click()
            page.locator(".flow-detail nav a", has_text="Response").click()
            page.locator(".flow-detail pre").get_by_text("cache").first.wait_for()
        elif name == "dashboard":
            page.locator("[name=password]").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.locator("#entries tr").first.wait_for()
            page.wait_for_timeout(3000)  # for some seconds in the charts
        else:
            page.locator("#detail mark").first.wait_for()
        path = folder / f"{name}-{scheme}.png"
        page.screenshot(path=path, animations="disabled")
        page.close()
        print(f"{path.name}: {path.stat().st_size // 1024} KiB")


def check(folder: Path) -> str:
    """Record the shop, raise a price, and check it; return the URL of the report."""
    command = [sys.executable, "-m", "proxy_policies", "capture"]
    capture, report = str(folder / "shop.har"), folder / "report.html"
    urls = [f"http://127.0.0.1:{ORIGIN}/{path}" for path in ("", "products.json", "cart.json")]
    confdir = ["--confdir", str(folder)]
    subprocess.run([*command, "record", capture, *confdir, "--", "curl", "-s", *urls], check=True, capture_output=True)
    Shop.price = 12.5
    target = ["--target", f"http://127.0.0.1:{ORIGIN}"]
    subprocess.run([*command, "check", capture, *target, *confdir, "--html", str(report)], capture_output=True)
    return report.as_uri()


def main(folder: Path | None) -> None:
    """Make all pictures."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as running:
        scratch = running.enter_context(tempfile.TemporaryDirectory())
        running.enter_context(origin(ORIGIN))
        running.enter_context(origin(TLS_ORIGIN, server_context()))
        playwright = running.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        with mitmweb(Path(scratch)) as url:
            browse()
            take(browser, url, folder or PACKAGE / "flow_list", "mitmweb")
            with visitors():
                take(browser, f"http://127.0.0.1:{DASHBOARD}/", folder or PACKAGE / "dashboard", "dashboard")
        take(browser, check(Path(scratch)), folder or PACKAGE / "capture", "report")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
