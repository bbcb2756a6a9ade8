"""A stream whose data is not read delays no other on its connection, and fills no memory (RFC 9113, 5.2)."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import h2.config
import h2.connection
import h2.events
import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect, trusting_anyone
from tests.support.socket_server import SocketServer
from tests.support.waiting import wait_until

SIZE = 20 << 20
PIECE = bytes(range(256)) * 64
MOST = 10 << 20
"""Bytes of an unread body that may be in transit: a stream's window, and the sockets' buffers."""


class Http2:
    """One end of an HTTP/2 connection, which sends bodies as the windows of its peer allow."""

    def __init__(self, sock: socket.socket, is_client: bool) -> None:
        config = h2.config.H2Configuration(client_side=is_client, header_encoding=None)
        self.sock, self.h2 = sock, h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.left: dict[int, int] = {}
        """By stream: bytes of its body that are not sent yet."""
        self.came: dict[int, int] = {}
        self.ended: set[int] = set()
        self.flush()

    def flush(self) -> None:
        """Send what the windows allow."""
        for stream, left in list(self.left.items()):
            while left and (room := min(self.h2.local_flow_control_window(stream), len(PIECE))):
                self.h2.send_data(stream, PIECE[: min(room, left)], end_stream=left <= room)
                left -= min(room, left)
            self.left[stream] = left
        self.sock.sendall(self.h2.data_to_send())

    def hear(self) -> Iterator[h2.events.Event]:
        """Read once, and give what the peer says; OSError at its end."""
        if not (data := self.sock.recv(65536)):
            raise ConnectionAbortedError
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.came[event.stream_id] = self.came.get(event.stream_id, 0) + len(event.data)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            yield event

    def take(self, stream: int) -> None:
        """Open all windows of a stream."""
        self.h2.increment_flow_control_window(SIZE)
        self.h2.increment_flow_control_window(SIZE, stream)
        self.flush()

    def until(self, over: Callable[[], bool]) -> None:
        """Exchange bytes until something is so; OSError if the connection ends before."""
        while not over():
            list(self.hear())
            self.flush()


class Origin(SocketServer):
    """Has a large body at /large, and reads nothing of an upload to /upload until /take is requested."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.sent = SIZE
        self.may_take = threading.Event()
        self.taken = 0
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        super().__init__(tls)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # of what it accepts from now on

    def serve(self, sock: socket.socket) -> None:
        """Answer until the proxy leaves."""
        if isinstance(sock, ssl.SSLSocket):
            self._serve_h2(Http2(sock, is_client=False))
        else:
            self._serve_h1(sock)

    def _serve_h2(self, end: Http2) -> None:
        while True:
            for event in list(end.hear()):
                if isinstance(event, h2.events.RequestReceived):
                    path = next(value for name, value in event.headers if name == b":path")
                    self._answer(end, event.stream_id or 0, bytes(path))
            end.flush()
            self.sent = SIZE - max(end.left.values(), default=0)
            self.taken = max([self.taken, *end.came.values()])

    def _answer(self, end: Http2, stream: int, path: bytes) -> None:
        if path == b"/take":
            end.take(1)
        end.h2.send_headers(stream, [(":status", "200"), ("cache-control", "no-store")])
        end.left[stream] = SIZE if path == b"/large" else 5

    def _serve_h1(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as received:
            while line := received.readline():
                while received.readline().strip():
                    pass
                if b"/take" in line:
                    self.may_take.set()
                if b"/upload" in line:
                    self.may_take.wait(100)
                    while size := int(received.readline() or b"0", 16):
                        self.taken += len(received.read(size))
                        received.readline()
                    received.readline()
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall")


@pytest.fixture(params=["http/1.1", "h2", "h2 behind a proxy"])
def server(request: pytest.FixtureRequest, server_tls: ssl.SSLContext) -> Iterator[Origin]:
    running = Origin(None if request.param == "http/1.1" else server_tls)
    yield running
    running.may_take.set()
    running.close()


@pytest.fixture
def client(mitmdump: Callable[..., Mitmdump], server: Origin, request: pytest.FixtureRequest) -> Iterator[Http2]:
    way = request.node.callspec.params["server"]
    target = f"localhost:{server.port}"
    options = ("--set", "ssl_insecure=true", "--set", "inspect_hosts=*")
    if way == "h2 behind a proxy":
        proxy = mitmdump(*options, mode=f"upstream:{mitmdump().url}")
    else:
        proxy = mitmdump(*options, mode=f"reverse:{'https' if way == 'h2' else 'http'}://{target}")
    tls = trusting_anyone()
    tls.set_alpn_protocols(["h2"])
    sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=60)
    if way == "h2 behind a proxy":
        connect(sock, target)
    with tls.wrap_socket(sock, server_hostname="localhost") as secure:
        yield Http2(secure, is_client=True)


def ask(client: Http2, stream: int, path: str, body: int = 0) -> None:
    method = "POST" if body else "GET"
    fields = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
    client.h2.send_headers(stream, fields, end_stream=not body)
    if body:
        client.left[stream] = body
    client.flush()


@pytest.mark.parametrize("server", ["h2", "h2 behind a proxy"], indirect=True)
def test_an_unread_download(client: Http2, server: Origin) -> None:
    ask(client, 1, "/large")
    client.until(lambda: client.came.get(1) == 65_535)  # all that HTTP/2 allows by itself
    client.h2.increment_flow_control_window(65_535)  # of the connection
    for stream in range(3, 13, 2):
        ask(client, stream, "/small")
        client.until(lambda: stream in client.ended)  # noqa: B023 -- over before the next
    assert server.sent < MOST, "more was read than is taken"
    client.take(1)
    client.until(lambda: 1 in client.ended)
    assert client.came[1] == SIZE


def test_an_upload_that_no_origin_takes(client: Http2, server: Origin) -> None:
    ask(client, 1, "/upload", SIZE)
    for stream in range(3, 13, 2):
        ask(client, stream, "/small")
        client.until(lambda: stream in client.ended)  # noqa: B023 -- over before the next
    assert SIZE - client.left[1] < MOST, "more was read than is taken"
    ask(client, 13, "/take")
    client.until(lambda: not client.left[1] and 1 in client.ended)
    wait_until(lambda: server.taken == SIZE, 60)
