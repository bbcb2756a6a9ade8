"""Streams: recorded frame by frame, replayed as they came, checked event by event; they flow on meanwhile."""

import json
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from tests.support import grpc_server
from tests.support.browser import FLAGS
from tests.support.capture_commands import capture
from tests.support.origin import Answer, Origin, Received
from tests.support.programs import need
from tests.support.waiting import PATIENCE

from proxy_policies.capture.har.reader import open_capture

SECRET = "sk-proj-Zq7hunter2Q9xZabcdefghijklmnop"
GAP = 0.7
"""Seconds that pass before the next token is sent, after the client has heard the last one."""
CLIENT = """
import json, os, sys, time, grpc, requests
http, assistant = sys.argv[1:3]
said, times = {}, {}
direct = requests.Session()
direct.trust_env = False
def hear(path, line):
    if path == "/tokens" and line.startswith(b"data") and sys.argv[3:]:
        direct.post(http + "/heard", timeout=60)
def lines(path, most=99):
    began, found = time.monotonic(), []
    try:
        with requests.post(http + path, json={"ask": "hello"}, stream=True, timeout=60) as answer:
            for line in answer.iter_lines(chunk_size=1):
                if line:
                    times.setdefault(path, []).append(time.monotonic() - began)
                    found.append(line.decode())
                    hear(path, line)
                    if len(found) == most:
                        break
    except requests.RequestException as error:
        found.append("broken off")
    return found
said["tokens"] = lines("/tokens")
said["rows"] = lines("/rows")
said["broken"] = lines("/broken")
said["endless"] = lines("/endless", most=8)  # all: who leaves earlier may leave before the last
def message(text):
    return bytes([10, len(text)]) + text.encode()
with open(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"], "rb") as roots:
    trust = grpc.ssl_channel_credentials(roots.read())
with grpc.secure_channel(assistant, trust) as channel:
    call = channel.stream_stream("/shop.Assistant/Talk")(iter([message("hi"), message("again")]), timeout=60)
    said["grpc"] = []
    try:
        for got in call:
            said["grpc"].append(got[2:].decode())
    except grpc.RpcError as error:
        said["grpc"].append(f"{error.code().name}: {error.details()}")
print(json.dumps([said, times]))
"""


@dataclass
class Assistant:
    """What the build under test says."""

    tokens: list[str] = field(default_factory=lambda: ["Hel", "lo", " there"])
    rows: list[int] = field(default_factory=lambda: [1, 2, 3])
    ticks: list[str] = field(default_factory=lambda: ["one", "two", "three", "four"])
    talk: list[str] = field(default_factory=lambda: ["hi, too", f"the key is {SECRET}", "fail"])
    heard: threading.Semaphore | None = None
    """Released by the client when it has heard a token, before which the next is not sent."""
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, server: Origin) -> None:
        server.route("/tokens", lambda _: stream("text/event-stream", self._tokens()))
        server.route("/heard", lambda _: self._release())
        server.route("/rows", lambda _: stream("application/json", self._rows()))
        server.route("/broken", lambda _: stream("application/x-ndjson", self._broken()))
        server.route("/endless", lambda _: stream("text/event-stream", self._ticks()))

    def _tokens(self) -> Iterator[bytes]:
        for number, token in enumerate(self.tokens):
            if number and self.heard is not None:
                if not self.heard.acquire(timeout=60 * PATIENCE):
                    raise OSError
                self.over.wait(GAP)
            delta = {"id": "chatcmpl-9", "user_token": SECRET, "choices": [{"delta": {"content": token}}]}
            yield f": keep-alive\n\ndata: {json.dumps(delta)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    def _release(self) -> Answer:
        if self.heard is not None:
            self.heard.release()
        return Answer(204)

    def _rows(self) -> Iterator[bytes]:
        for row in self.rows:
            yield json.dumps({"row": row, "password": SECRET}).encode() + b"\n"

    def _broken(self) -> Iterator[bytes]:
        yield b'{"n": 1}\n{"n": 2}\n{"n"'
        raise OSError

    def _ticks(self) -> Iterator[bytes]:
        for number, tick in enumerate(self.ticks):
            yield f"id: {number}\ndata: {tick}\n\n".encode()
        self.over.wait(120)


def stream(media_type: str, body: Iterator[bytes]) -> Answer:
    return Answer(200, [("Content-Type", media_type)], body)


@pytest.fixture
def assistant() -> Iterator[Assistant]:
    made = Assistant()
    yield made
    made.over.set()


@pytest.mark.timeout(240)
def test_streams_are_recorded_replayed_and_checked_frame_by_frame(
    assistant: Assistant, origin: Callable[..., Origin], ca: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    server = origin()
    assistant.serve(server)
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    with grpc_server.serving(ca, lambda heard: [*assistant.talk[:-1], f"heard {heard}", assistant.talk[-1]]) as address:
        client = ("--", sys.executable, "-c", CLIENT, server.url, address)
        assistant.heard = threading.Semaphore(0)
        recorded = capture(tmp_path, "record", *trust, "a.har", *client, "heard", timeout=120)
        assistant.heard = None
        assert recorded.returncode == 0, recorded.stderr
        said, _ = json.loads(recorded.stdout)
        assert [line for line in said["tokens"] if "[DONE]" in line], "nothing is held back"
        assert said["broken"] == ['{"n": 1}', '{"n": 2}', "broken off"]
        assert said["grpc"][-1] == "RESOURCE_EXHAUSTED: no more"
        entries = list(open_capture(tmp_path / "a.har"))
        assert [(e.response.body.cut, len(e.response.body.frame_times)) for e in entries] == [
            ("", 7),
            ("", 3),
            ("server", 2),
            ("client", len(assistant.ticks)),
            ("", 3),
        ]
        tokens = entries[0].response.body.frame_times
        assert tokens[5] - tokens[0] > 1.9 * GAP
        assert "hunter2" not in (tmp_path / "a.har").read_text()
        assert b"hunter2" not in b"".join(entry.response.body.content for entry in entries)

        same = capture(tmp_path, "check", *trust, "a.har", *targets(server.url, address))
        assert same.returncode == 0, same.stdout + same.stderr
        assistant.tokens[1] = "LO"
        assistant.rows.append(4)
        assistant.ticks.pop()
        assistant.talk[0], assistant.talk[-1] = "bye", "the end"
        report = ("--json", "r.json")
        changed = capture(tmp_path, "check", *trust, "a.har", *targets(server.url, address), *report, "--timeout", "5")
        assert changed.returncode == 1
        outcomes = json.loads((tmp_path / "r.json").read_text())["outcomes"]
        found = {
            outcome["title"]: {change["location"]: change["kind"] for change in outcome["changes"]}
            for outcome in outcomes
        }
        assert found.pop("POST /tokens") == {"json:$.events[1].data.choices[0].delta.content": "changed"}
        assert found.pop("POST /rows") == {"json:$.lines[3]": "added"}
        assert found.pop("POST /broken") == {}
        assert found.pop("POST /endless") == {"json:$.events[3]": "removed", "json:$.cut": "added"}
        assert found.pop("POST /shop.Assistant/Talk") == {
            "trailer:grpc-status": "changed",
            "trailer:grpc-message": "changed",
            'json:$.messages[0]["1"]': "changed",
            "json:$.messages[3]": "added",
        }
    server.close()
    replayed = capture(tmp_path, "replay", "--mode", "strict", "--set", "replay_speed=1", "a.har", *client, timeout=120)
    assert replayed.returncode == 0, replayed.stderr
    said_again, times_again = json.loads(replayed.stdout)
    assert without_secrets(said_again) == without_secrets(said)
    assert times_again["/tokens"][-1] > 1.9 * GAP, "frames keep their distance"


def targets(url: str, address: str) -> tuple[str, ...]:
    return ("--target", f"{url}={url}", "--target", f"https://{address}=https://{address}")


def without_secrets(said: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return what was said without what differs when it is replayed: secrets are not known."""
    return {name: [re.sub(r"secret_\w+|sk-proj-\w+", "SECRET", line) for line in lines] for name, lines in said.items()}


EVENT_SOURCE = b"""<!doctype html><title>waiting</title><script>
const seen = [], source = new EventSource("/events")
source.addEventListener("price", event => { seen.push(event.lastEventId + "=" + JSON.parse(event.data).price) })
source.onmessage = event => { seen.push(event.data); source.close(); document.title = seen.join(" ") }
source.onerror = () => { document.title = "error after " + seen.join(" ") }
</script>"""
BROWSER = """
import os, sys
from playwright.sync_api import sync_playwright
flags = [*sys.argv[3:], "--proxy-bypass-list=<-loopback>"]
with sync_playwright() as playwright:
    through = {"server": os.environ["http_proxy"], "bypass": "<-loopback>"}
    browser = playwright.chromium.launch(executable_path=sys.argv[1], args=flags, proxy=through, timeout=100_000)
    page = browser.new_page()
    page.set_default_timeout(100_000)
    page.goto(sys.argv[2])
    page.wait_for_function("document.title !== 'waiting'")
    print(page.title())
    browser.close()
"""


@pytest.mark.timeout(200)
def test_an_event_source_of_a_browser(origin: Callable[..., Origin], tmp_path: Path) -> None:
    need("chromium")
    server, over = origin(), threading.Event()

    def events(_: Received) -> Answer:
        def body() -> Iterator[bytes]:
            yield b'event: price\nid: 7\ndata: {"price": 3}\n\n:\n\n'
            yield b'event: price\r\nid: 8\r\ndata: {"price":\r\ndata: 4}\r\n\r\n'
            yield b"data: bye\n\n"
            over.wait(120)

        return stream("text/event-stream", body())

    server.route("/page", Answer(200, [("Content-Type", "text/html")], EVENT_SOURCE))
    server.route("/favicon.ico", Answer(204))
    server.route("/events", events)
    client = ("--", sys.executable, "-c", BROWSER, shutil.which("chromium") or "", f"{server.url}/page", *FLAGS)
    try:
        recorded = capture(tmp_path, "record", "a.har", *client, timeout=120)
    finally:
        over.set()
    assert (recorded.returncode, recorded.stdout) == (0, "7=3 8=4 bye\n"), recorded.stderr
    server.close()
    for speed in ("0", "1"):
        done = capture(tmp_path, "replay", "--set", f"replay_speed={speed}", "a.har", *client, timeout=120)
        assert (done.returncode, done.stdout) == (0, "7=3 8=4 bye\n"), done.stderr
