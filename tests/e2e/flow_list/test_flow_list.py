"""mitmweb's list of flows is bounded: the oldest go, but for those that are marked or under way."""

import http.client
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

KEPT = 6


class Api:
    """mitmweb's own, as its page uses it."""

    def __init__(self, port: int, curl: Any) -> None:
        self._url, self._curl = f"http://127.0.0.1:{port}", curl

    def ask(self, path: str, *arguments: str) -> Any:
        token = ("-H", "Authorization: Bearer word", "-H", "X-XSRFToken: 0a", "-b", "_mitmproxy_xsrf=0a")
        return self._curl(f"{self._url}{path}", *token, *arguments).body

    def paths(self) -> list[str]:
        """Return what the list shows, oldest first."""
        flows = json.loads(self.ask("/flows"))
        return [flow["request"]["path"] if flow["type"] == "http" else flow["type"] for flow in flows]

    def mark(self, path: str) -> None:
        (flow,) = [flow for flow in json.loads(self.ask("/flows")) if flow["request"]["path"] == path]
        kind = ("-H", "Content-Type: application/json")
        assert self.ask(f"/flows/{flow['id']}", "-X", "PUT", *kind, "-d", '{"marked": ":red_circle:"}') == b""


def test_the_oldest_go_and_marked_ones_and_those_under_way_stay(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, free_port: Callable[[], int]
) -> None:
    server, port, answer = origin(), free_port(), threading.Event()

    def slow(request: Received) -> Answer:
        answer.wait(60)
        return Answer()

    server.route("/slow", slow)
    options = (f"web_port={port}", "web_password=word", f"web_keep_flows={KEPT}", "inspect_hosts=localhost")
    settings = [part for option in options for part in ("--set", option)]
    proxy = mitmdump("--no-web-open-browser", *settings, program="mitmweb")
    proxy.wait_log("Web server listening")
    api = Api(port, curl)
    waiting = threading.Thread(target=lambda: curl("-x", proxy.url, f"{server.url}/slow", "-m", "90"))
    waiting.start()
    wait_until(lambda: api.paths() == ["/slow"], 20, "the slow request")
    curl("-x", proxy.url, f"{server.url}/marked")
    api.mark("/marked")
    for number in range(12):
        curl("-x", proxy.url, f"{server.url}/{number}")
    for url in ("http://127.0.0.1:1/failed", "https://127.0.0.1:1/", f"https://localhost:{server.port}/no-tls"):
        curl("-x", proxy.url, url, "-k", "-m", "20")
    curl("-x", proxy.url, f"{server.url}/last", "-H", "Cache-Control: only-if-cached")
    wait_until(lambda: api.paths()[2:][-1:] == ["/last"] and len(api.paths()) == KEPT, 20, f"{KEPT} flows")
    assert api.paths()[:2] == ["/slow", "/marked"]
    answer.set()
    waiting.join()
    curl("-x", proxy.url, f"{server.url}/after")
    wait_until(lambda: "/slow" not in api.paths() and len(api.paths()) == KEPT, 20, "the slow one to go")
    assert (api.paths()[0], api.paths()[-1]) == ("/marked", "/after")
    assert proxy.log().count("the list of flows has reached") == 1


def test_what_a_browser_does_not_read_is_bounded_and_asked_for_anew(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], free_port: Callable[[], int]
) -> None:
    server, port = origin(), free_port()
    options = (f"web_port={port}", "web_password=word")
    settings = [part for option in options for part in ("--set", option)]
    proxy = mitmdump("--no-web-open-browser", *settings, program="mitmweb")
    proxy.wait_log("Web server listening")
    browser = stalled_browser(port)
    fields = {f"X-{number}": "x" * 8000 for number in range(7)}
    proxied = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    for number in range(300):  # of each flow it is told thrice: 50 MB
        proxied.request("GET", f"{server.url}/{number}", headers=fields)
        proxied.getresponse().read()
    proxy.wait_log("a browser does not keep up with mitmweb")
    received, said = 0, b""
    while b'{"type": "flows/reset"}' not in said:
        piece = browser.recv(1 << 20)
        assert piece
        received, said = received + len(piece), said[-100:] + piece
    assert received < 30 << 20
    browser.close()


def stalled_browser(port: int) -> socket.socket:
    """Connect to mitmweb as its page does, and read nothing more than that one has."""
    browser = socket.create_connection(("127.0.0.1", port), timeout=60)
    fields = (
        f"Host: 127.0.0.1:{port}",
        "Authorization: Bearer word",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    browser.sendall("\r\n".join(("GET /updates HTTP/1.1", *fields, "", "")).encode())
    assert browser.recv(12) == b"HTTP/1.1 101"
    return browser
