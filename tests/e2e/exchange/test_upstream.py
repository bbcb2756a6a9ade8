"""What is sent to an origin, and what of its responses is taken."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

CHANGING = """
class Changing:
    fast_paths = {"exchanges"}
    def request(self, flow):
        if "old" in flow.request.path:
            flow.request.http_version = "HTTP/1.0"
        if "chunked" in flow.request.path:
            flow.request.headers["Transfer-Encoding"] = "chunked"
        if "longer" in flow.request.path:
            flow.request.content = b"a longer body"
        if "tls" in flow.request.path:
            flow.request.scheme = "https"
addons = [Changing()]
"""
Start = Callable[..., Mitmdump]


@pytest.fixture
def server(origin: Callable[[], Origin]) -> Origin:
    running = origin()
    running.route("", lambda received: Answer(body=received.body + b"."))
    return running


@pytest.fixture
def proxy(mitmdump: Start, server: Origin, tmp_path: Path) -> Mitmdump:
    script = tmp_path / "changing.py"
    script.write_text(CHANGING)
    return mitmdump("-s", str(script), mode=f"reverse:{server.url}")


def post(proxy: Mitmdump, path: str, body: bytes = b"body") -> bytes:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize(
    ("path", "body"), [("/", b"body"), ("/old", b"body"), ("/chunked", b"body"), ("/longer", b"a longer body")]
)
def test_a_request_is_framed_as_it_is_sent(proxy: Mitmdump, server: Origin, path: str, body: bytes) -> None:
    assert post(proxy, path).endswith(body + b".")
    (received,) = server.requests
    assert received.body == body


def test_a_body_larger_than_any_buffer(proxy: Mitmdump) -> None:
    body = bytes(range(256)) * 4000  # 1 MB
    assert post(proxy, "/", body).endswith(body + b".")


def test_tls_to_the_origin_is_not_for_this_way(proxy: Mitmdump, server: Origin) -> None:
    assert post(proxy, "/tls").startswith(b"HTTP/1.1 502 ")
    assert not server.requests


def test_an_origin_that_says_too_much(proxy: Mitmdump, server: Origin) -> None:
    """Data after a response belongs to no request: the connection is not used again."""
    server.route("/more", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\n\r\nforged"))
    assert post(proxy, "/more").endswith(b"\r\n\r\n1")
    assert post(proxy, "/").endswith(b"body.")


SIZES = [(2 << 20) + (number << 15) for number in range(128)]
"""Bytes of bodies, of which some end while the client's share of what is kept for it is full."""


def test_the_last_of_a_body_comes_while_a_client_takes_its_time(mitmdump: Start, server: Origin) -> None:
    server.route("/size/", lambda received: Answer(body=bytes(int(received.target.rpartition("/")[2]))))
    proxy = mitmdump(mode=f"reverse:{server.url}")

    def fetch(size: int) -> int:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(60)
            sock.connect(("127.0.0.1", proxy.port))
            sock.sendall(f"GET /size/{size} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            time.sleep(0.3)
            head, _, body = sock.recv(1000).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            taken = len(body)
            while taken < size and (data := sock.recv(1 << 20)):
                taken += len(data)
            return taken

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(fetch, SIZES)) == SIZES
