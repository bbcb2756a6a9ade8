"""Each protocol recorded and replayed each way: by the command line, by pytest's plugin, by options set at run time."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import trustme
from tests.support.capture_commands import capture, run_module
from tests.support.files import rewrite
from tests.support.h2_origin import TrailingOrigin
from tests.support.mitmdump import Mitmdump, environment
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until
from tests.support.websocket_server import Chat, serving

CLIENT = """
import json, ssl, subprocess, sys, requests, websockets.sync.client
http, https, h2, ws, wss = sys.argv[1:]
said = {}
def note(name, ask):
    try:
        said[name] = ask()
    except Exception as error:
        said[name] = repr(error)
def events(url):
    with requests.get(url + "/events", stream=True, timeout=100) as answer:
        return [line.decode() for line in answer.iter_lines() if line]
def chat(url):
    trust = ssl.create_default_context() if url.startswith("wss") else None
    if trust:
        trust.maximum_version = ssl.TLSVersion.TLSv1_2  # as tests.support.openings.for_two_threads
    with websockets.sync.client.connect(url, ssl=trust, open_timeout=100) as client:
        greeting = client.recv(timeout=100)
        client.send("hi")
        return [greeting, client.recv(timeout=100)]
def curl(url):
    command = ["curl", "-sS", "--max-time", "100", "--http2", "-w", " %{http_version}", url + "/page"]
    return subprocess.run(command, capture_output=True, text=True).stdout
note("h1", lambda: requests.get(http + "/page", timeout=100).text)
note("https", lambda: requests.post(https + "/page", json={"a": 1}, timeout=100).text)
note("h2", lambda: curl(h2))
note("sse", lambda: events(http))
note("sse over https", lambda: events(https))
note("ws", lambda: chat(ws))
note("wss", lambda: chat(wss))
print(json.dumps(said))
"""
EVENTS = [b"data: one\n\n", b"data: two\n\n"]
GREETED = ['{"say": "welcome"}', '{"heard": "hi"}']
SAID = {
    "h1": "the page",
    "https": "the page",
    "h2": "the page 2",
    "sse": ["data: one", "data: two"],
    "sse over https": ["data: one", "data: two"],
    "ws": GREETED,
    "wss": GREETED,
}


@dataclass
class Servers:
    """Origins of every protocol, and what a proxy needs to trust them; `close` takes them away."""

    urls: tuple[str, ...]
    trust: str
    close: Callable[[], None]


@pytest.fixture
def servers(
    origin: Callable[..., Origin], server_tls: ssl.SSLContext, ca: trustme.CA, ca_file: Path
) -> Iterator[Servers]:
    with ExitStack() as stack:
        h2_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(h2_tls)
        h2 = TrailingOrigin(h2_tls, [("content-type", "text/plain")], b"the page", [])
        stack.callback(h2.close)
        both = origin(), origin(server_tls)
        for server in both:
            server.route("/page", Answer(body=b"the page"))
            server.route("/events", Answer(200, [("Content-Type", "text/event-stream")], EVENTS))
            stack.callback(server.close)
        chats = [stack.enter_context(serving(Chat(), tls)) for tls in (None, server_tls)]
        urls = (both[0].url, f"https://localhost:{both[1].port}", h2.url, *chats)
        yield Servers(urls, f"ssl_verify_upstream_trusted_ca={ca_file}", stack.close)


def test_by_the_command_line(servers: Servers, tmp_path: Path) -> None:
    client = ("--", sys.executable, "-c", CLIENT, *servers.urls)
    done = capture(tmp_path, "record", "--set", servers.trust, "a.har", *client)
    assert (done.returncode, json.loads(done.stdout)) == (0, SAID), done.stderr
    servers.close()
    done = capture(tmp_path, "replay", "--mode", "strict", "a.har", *client)
    assert (done.returncode, json.loads(done.stdout)) == (0, SAID), done.stderr


PYTEST = """
import json, os, subprocess, sys, pytest

@pytest.mark.http_capture(set=[os.environ["TRUST"]])
def test_all(http_capture):
    client = [sys.executable, "client.py", *os.environ["URLS"].split()]
    done = subprocess.run(client, capture_output=True, text=True, timeout=80)
    assert json.loads(done.stdout) == json.loads(os.environ["SAID"]), done.stderr
"""


def test_by_the_plugin(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    (tmp_path / "test_it.py").write_text(PYTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    extra = {"TRUST": servers.trust, "URLS": " ".join(servers.urls), "SAID": json.dumps(SAID)}
    env = environment(HTTP_CAPTURE_CONFDIR=str(tmp_path / "conf"), **extra)

    def run() -> "subprocess.CompletedProcess[str]":
        return run_module(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", env=env, timeout=150)

    first = run()
    assert first.returncode == 0, first.stdout + first.stderr
    servers.close()
    again = run()
    assert again.returncode == 0, again.stdout + again.stderr


def test_by_options_that_are_set_while_the_proxy_runs(
    servers: Servers, mitmdump: Callable[..., Mitmdump], tmp_path: Path
) -> None:
    policies, path = tmp_path / "policies.yaml", tmp_path / "a.har"
    rewrite(policies, "{}")
    options = ("inspect_hosts=*", "cache=off", servers.trust, f"policy_file={policies}")
    proxy = mitmdump(*[part for option in options for part in ("--set", option)], confdir=tmp_path / "conf")
    bundles = {name: str(proxy.ca) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    env = {**os.environ, **bundles, "no_proxy": "", "NO_PROXY": ""}
    env |= {name: proxy.url for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy")}

    def client() -> object:
        done = subprocess.run([sys.executable, "-c", CLIENT, *servers.urls], env=env, capture_output=True, timeout=170)
        return json.loads(done.stdout)

    def is_replaying() -> bool:
        answer = requests.get("http://nobody.test/", proxies={"http": proxy.url}, timeout=100)
        return answer.status_code == 599

    rewrite(policies, json.dumps({"capture_file": str(path)}))
    wait_until(path.exists, 20, "the recording to begin")
    assert client() == SAID
    rewrite(policies, json.dumps({"capture_file": ""}))
    wait_until(lambda: path.read_text().endswith("]}}\n"), 20, "the capture to be whole")
    servers.close()
    rewrite(policies, json.dumps({"replay_file": str(path)}))
    wait_until(is_replaying, 20, "the replay to begin")
    assert client() == SAID
    rewrite(policies, "{}")  # a tunnel to a closed port is refused again, not opened first
    host = servers.urls[1].removeprefix("https://")
    connect = f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    wait_until(lambda: beginning(proxy.port, connect).startswith(b"HTTP/1.1 502"), 20, "the replay to end")
    assert proxy.stop() == 0


def beginning(port: int, data: bytes) -> bytes:
    """Send bytes to a port of 127.0.0.1 and return the first data received."""
    with socket.create_connection(("127.0.0.1", port), timeout=100) as sock:
        sock.sendall(data)
        return sock.recv(1000)
