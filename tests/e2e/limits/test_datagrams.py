"""Clients that send datagrams: any number of them leaves the proxy its files, and each is answered whenever it asks."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

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
    with dial(port) as client:
        return has_echo(client, b"hello")


def dial(port: int) -> socket.socket:
    client = socket.socket(type=socket.SOCK_DGRAM)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", port))
    return client


def has_echo(client: socket.socket, data: bytes) -> bool:
    client.send(data)
    with contextlib.suppress(OSError):
        return client.recv(100) == data
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
    proxy.wait_log("closing connection: no datagram for ")
    assert "Traceback" not in proxy.log()


REFUSING = """
def client_connected(client):
    client.error = "refused"
"""


def test_a_refused_client_is_refused_once_a_datagram(
    mitmdump: Callable[..., Mitmdump], echo: int, tmp_path: Path
) -> None:
    script = tmp_path / "refusing.py"
    script.write_text(REFUSING)
    proxy = mitmdump("-s", str(script), mode=f"reverse:udp://127.0.0.1:{echo}")
    with dial(proxy.port) as client:
        for sent in range(1, 4):
            assert not has_echo(client, b"let me in")  # for a second
            assert proxy.log().count("client connect") <= sent + 1


def test_an_empty_datagram_is_passed_on_and_ends_nothing(mitmdump: Callable[..., Mitmdump], echo: int) -> None:
    proxy = mitmdump(mode=f"reverse:udp://127.0.0.1:{echo}")
    with dial(proxy.port) as client:
        for data in (b"one", b"", b"two"):
            wait_until(lambda data=data: has_echo(client, data))  # type: ignore[misc]
    assert proxy.log().count("client connect") == 1


def test_who_comes_again_after_a_session_is_served_again(mitmdump: Callable[..., Mitmdump]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    proxy = mitmdump(mode=f"reverse:udp://127.0.0.1:{port}")
    with dial(proxy.port) as client, socket.socket(type=socket.SOCK_DGRAM) as server:
        client.send(b"is anybody there?")
        proxy.wait_log("client disconnect")
        server.bind(("127.0.0.1", port))
        server.settimeout(PATIENCE)

        def is_heard() -> bool:
            client.send(b"again")
            with contextlib.suppress(OSError):
                return server.recv(100) == b"again"
            return False

        wait_until(is_heard)
