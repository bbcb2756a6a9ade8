"""mitmweb's list of flows is bounded: the oldest go, but for those that are marked or under way."""

import json
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
        """Give what the list shows, oldest first."""
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
    assert proxy.log().count("the list of flows is full") == 1
