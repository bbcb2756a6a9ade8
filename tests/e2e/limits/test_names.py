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


BAD_NAMES = {
    "a dot in a label": b"\x02a.\x04test\x00",
    "a pointer to the end of a name": b"\x01a\xc0\x04",
    "a chain of pointers": bytes.fromhex("c012")
    + b"\0\1\0\1"
    + b"".join((0xC000 | at + 2).to_bytes(2) for at in range(0x12, 0x12 + 6000, 2))
    + b"\0",
}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_message_that_cannot_be_read(mitmdump: Callable[..., Mitmdump], transport: str) -> None:
    """Its connection is closed, or nothing is answered; the next question has its answer."""
    proxy = mitmdump(mode="dns")
    for name in BAD_NAMES.values():
        message = struct.pack("!6H", 7, RECURSIVE, 1, 0, 0, 0) + name + struct.pack("!2H", A, IN)
        if transport == "tcp":
            with dial(proxy) as sock:
                sock.sendall(len(message).to_bytes(2) + message)
                assert not sock.recv(100)
        else:
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.settimeout(60)
                sock.sendto(message, ("127.0.0.1", proxy.port))
                proxy.wait_log(rf"127\.0\.0\.1:{sock.getsockname()[1]}\] client disconnect")
                sock.sendto(question(A)[2:], ("127.0.0.1", proxy.port))
                assert sock.recv(100)
    assert "Traceback" not in proxy.log()


def test_a_name_of_idna_2008(mitmdump: Callable[..., Mitmdump]) -> None:
    """faß.de, which IDNA 2003 maps to fass.de."""
    message = struct.pack("!6H", 7, RECURSIVE, 1, 0, 0, 0) + b"\x0axn--fa-hia\x02de\x00" + struct.pack("!2H", A, IN)
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        proxy = mitmdump(mode=f"reverse:dns://127.0.0.1:{server.getsockname()[1]}")
        server.settimeout(60)
        client.sendto(message, ("127.0.0.1", proxy.port))
        assert server.recv(1000) == message
