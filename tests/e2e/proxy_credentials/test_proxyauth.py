"""mitmproxy's own proxyauth under our policies: 407 everywhere, and the credentials go no further."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import websockets.sync.client
import websockets.sync.server
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Origin, exchange_raw

StartOrigin = Callable[..., Origin]
SECRET = "opensesame-7Q"
BASIC = base64.b64encode(f"ali:{SECRET}".encode()).decode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    folder = tmp_path_factory.mktemp("confdir")
    options = ["--set", f"proxyauth=ali:{SECRET}", "--set", "flow_detail=3", "-w", str(folder / "flows")]
    running = Mitmdump(options, confdir=folder)
    yield running
    running.stop()


def scheme(proxy: Mitmdump, kind: str) -> tuple[str, ...]:
    """Return curl's options for reaching the proxy in the clear or over TLS."""
    if kind == "http":
        return ("-x", proxy.url)
    return ("-x", f"https://127.0.0.1:{proxy.port}", "--proxy-cacert", str(proxy.ca))


@pytest.mark.parametrize("kind", ["http", "https"])
def test_curl_is_asked_and_then_let_through(
    guarded: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path, curl: Any, kind: str
) -> None:
    plain, secure = origin(), origin(server_tls)
    to_proxy = scheme(guarded, kind)
    for url, more in ((f"{plain.url}/", ()), (f"{secure.url}/", ("--cacert", str(ca_file)))):
        asked = curl(*to_proxy, *more, url)
        assert asked.heads[0].startswith("HTTP/1.1 407 ")
        assert asked.get("proxy-authenticate") == 'Basic realm="mitmproxy"'
        wrong = curl(*to_proxy, "--proxy-user", "ali:wrong", *more, url)
        assert wrong.heads[0].startswith("HTTP/1.1 407 ")
        right = curl(*to_proxy, "--proxy-user", f"ali:{SECRET}", *more, url)
        assert (right.status, right.body) == (200, b"hello from the origin\n")
        retried = curl(*to_proxy, "--proxy-anyauth", "--proxy-user", f"ali:{SECRET}", *more, url)
        assert retried.heads[0].startswith("HTTP/1.1 407 ")
        assert (retried.status, retried.body) == (200, b"hello from the origin\n")
    for request in plain.requests + secure.requests:
        assert request.get("Proxy-Authorization") is None


def test_urllib3_with_credentials(
    guarded: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    plain, secure = origin(), origin(server_tls)
    trust = ssl.create_default_context(cafile=str(ca_file))
    to_proxy = ssl.create_default_context(cafile=str(guarded.ca))
    headers = urllib3.make_headers(proxy_basic_auth=f"ali:{SECRET}")
    for url in (guarded.url, f"https://127.0.0.1:{guarded.port}"):
        with urllib3.ProxyManager(url, proxy_headers=headers, proxy_ssl_context=to_proxy, ssl_context=trust) as pool:
            for server in (plain, secure):
                answer = pool.request("GET", f"{server.url}/", retries=False)
                assert (answer.status, answer.data) == (200, b"hello from the origin\n")
    with urllib3.ProxyManager(guarded.url) as pool:
        assert pool.request("GET", f"{plain.url}/", retries=False).status == 407
        refused = pool.request("POST", f"{plain.url}/", body=b"x" * (8 << 20), retries=False)
        assert refused.status == 407
    for request in plain.requests + secure.requests:
        assert request.get("Proxy-Authorization") is None


def test_a_websocket_through_connect_with_credentials(guarded: Mitmdump) -> None:
    def echo(connection: websockets.sync.server.ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with websockets.sync.server.serve(echo, "127.0.0.1", 0, open_timeout=100) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        proxy = f"http://ali:{SECRET}@127.0.0.1:{guarded.port}"
        with websockets.sync.client.connect(url, proxy=proxy, open_timeout=100) as client:
            client.send("through")
            assert client.recv(timeout=100) == "through"
        with pytest.raises(websockets.exceptions.ProxyError, match="407"):
            websockets.sync.client.connect(url, proxy=guarded.url, open_timeout=100)
        server.shutdown()


def test_a_refused_connect_may_be_asked_again_on_the_same_connection(guarded: Mitmdump, origin: StartOrigin) -> None:
    target = f"127.0.0.1:{origin().port}"
    opening = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=100) as sock:
        stream = sock.makefile("rb")
        sock.sendall(f"{opening}\r\n".encode())
        assert stream.readline().startswith(b"HTTP/1.1 407 ")
        length = 0
        while line := stream.readline().strip().lower():
            length = int(line.split(b":")[1]) if line.startswith(b"content-length") else length
        stream.read(length)
        sock.sendall(f"{opening}Proxy-Authorization: Basic {BASIC}\r\n\r\n".encode())
        assert stream.readline().startswith(b"HTTP/1.1 200 ")


def test_the_password_is_in_no_log_no_request_and_no_flow_file(guarded: Mitmdump, origin: StartOrigin) -> None:
    server = origin()
    head = f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {BASIC}\r\nConnection: close\r\n\r\n"
    assert exchange_raw(guarded.port, head.encode()).endswith(b"hello from the origin\n")
    wrong = head.replace(BASIC, base64.b64encode(b"ali:almost-right-3X").decode())
    assert exchange_raw(guarded.port, wrong.encode()).startswith(b"HTTP/1.1 407 ")
    log = guarded.log()
    assert SECRET not in log
    assert BASIC not in log
    assert SECRET not in json.dumps([dict(request.headers) for request in server.requests])
    flows = (guarded.confdir / "flows").read_bytes()
    assert b"hello from the origin" in flows
    for secret in (SECRET.encode(), BASIC.encode(), b"almost-right-3X", b"Proxy-Authorization"):
        assert secret not in flows
