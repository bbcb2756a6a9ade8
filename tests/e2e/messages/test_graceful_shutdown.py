"""A peer that says GOAWAY, with an error or without, finishes what is under way, and is asked nothing more."""

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
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    connect,
    frame,
    frames,
    head,
)
from tests.support.mitmdump import LANES, Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.socket_server import SocketServer

CODES = {"no error": 0, "an error": 0xB}  # ENHANCE_YOUR_CALM
UNKNOWN = 0x1234
FIELDS = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", b"/")]
POST = [(b":method", b"POST"), *FIELDS[1:]]
REFUSED_STREAM = (0x7).to_bytes(4)
WINDOW = 65_535  # bytes of a response that a client takes unless it says more


class LeavingOrigin(SocketServer):
    """Answers the first request of a connection, and says, once `takes` have come, that it processes no more."""

    def __init__(self, tls: ssl.SSLContext, code: int) -> None:
        tls.set_alpn_protocols(["h2"])
        self.takes = 1
        self.connections = 0
        self._goaway = frame(GOAWAY, (1).to_bytes(4) + code.to_bytes(4))
        super().__init__(tls)

    def serve(self, sock: socket.socket) -> None:
        """Answer until the proxy closes."""
        self.connections += 1
        sock.sendall(frame(SETTINGS) + frame(SETTINGS, flags=1))
        streams = (found.stream for found in frames(sock, len(PREFACE)) if found.kind == HEADERS)
        takes, self.takes = self.takes, 1
        assert len(list(itertools.islice(streams, takes))) == takes
        sock.sendall(self._goaway)
        sock.sendall(head(1, [(b":status", b"200"), (b"cache-control", b"no-store")], ends=False))
        sock.sendall(frame(DATA, b"all of it", flags=END_STREAM, stream=1))
        assert next(streams, None) is None


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_an_origin_that_takes_its_leave(
    mitmdump: Callable[..., Mitmdump], server_tls: ssl.SSLContext, code: int
) -> None:
    server = LeavingOrigin(server_tls, code)
    proxy = mitmdump("--set", "ssl_insecure=true", mode=f"reverse:https://localhost:{server.port}")
    client = H2Client(proxy.port)
    answers = [client.ask(FIELDS) for _ in range(3)]
    client.close()
    assert server.connections == 3
    server.takes = 2  # of which the second is not processed, and sent again
    with connect(proxy.port) as sock:
        sock.sendall(head(1, FIELDS) + head(3, POST))
        ended = (found.stream for found in frames(sock) if found.kind == DATA and found.flags & END_STREAM)
        assert {next(ended), next(ended)} == {1, 3}
    server.close()
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"all of it")] * 3


class RefusingOrigin(SocketServer):
    """Refuses the first request of all, and answers those that come after it."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["h2"])
        self._refuses = iter([True])
        super().__init__(tls)

    def serve(self, sock: socket.socket) -> None:
        """Answer until the proxy closes."""
        sock.sendall(frame(SETTINGS) + frame(SETTINGS, flags=1))
        for found in frames(sock, len(PREFACE)):
            if found.kind == HEADERS and next(self._refuses, False):
                sock.sendall(frame(RST_STREAM, REFUSED_STREAM, stream=found.stream))
            elif found.kind == HEADERS:
                sock.sendall(head(found.stream, [(b":status", b"200")], ends=False))
                sock.sendall(frame(DATA, b"taken up", flags=END_STREAM, stream=found.stream))


def test_a_request_that_an_origin_refuses(mitmdump: Callable[..., Mitmdump], server_tls: ssl.SSLContext) -> None:
    """It was not processed, and may be sent again, whatever its method (RFC 9113, section 8.7)."""
    server = RefusingOrigin(server_tls)
    proxy = mitmdump("--set", "ssl_insecure=true", mode=f"reverse:https://localhost:{server.port}")
    client = H2Client(proxy.port)
    answer = client.ask([*POST, (b"content-length", b"9")], b"an upload")
    client.close()
    server.close()
    assert (answer.status, answer.body) == (200, b"taken up")


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
@pytest.mark.parametrize("lane", LANES)
def test_a_client_that_takes_its_leave(
    mitmdump: Callable[..., Mitmdump], origin: Callable[[], Origin], lane: str, code: int
) -> None:
    server, released = origin(), threading.Event()
    server.route("/", lambda _: Answer(body=iter([b"begun ", (released.wait(60) and b"and ended") or b""])))
    proxy = mitmdump("--set", f"fast_lane={lane}", mode=f"reverse:{server.url}")
    with connect(proxy.port) as sock:
        sock.sendall(head(1, FIELDS) + frame(GOAWAY, bytes(4) + code.to_bytes(4)))
        threading.Timer(1, released.set).start()
        body = b"".join(found.payload for found in frames(sock) if found.kind == DATA)  # to the connection's end
    assert body == b"begun and ended"


@pytest.mark.parametrize("code", [0, UNKNOWN])
def test_what_waits_for_the_window_of_a_client_that_takes_its_leave(
    mitmdump: Callable[..., Mitmdump], origin: Callable[[], Origin], code: int
) -> None:
    server, whole = origin(), bytes(range(256)) * 1024
    server.route("/", Answer(body=whole))
    proxy = mitmdump(mode=f"reverse:{server.url}")
    with connect(proxy.port) as sock:
        sock.sendall(head(1, FIELDS))
        body = b""
        for found in frames(sock):
            body += found.payload if found.kind == DATA else b""
            if found.kind == DATA and len(body) == WINDOW:
                more = len(whole).to_bytes(4)
                sock.sendall(frame(GOAWAY, bytes(4) + code.to_bytes(4)))
                sock.sendall(frame(WINDOW_UPDATE, more) + frame(WINDOW_UPDATE, more, stream=1))
    assert body == whole
