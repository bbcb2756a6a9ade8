"""A peer that says GOAWAY without an error finishes what is under way, and is asked nothing more."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections.abc import Callable

import pytest
from tests.support.h2_client import H2Client
from tests.support.h2_frames import (
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    SETTINGS,
    connect,
    frame,
    frames,
    head,
)
from tests.support.mitmdump import LANES, Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.socket_server import SocketServer

NO_ERROR = bytes(4)
FIELDS = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", b"/")]


class LeavingOrigin(SocketServer):
    """Answers the first request of a connection, and says, once `takes` have come, that it processes no more."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["h2"])
        self.takes = 1
        self.connections = 0
        super().__init__(tls)

    def serve(self, sock: socket.socket) -> None:
        """Answer until the proxy closes."""
        self.connections += 1
        sock.sendall(frame(SETTINGS) + frame(SETTINGS, flags=1))
        streams = (found.stream for found in frames(sock, len(PREFACE)) if found.kind == HEADERS)
        takes, self.takes = self.takes, 1
        taken = list(itertools.islice(streams, takes))
        sock.sendall(frame(GOAWAY, taken[0].to_bytes(4) + NO_ERROR))
        sock.sendall(head(1, [(b":status", b"200"), (b"cache-control", b"no-store")], ends=False))
        sock.sendall(frame(DATA, b"all of it", flags=END_STREAM, stream=1))
        assert next(streams, None) is None


def test_an_origin_that_takes_its_leave(mitmdump: Callable[..., Mitmdump], server_tls: ssl.SSLContext) -> None:
    server = LeavingOrigin(server_tls)
    proxy = mitmdump("--set", "ssl_insecure=true", mode=f"reverse:https://localhost:{server.port}")
    client = H2Client(proxy.port)
    answers = [client.ask(FIELDS) for _ in range(3)]
    client.close()
    assert server.connections == 3
    server.takes = 2  # of which the second is not processed, and sent again
    with connect(proxy.port) as sock:
        sock.sendall(head(1, FIELDS) + head(3, FIELDS))
        ended = (found.stream for found in frames(sock) if found.kind == DATA and found.flags & END_STREAM)
        assert {next(ended), next(ended)} == {1, 3}
    server.close()
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"all of it")] * 3


@pytest.mark.parametrize("lane", LANES)
def test_a_client_that_takes_its_leave(
    mitmdump: Callable[..., Mitmdump], origin: Callable[[], Origin], lane: str
) -> None:
    server, released = origin(), threading.Event()
    server.route("/", lambda _: Answer(body=iter([b"begun ", (released.wait(60) and b"and ended") or b""])))
    proxy = mitmdump("--set", f"fast_lane={lane}", mode=f"reverse:{server.url}")
    with connect(proxy.port) as sock:
        sock.sendall(head(1, FIELDS) + frame(GOAWAY, bytes(4) + NO_ERROR))
        threading.Timer(1, released.set).start()
        body = b"".join(found.payload for found in frames(sock) if found.kind == DATA)  # to the connection's end
    assert body == b"begun and ended"
