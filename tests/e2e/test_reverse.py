"""The reverse proxy: persistence and framing as RFC 9112 has them, whatever version the origin speaks."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin


def is_open(sock: socket.socket, timeout: float = 0.5) -> bool:
    """Say whether nothing, not even an end, comes for a while."""
    sock.settimeout(timeout)
    try:
        return bool(sock.recv(1))
    except TimeoutError:
        return True


def read_response(stream: Any) -> tuple[bytes, dict[str, str], bytes]:
    """Read one response by its own framing."""
    status = stream.readline().rstrip()
    fields: dict[str, str] = {}
    while line := stream.readline().rstrip():
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return status, fields, body
    length = fields.get("content-length")
    return status, fields, stream.read(int(length)) if length is not None else stream.read()


@dataclass
class Persistence:
    id: str
    request: bytes
    stays_open: bool
    connection: str | None = None


CASES = [
    Persistence("1.1", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("1.1 close", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", False, "close"),
    Persistence("1.1 CLOSE", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: CLOSE\r\n\r\n", False, "close"),
    Persistence("1.1 list", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: TE, Close\r\nTE: x\r\n\r\n", False, "close"),
    Persistence("1.0", b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", False, "close"),
    Persistence("1.0 Keep-Alive", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True, "keep-alive"),
    Persistence("1.0 keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, "keep-alive"),
    Persistence("1.0 both", b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", False, "close"),
    Persistence("origin speaks 1.0", b"GET /1.0 HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("origin's end of connection", b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("1.0, end unknown", b"GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False, "close"),
    Persistence("HEAD", b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("204", b"GET /204 HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("304", b"GET /304 HTTP/1.1\r\nHost: h\r\n\r\n", True),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    behind = Origin()
    behind.route("/1.0", Answer(version="HTTP/1.0", close=True))
    behind.route("/endless", Answer(raw=b"HTTP/1.0 200 OK\r\n\r\nuntil the end", version="HTTP/1.0"))
    behind.route("/chunked", Answer(body=[b"one ", b"two ", b"three"]))
    behind.route("/closes", Answer(headers=[("Connection", "close")], close=True))
    behind.route("/204", Answer(status=204, body=b""))
    behind.route("/304", Answer(status=304, body=b""))
    proxy = Mitmdump([], mode=f"reverse:{behind.url}", confdir=tmp_path_factory.mktemp("confdir"))
    yield proxy
    proxy.stop()
    behind.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_persistence_follows_the_request_alone(shared: Mitmdump, case: Persistence) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as sock:
        stream = sock.makefile("rb")
        sock.sendall(case.request)
        bodyless = case.request.startswith(b"HEAD") or b"/204" in case.request or b"/304" in case.request
        if bodyless:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += stream.readline()
            assert head.startswith(b"HTTP/1.1 ")
        else:
            status, fields, body = read_response(stream)
            assert status.startswith(b"HTTP/1.1 200")
            assert fields.get("connection") == case.connection
            assert body
        assert is_open(sock) is case.stays_open
        if case.stays_open:
            sock.settimeout(10)
            sock.sendall(case.request)
            assert stream.readline().startswith(b"HTTP/1.1 ")
