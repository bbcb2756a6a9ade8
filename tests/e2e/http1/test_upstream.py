"""What is sent to an origin, and what of its responses is taken."""

from __future__ import annotations

import socket
from collections.abc import Callable
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
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as sock:
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
    """What follows a response is nobody's: the connection is not used again."""
    server.route("/more", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\n\r\nforged"))
    assert post(proxy, "/more").endswith(b"\r\n\r\n1")
    assert post(proxy, "/").endswith(b"body.")
