"""What peers say is printed as text: no terminal obeys it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

pytestmark = pytest.mark.timeout(60)

EVIL = "\x1b[2J\x9b2J\x1b]0;title\x07\x7f\u202ereversed".encode("latin-1", "ignore") + "\u202e\u2066".encode()


@pytest.mark.parametrize("lane", ["off", "on"])
def test_nothing_printed_is_obeyed(mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], lane: str) -> None:
    server = origin()
    server.route("/reason", Answer(raw=b"HTTP/1.1 200 " + EVIL + b"\r\nContent-Length: 1\r\n\r\nx"))
    server.route("/c1", Answer(raw=b"HTTP/1.1 200 \x9b2J \xe2\x80\xae\r\nContent-Length: 1\r\n\r\nx"))
    at = f"127.0.0.1:{server.port}".encode()
    proxy = mitmdump("--set", f"fast_lane={lane}")
    for request in (
        b"CONNECT [fe80::1%x" + EVIL + b"]:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x" + EVIL + b":80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://" + at + b"/reason HTTP/1.1\r\nHost: " + at + b"\r\n\r\n",
        b"GET http://" + at + b"/c1 HTTP/1.1\r\nHost: " + at + b"\r\n\r\n",
        b"GET http://" + at + b"/" + EVIL + b" HTTP/1.1\r\nHost: " + at + b"\r\n\r\n",
        b"GET http://fe80::1%" + EVIL + b"/ HTTP/1.1\r\nHost: x" + EVIL + b"\r\n\r\n",
        EVIL + b" / HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock, contextlib.suppress(OSError):
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    proxy.stop()
    log = proxy.log()
    assert "client connect" in log
    assert {char for char in log if ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u202e\u2066"} <= {"\n", "\t"}
