"""Clients that send datagrams: any number of them, each from a port of its own, leaves the proxy its files."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.waiting import wait_until

FILES = 128
PATIENCE = 1.0  # seconds until a datagram that may have been lost is sent again


@pytest.fixture
def echo() -> Iterator[int]:
    """Serve an echo of datagrams, and give its port."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    data, address = server.recvfrom(65536)
                    server.sendto(data, address)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        server.sendto(b"", server.getsockname())
        thread.join(100)


def is_answered(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", port))
        client.send(b"hello")
        with contextlib.suppress(OSError):
            return client.recv(100) == b"hello"
    return False


def test_a_flood_from_many_ports(mitmdump: Callable[..., Mitmdump], echo: int) -> None:
    limited = ("sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh")
    proxy = mitmdump(mode=f"reverse:udp://127.0.0.1:{echo}", around=limited)
    wait_until(lambda: is_answered(proxy.port))
    with contextlib.ExitStack() as stack:
        for _ in range(3 * FILES):
            client = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            client.sendto(b"x", ("127.0.0.1", proxy.port))
        wait_until(lambda: is_answered(proxy.port), 3, "an answer while mitmproxy's 20 s are not over")
    proxy.wait_log("closing connection, for .* no datagram came")
    assert "Traceback" not in proxy.log()
