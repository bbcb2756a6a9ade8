"""Upstreams that accept a connection and say nothing: their clients are answered."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.socket_server import SocketServer
from tests.support.waiting import free_port


class Silent(SocketServer):
    """Reads and says nothing."""

    connections = 0

    def serve(self, sock: socket.socket) -> None:
        """Read until the end."""
        self.connections += 1
        while sock.recv(65536):
            pass


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


@pytest.mark.parametrize("lane", ["off", "on"])
def test_one_that_says_nothing_in_its_tls_handshake(
    mitmdump: Callable[..., Mitmdump], silent: Silent, curl: Any, lane: str
) -> None:
    reverse, regular, target = free_port(), free_port(), f"127.0.0.1:{silent.port}"
    modes = ("--mode", f"reverse:https://{target}@{reverse}", "--mode", f"regular@{regular}")
    options = ("--set", "connect_timeout=1s", "--set", f"fast_lane={lane}", "--set", "inspect_hosts=*")
    proxy = mitmdump(*modes, *options, mode=f"upstream:https://{target}")
    for port in (reverse, regular):
        proxy.wait_log(rf"listening at \S*:{port}\b")
    ways = [
        (f"http://127.0.0.1:{reverse}/",),
        ("-kx", f"http://127.0.0.1:{regular}", f"https://{target}/"),
        ("-kx", f"http://127.0.0.1:{regular}", "--http1.1", f"https://{target}/"),
        ("-x", proxy.url, "http://example.test/"),
        ("-x", proxy.url, "-p", "http://example.test/"),
    ]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda way: curl(*way), ways))
    assert [result.heads[-1].split()[1] for result in results] == ["502"] * len(ways)
    assert all(b"TLS handshake timed out" in result.body for result in results[:4])
    assert silent.connections == len(ways), "a client waited for a second attempt"
