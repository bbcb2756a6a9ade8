"""A client from its being accepted until it leaves, without mitmproxy's layers."""

from __future__ import annotations

import contextlib
import functools
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
REFUSES = """
class Refuses:
    fast_paths = {"exchanges", "hits", "tunnels"}
    def client_connected(self, client):
        client.error = "not today"

addons = [Refuses()]
"""


def test_who_comes_and_leaves_is_announced_once(mitmdump: Start, origin: Callable[[], Origin]) -> None:
    proxy = mitmdump(mode=f"reverse:{origin().url}")
    for said in (b"", b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"):
        before = proxy.log().count("client disconnect")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        wait_until(functools.partial(has_left, proxy, before + 1), 20, "its end")
    assert proxy.log().count("client connect") == 2


def has_left(proxy: Mitmdump, times: int) -> bool:
    return proxy.log().count("client disconnect") == times


def test_who_is_refused_is_told_nothing(mitmdump: Start, origin: Callable[[], Origin], tmp_path: Path) -> None:
    script = tmp_path / "refuses.py"
    script.write_text(REFUSES)
    pages = origin()
    proxy = mitmdump("-s", str(script), mode=f"reverse:{pages.url}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
    proxy.wait_log("client kill connection")
    assert not pages.requests


def test_whom_a_load_balancer_speaks_for(mitmdump: Start, origin: Callable[[], Origin]) -> None:
    """Its first bytes may arrive in pieces, and are not part of the request."""
    pages = origin()
    pages.route("/", Answer(body=b"here"))
    proxy = mitmdump("--set", "proxy_protocol=127.0.0.1", mode=f"reverse:{pages.url}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        for piece in (b"PROXY TCP4 192.0.2.1 ", b"192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n", b"Host: a.test\r\n\r\n"):
            sock.sendall(piece)
            time.sleep(0.05)
        assert sock.recv(65536).endswith(b"here")
    (request,) = pages.requests
    assert request.get("X-Forwarded-For") == "192.0.2.1"
