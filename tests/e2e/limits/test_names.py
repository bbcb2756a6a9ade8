"""Clients that ask for names over TCP, and others that speak first."""

import socket
import struct
from collections.abc import Callable

import pytest
from tests.support.mitmdump import Mitmdump

A, AAAA, IN = 1, 28, 1
RECURSIVE = 0x0100
NAME = b"\x09localhost\x00"


def question(kind: int) -> bytes:
    """Return a question for localhost, with the id of all others."""
    message = struct.pack("!6H", 7, RECURSIVE, 1, 0, 0, 0) + NAME + struct.pack("!2H", kind, IN)
    return len(message).to_bytes(2) + message


def dial(proxy: Mitmdump) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def test_a_question_with_an_id_used_before(mitmdump: Callable[..., Mitmdump]) -> None:
    with dial(mitmdump(mode="dns")) as sock, sock.makefile("rb") as answers:
        for kind in (A, AAAA, A):
            sock.sendall(question(kind))
            answer = answers.read(int.from_bytes(answers.read(2)))
            assert answer[12 : 12 + len(NAME) + 2] == NAME + struct.pack("!H", kind)


def test_one_that_asks_nothing_more(mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump("--set", "head_timeout=0.8", "--set", "keepalive_timeout=1", mode="dns")
    with dial(proxy) as silent, dial(proxy) as begun, dial(proxy) as answered:
        begun.sendall(question(A)[:9])
        answered.sendall(question(A))
        assert answered.recv(100)
        for sock in (silent, begun, answered):
            assert not sock.recv(100)


@pytest.mark.parametrize("scheme", ["tls", "dns"])
def test_one_that_says_nothing_to_a_reverse_proxy(mitmdump: Callable[..., Mitmdump], scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        mode = f"reverse:{scheme}://127.0.0.1:{server.getsockname()[1]}"
        with dial(mitmdump("--set", "keepalive_timeout=1", mode=mode)) as silent:
            assert not silent.recv(100)
