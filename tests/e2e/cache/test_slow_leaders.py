"""A client that stops reading does not delay others that want the same response, in HTTP/2 and with `fast_lane=off`.

`test_collapsing.py` has the same for HTTP/1.1 on the fast path.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import h2.config
import h2.connection
import h2.events
import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect, trusting_anyone
from tests.support.socket_server import SocketServer
from tests.support.waiting import wait_until

BODY = os.urandom(1_000_000) * 24
"""More than is held in memory, and more than sockets hold."""
FIRST = 100_000
"""Bytes that the origin sends before the followers have come."""
HEAD = [("Cache-Control", "max-age=60"), ("Content-Type", "application/octet-stream"), ("Content-Length", "24000000")]
WIDE = 100 << 20
PATIENCE = 30.0


class Way(NamedTuple):
    """How clients reach the origin."""

    lane: str
    protocol: str
    """The leader's."""
    mode: str
    window: int = 0
    """The leader's HTTP/2 windows; 0: as small as HTTP/2 has them."""
    is_late: bool = False
    """The followers come when the leader has held up its origin already."""


WAYS = {
    "1.1": Way("off", "http/1.1", "plain"),
    "2": Way("on", "h2", "reverse"),
    "2 wide": Way("off", "h2", "reverse", WIDE, is_late=True),
    "2 wide inspected": Way("on", "h2", "inspected", WIDE, is_late=True),
}


class SlowOrigin(SocketServer):
    """Sends the beginning, and the rest when it may; over TLS in HTTP/2, all at once."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.requests = 0
        self.may_go_on = threading.Event()
        if tls is not None:
            tls.set_alpn_protocols(["h2", "http/1.1"])
        super().__init__(tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def serve(self, sock: socket.socket) -> None:
        """Answer one request."""
        if isinstance(sock, ssl.SSLSocket) and sock.selected_alpn_protocol() == "h2":
            self._serve_h2(sock)
        elif sock.recv(65536):
            self.requests += 1
            lines = "".join(f"{name}: {value}\r\n" for name, value in HEAD)
            sock.sendall(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + BODY[:FIRST])
            assert self.may_go_on.wait(PATIENCE)
            sock.sendall(memoryview(BODY)[FIRST:])

    def _serve_h2(self, sock: socket.socket) -> None:
        end, sent = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False)), 0
        end.initiate_connection()
        sock.sendall(end.data_to_send())
        while data := sock.recv(65536):
            for event in end.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.requests += 1
                    end.send_headers(1, [(":status", "200"), *HEAD])
            while self.requests and sent < len(BODY) and (size := min(end.local_flow_control_window(1), 16384)):
                end.send_data(1, BODY[sent : sent + size], end_stream=sent + size >= len(BODY))
                sent += size
            sock.sendall(end.data_to_send())


class Proxied:
    """An origin behind a proxy."""

    def __init__(self, proxy: Mitmdump, origin: SlowOrigin, way: Way) -> None:
        self._proxy, self._origin, self._way = proxy, origin, way

    def open(self, *protocols: str, size: int | None = None) -> socket.socket:
        """Connect a client that is about to send requests; `size` is what its socket holds."""
        sock = socket.socket()
        if size is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", self._proxy.port))
        if self._way.mode == "plain":
            return sock
        if self._way.mode == "inspected":
            connect(sock, f"127.0.0.1:{self._origin.port}")
        tls = trusting_anyone()
        tls.set_alpn_protocols(list(protocols))
        return tls.wrap_socket(sock, server_hostname="localhost")

    @property
    def target(self) -> str:
        """The request target of HTTP/1."""
        return f"{self._origin.url}/" if self._way.mode == "plain" else "/"


class Follower:
    """A client that reads all it gets."""

    def __init__(self, proxied: Proxied) -> None:
        self.received = bytearray()
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = proxied.open("http/1.1")
        self._connection.request("GET", proxied.target)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        response = self._connection.getresponse()
        while data := response.read1(1 << 20):
            self.received += data

    def end(self) -> bytes:
        """Return the body once it is over."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return bytes(self.received)


class Leader:
    """A client that reads nothing after the beginning, until it is told to."""

    def __init__(self, proxied: Proxied, way: Way) -> None:
        self._socket = proxied.open(way.protocol, size=4096)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._is_h2 = way.protocol == "h2"
        if self._is_h2:
            self._h2.initiate_connection()
            self._h2.send_headers(
                1, [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")], True
            )
            self._widen(way.window)
        else:
            self._socket.sendall(f"GET {proxied.target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def _widen(self, window: int) -> None:
        if window:
            self._h2.increment_flow_control_window(window)
            self._h2.increment_flow_control_window(window, 1)
        self._socket.sendall(self._h2.data_to_send())

    def end(self) -> bytes:
        """Read on, and return the body."""
        return self._read_h2() if self._is_h2 else self._read_h1()

    def _read_h1(self) -> bytes:
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response.read()

    def _read_h2(self) -> bytes:
        self._widen(WIDE)
        body, is_over = bytearray(), False
        while not is_over:
            for event in self._h2.receive_data(self._socket.recv(1 << 20)):
                assert not isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated)
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                is_over = is_over or isinstance(event, h2.events.StreamEnded)
        return bytes(body)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def server(way: Way, server_tls: ssl.SSLContext) -> Iterator[SlowOrigin]:
    server = SlowOrigin(server_tls if way.mode == "inspected" else None)
    yield server
    server.may_go_on.set()
    server.close()


@pytest.fixture
def proxied(way: Way, server: SlowOrigin, mitmdump: Callable[..., Mitmdump]) -> Proxied:
    options = ["encode=off", "cache_max_object=256m", "send_timeout=0", f"fast_lane={way.lane}"]
    options += ["ssl_insecure=true", "inspect_hosts=*"] if way.mode == "inspected" else []
    settings = [word for option in options for word in ("--set", option)]
    return Proxied(
        mitmdump(*settings, mode=f"reverse:{server.url}" if way.mode == "reverse" else "regular"), server, way
    )


def test_a_leader_that_does_not_read_holds_up_no_follower(way: Way, server: SlowOrigin, proxied: Proxied) -> None:
    leader = Leader(proxied, way)
    wait_until(lambda: server.requests)
    if way.is_late:
        server.may_go_on.set()
        time.sleep(0.5)  # too short a time can only hide a failure, never make one
    followers = [Follower(proxied) for _ in range(2)]
    wait_until(lambda: all(len(it.received) >= FIRST for it in followers))
    server.may_go_on.set()
    assert [it.end() == BODY for it in followers] == [True, True]
    assert leader.end() == BODY
    assert server.requests == 1
