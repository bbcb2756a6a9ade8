"""The page in a real browser: what it shows, and what its buttons do."""

import contextlib
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Dialog, expect
from tests.support.browser import TIMEOUT, chromium, serious_faults
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import free_port

Start = Callable[..., Mitmdump]

expect.set_options(timeout=TIMEOUT)


def test_what_a_browser_shows_and_does(mitmdump: Start, origin: Callable[..., Origin], curl: Any) -> None:
    server = origin()
    fields = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=600")]
    server.route("/kept?api_key=hunter22hunter22", Answer(headers=fields, body=b"the same words\n" * 500))
    proxy = mitmdump("--set", f"dashboard={free_port()}", "--set", "cache=memory")
    for _ in range(3):
        curl("-x", proxy.url, "-H", "Accept-Encoding: gzip", server.url + "/kept?api_key=hunter22hunter22")
    tunnel = open_tunnel(proxy.port, server.port)
    complaints: list[str] = []
    with chromium("about:blank") as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(proxy.wait_log(r"dashboard: (\S+)")[1])
        assert "token" not in page.url
        tiles = page.locator("#tiles")
        expect(tiles.locator("div", has_text="hit ratio").locator("dd")).to_have_text("67 %")
        expect(page.locator("#hosts")).to_contain_text(f"127.0.0.1:{server.port}")
        expect(page.locator("#slowest")).to_contain_text("api_key=REDACTED")
        expect(page.locator("svg").first).to_have_attribute("aria-label", has_points())
        why = page.locator("#flows details").last
        why.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(why).to_contain_text("stored")
        assert "hunter22" not in page.content()

        page.set_viewport_size({"width": 360, "height": 640})
        assert [right_edge(page, f"#{table} button") <= 360 for table in ("streams", "entries")] == [True, True]
        page.set_viewport_size({"width": 1400, "height": 900})

        page.locator("#pause").focus()
        for key in ("Tab", "Tab", "Enter", "Tab", "Tab", "Tab"):  # past the buttons of all tunnels
            page.keyboard.press(key)
        expect(page.locator("#entries button")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text("purged: 1")
        expect(page.locator("#entries")).to_have_text("nothing is stored")

        asked: list[str] = []
        page.on("dialog", lambda dialog: accept(dialog, asked))
        shown = page.locator("#streams tr td").nth(5).inner_text()
        page.locator("#streams button").hover()
        page.mouse.down()
        expect(page.locator("#streams tr td").nth(5)).not_to_have_text(shown)  # drawn again while it is pressed
        page.mouse.up()
        expect(page.locator("#streams")).to_have_text("no tunnel is open")
        with contextlib.suppress(ConnectionResetError):
            assert tunnel.recv(1) == b""
        assert asked == [f"Close the tunnel of 127.0.0.1:{tunnel.getsockname()[1]} to 127.0.0.1:{server.port}?"]

        assert serious_faults(page) == []
        light = background(page)
        page.emulate_media(color_scheme="dark")
        assert background(page) != light
        assert serious_faults(page) == []
        page.set_viewport_size({"width": 360, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert not complaints
    tunnel.close()


def right_edge(page: Any, record: str) -> float:
    box = page.locator(record).bounding_box()
    return float(box["x"] + box["width"])


def has_points() -> re.Pattern[str]:
    return re.compile(r"Requests a second: all \d+, hits \d+, at most [1-9]")


def accept(dialog: Dialog, asked: list[str]) -> None:
    asked.append(dialog.message)
    dialog.accept()


def background(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def open_tunnel(proxy: int, target: int) -> socket.socket:
    """Open a tunnel to a port of this machine, through which nothing goes."""
    tunnel = socket.create_connection(("127.0.0.1", proxy), timeout=60)
    tunnel.sendall(f"CONNECT 127.0.0.1:{target} HTTP/1.1\r\nHost: 127.0.0.1:{target}\r\n\r\n".encode())
    assert b" 200 " in tunnel.recv(1000)
    return tunnel


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("dashboard=*:0",), "set dashboard_password, or listen on 127.0.0.1"),
        (("dashboard=nowhere",), "option dashboard='nowhere': "),
        (("dashboard=0", "dashboard_password=short"), "option dashboard_password: write at least 16 characters"),
    ],
)
def test_what_is_refused(mitmdump: Start, options: tuple[str, ...], said: str) -> None:
    proxy = mitmdump(*(part for option in options for part in ("--set", option)), script="dashboard.py", wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape(said))
    assert "Traceback" not in proxy.log()
    assert "short" not in proxy.log()


def test_with_a_password_it_listens_beyond_this_machine_and_prints_none(mitmdump: Start, curl: Any) -> None:
    port, password = free_port(), "correct-horse-battery"
    proxy = mitmdump("--set", f"dashboard=*:{port}", "--set", f"dashboard_password={password}", script="dashboard.py")
    proxy.wait_log("dashboard: http://")
    entered = ("-H", f"Authorization: Bearer {password}")
    answer = curl(f"http://127.0.0.1:{port}/ask/now", "-H", "Host: proxy.example", *entered)
    assert answer.status == 200, answer
    assert json.loads(answer.body)["result"]["totals"]["requests"] == 0
    assert curl(f"http://127.0.0.1:{port}/ask/now", "-H", "Host: proxy.example").status == 401
    form = curl(f"http://127.0.0.1:{port}/", "-d", f"password={password}")
    assert (form.status, form.get("location")) == (303, "/")
    assert password not in proxy.log()
