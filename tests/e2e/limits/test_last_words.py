"""A client that is disconnected can read why, however much it is still sending.

A socket that is closed with unread data resets the connection. On some systems, but not on Linux, the client then loses
what it has not read yet (RFC 9112, section 9.6; RFC 9113, section 5.4.1).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests.support import h2_frames
from tests.support.h2_frames import DATA, GOAWAY, PING, frame
from tests.support.mitmdump import LANES, Both, both_modes
from tests.support.origin import Answer, Origin

pytestmark = pytest.mark.timeout(120)

MORE = bytes(6 << 20)
"""What a client goes on sending: more than the kernel keeps for it."""


@pytest.fixture(scope="module", params=LANES)
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    server = Origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=1000")]))
    arguments = ("--set", f"fast_lane={request.param}", "--set", "body_size_limit=1m", "--set", "flow_detail=0")
    running = both_modes(server.url, tmp_path_factory.mktemp("confdir"), *arguments)
    yield running
    running.process.stop()
    server.close()


def said_to(sock: socket.socket, data: bytes) -> bytes:
    """Send everything first, and only then read to the end: a reset at any time is an error."""
    sock.sendall(data)
    said = b""
    while more := sock.recv(65536):
        said += more
    return said


ONE = b"GET / HTTP/1.1\r\nHost: h\r\n"
HTTP1 = {
    "a head that is not valid": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", b"400"),
    "no HTTP": (b"GET /\r\n\r\n", b"400"),
    "a head without an end": (ONE + b"X: ", b"431"),
    "a framing that is broken": (ONE.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
    "a body too large": (ONE.replace(b"GET", b"POST") + b"Content-Length: 6291456\r\n\r\n", b"413"),
    "the last of its requests": (ONE + b"Connection: close\r\n\r\n", b"200"),
    "the last of its requests, answered from the cache": (ONE + b"\r\n" + ONE + b"Connection: close\r\n\r\n", b"200"),
    "an old client's only request": (b"GET / HTTP/1.0\r\n\r\n", b"200"),
}


@pytest.mark.parametrize("kind", HTTP1)
def test_a_status_is_read_by_who_goes_on_sending(proxy: Both, kind: str) -> None:
    request, status = HTTP1[kind]
    with socket.create_connection(("127.0.0.1", proxy.ports["reverse"]), timeout=100) as sock:
        said = said_to(sock, request + MORE)
    assert said.startswith(b"HTTP/1.1 " + status), said[:200]
    assert said.rstrip().endswith((b"</html>", b"hello from the origin")), said[-200:]


@pytest.mark.parametrize("target", ["127.0.0.1:1", "x y:1", "127.0.0.1"])
def test_so_is_a_refused_tunnel(proxy: Both, target: str) -> None:
    with socket.create_connection(("127.0.0.1", proxy.ports["regular"]), timeout=100) as sock:
        said = said_to(sock, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + MORE)
    assert said.startswith((b"HTTP/1.1 502", b"HTTP/1.1 400")), said[:200]


HTTP2 = {
    "data of no stream": (frame(DATA, b"x"), 1),
    "a frame too large": (frame(DATA, bytes(1 << 20), stream=1), 6),
    "a ping of a wrong size": (frame(PING, b"x"), 6),
    "nothing but pings": (frame(PING, bytes(8)) * 20_000, 11),
}


@pytest.mark.parametrize("kind", HTTP2)
def test_so_is_the_reason_why_an_http2_connection_ends(proxy: Both, kind: str) -> None:
    data, code = HTTP2[kind]
    with h2_frames.connect(proxy.ports["reverse"]) as sock:
        sock.sendall(data + MORE)  # as before: a reset is an error
        codes = [int.from_bytes(found.payload[4:8]) for found in h2_frames.frames(sock) if found.kind == GOAWAY]
    assert codes[:1] == [code]
