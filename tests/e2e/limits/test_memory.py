"""An exchange is released at its end, however its client left."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.curl import curl
from tests.support.mitmdump import Mitmdump
from tests.support.socket_server import SocketServer
from tests.support.sockets import reset_when_closed
from tests.support.waiting import wait_until

CLIENTS = 10
HALF = bytes(1 << 20)
COUNTING_SCRIPT = """
import gc
import weakref

from mitmproxy import http

from proxy_policies.fast_paths import NO_OBJECTION


class LiveFlows:
    {declared}

    def __init__(self):
        self.flows = weakref.WeakSet()

    def request(self, flow):
        if flow.request.path == "/live-flows":
            gc.collect()
            flow.response = http.Response.make(200, str(len(self.flows)))
        else:
            self.flows.add(flow)


addons = [LiveFlows()]
"""


def read_all(sock: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        while sock.recv(1 << 20):
            pass


def half_close(sock: socket.socket) -> None:
    sock.recv(1000)
    sock.shutdown(socket.SHUT_WR)
    read_all(sock)


def reset(sock: socket.socket) -> None:
    sock.recv(1000)
    reset_when_closed(sock)


def close_in_the_middle(sock: socket.socket) -> None:
    sock.recv(1000)


def close_at_once(sock: socket.socket) -> None:
    """Wait for nothing."""


class SlowOrigin(SocketServer):
    """Sends the second half of a body a moment after the first."""

    cache = ""

    def serve(self, sock: socket.socket) -> None:
        """Answer every request."""
        with contextlib.suppress(ConnectionError):
            while sock.recv(1 << 16):
                head = f"HTTP/1.1 200 OK\r\nCache-Control: {self.cache}\r\nContent-Length: {2 * len(HALF)}\r\n\r\n"
                sock.sendall(head.encode() + HALF)
                time.sleep(0.02)
                sock.sendall(HALF)


@pytest.mark.parametrize("cache", ["no-store", "max-age=600"])
@pytest.mark.parametrize("declared", ["fast_paths = NO_OBJECTION", "pass"], ids=["fast path", "layers"])
def test_a_client_that_has_left_holds_no_flow(
    declared: str, cache: str, mitmdump: Callable[..., Mitmdump], tmp_path: Path
) -> None:
    server, script = SlowOrigin(), tmp_path / "live_flows.py"
    server.cache = cache
    script.write_text(COUNTING_SCRIPT.format(declared=declared))
    proxy, host = mitmdump("-s", str(script)), f"127.0.0.1:{server.port}"
    for leave in (read_all, half_close, reset, close_in_the_middle, close_at_once):
        for number in range(CLIENTS):
            persists = "close" if leave is read_all else "keep-alive"
            target = f"http://{host}/{leave.__name__}/{number}"
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
                sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: {persists}\r\n\r\n".encode())
                leave(sock)
        wait_until(lambda: int(curl("-x", proxy.url, "http://h/live-flows").body) <= 2, what=leave.__name__)
    server.close()
