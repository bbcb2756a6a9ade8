"""No connection stays open after both of its peers have left, whatever came first and in whatever moment."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.mitmdump import LANES, Mitmdump
from tests.support.openings import trusting_anyone
from tests.support.socket_server import SocketServer
from tests.support.sockets import reset_when_closed
from tests.support.waiting import free_port, wait_until

SPARE = 4
"""Descriptors that the process may open for itself meanwhile."""


class Origin(SocketServer):
    """Answers CONNECT and GET, and reads everything else, such as TLS, in silence until its end."""

    def serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := sock.recv(1 << 16):
                if data.startswith(b"CONNECT "):
                    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                elif data.startswith(b"GET "):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    session = trusting_anyone().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def openings(port: int) -> Mapping[str, list[tuple[bytes, ...]]]:
    """Return, for each mode, what clients may send first, in pieces between which they wait for an answer."""
    host, hello = b"localhost:%d" % port, client_hello()
    connect = b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host)
    get = b"GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, host)
    greeting, socks = b"\5\1\0", b"\5\1\0\3\x09localhost" + port.to_bytes(2)
    tunnels = [(connect,), *((connect, rest) for rest in (hello, hello[:100], hello[:3], get, b"?"))]
    expecting = get.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    proxied = [(b"",), (get,), (get[:20],), (expecting,), *tunnels]
    direct = (b"", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"GET / HTTP", hello, hello[:100], connect)
    return {
        "regular": proxied,
        "upstream": proxied,
        "reverse": [(first,) for first in direct],
        "socks5": [(b"",), (greeting,), (greeting, socks), (greeting + socks,), (greeting, socks[:7])]
        + [(greeting, socks, rest) for rest in (hello, hello[:100], get, b"?")],
    }


def leave_at_once(sock: socket.socket) -> None:
    """Close without reading."""


def leave_after_an_answer(sock: socket.socket) -> None:
    sock.settimeout(0.05)
    with contextlib.suppress(OSError):
        sock.recv(1 << 16)


def end_half(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)
    leave_after_an_answer(sock)


@pytest.mark.parametrize("inspected", ["*", "nobody.test"])
@pytest.mark.parametrize("lane", LANES)
def test_nothing_stays_open(lane: str, inspected: str, tmp_path: Path) -> None:
    origin = Origin()
    specs = {
        "regular": "regular",
        "upstream": f"upstream:http://127.0.0.1:{origin.port}",
        "reverse": f"reverse:http://127.0.0.1:{origin.port}",
        "socks5": "socks5",
    }
    ports = {mode: free_port() for mode in specs}
    modes = [part for mode, spec in specs.items() for part in ("--mode", f"{spec}@127.0.0.1:{ports[mode]}")]
    arguments = ("--set", f"fast_lane={lane}", "--set", f"inspect_hosts={inspected}", "--set", "ssl_insecure=true")
    proxy = Mitmdump([*modes[2:], *arguments], confdir=tmp_path, mode=modes[1], wait=False)
    for port in ports.values():
        proxy.wait_log(rf"listening at \S*127\.0\.0\.1:{port}\b")

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{proxy.pid}/fd"))

    before = descriptors()
    for mode, sent in openings(origin.port).items():
        for leave in (leave_at_once, leave_after_an_answer, end_half, reset_when_closed):
            for pieces in sent:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ports[mode]), 100) as sock:
                    for piece in pieces[:-1]:
                        sock.sendall(piece)
                        sock.recv(1 << 16)
                    sock.sendall(pieces[-1])
                    leave(sock)
            wait_until(lambda: descriptors() <= before + SPARE, what=f"{mode}, {leave.__name__}")
    proxy.stop()
    assert "Traceback" not in proxy.log()
    origin.close()
