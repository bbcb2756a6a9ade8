"""How much one client address may have at once, in every lane."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.pipelining import read_responses
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(100)

Start = Callable[..., Mitmdump]
GET = b"GET /cached HTTP/1.1\r\nHost: example.test\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: example.test\r\n\r\n"


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def server(origin: Callable[..., Origin], released: threading.Event) -> Origin:
    def slow(_: Received) -> Answer:
        released.wait(100)
        return Answer(body=b"at last")

    running = origin()
    running.route("/cached", Answer(headers=[("Cache-Control", "max-age=1000")]))
    running.route("/slow", slow)
    return running


def is_served(port: int, source: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=100, source_address=(source, 0)) as sock:
            sock.sendall(GET)
            return read_responses(sock, 1)[0].startswith(b"HTTP/1.1 200")
    except (AssertionError, ConnectionError):
        return False


@pytest.mark.parametrize("lane", ["off", "on"])
def test_connections_of_an_address(mitmdump: Start, server: Origin, lane: str) -> None:
    """Idle ones count; others are served; who leaves makes room; one line says how many were refused."""
    proxy = mitmdump("--set", "client_connections=10", "--set", f"fast_lane={lane}", mode=f"reverse:{server.url}")
    with ExitStack() as stack:
        for _ in range(10):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=100))
            sock.sendall(GET)
            assert read_responses(sock, 1)
        assert [is_served(proxy.port) for _ in range(5)] == [False] * 5
        assert is_served(proxy.port, "127.0.0.2")
    wait_until(lambda: is_served(proxy.port))
    assert proxy.log().count("refused, it has 10 connections") == 1


@pytest.mark.parametrize("lane", ["off", "on"])
def test_requests_in_flight_of_an_address(
    mitmdump: Start, server: Origin, released: threading.Event, lane: str
) -> None:
    options = ("client_requests=3", f"fast_lane={lane}", "cache=off")  # or three equal ones would be one upstream
    proxy = mitmdump(*(part for option in options for part in ("--set", option)), mode=f"reverse:{server.url}")
    with ExitStack() as stack:
        asking = [
            stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=100)) for _ in range(4)
        ]
        for sock in asking[:3]:
            sock.sendall(SLOW)
        wait_until(lambda: len(server.requests) == 3)
        asking[3].sendall(GET)
        refused = read_responses(asking[3], 1)[0]
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nRetry-After: " in refused
        assert is_served(proxy.port, "127.0.0.2")
        released.set()
        for sock in asking[:3]:
            assert read_responses(sock, 1)[0].endswith(b"at last")
        asking[3].sendall(GET)
        assert read_responses(asking[3], 1)[0].startswith(b"HTTP/1.1 200")


def test_the_real_client_counts(mitmdump: Start, server: Origin) -> None:
    limits = ("--set", "client_connections=2", "--set", "proxy_protocol=127.0.0.0/8")
    proxy = mitmdump(*limits, mode=f"reverse:{server.url}")

    def ask(stack: ExitStack, address: str) -> bool:
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=100))
        sock.sendall(f"PROXY TCP4 {address} 192.0.2.1 {sock.getsockname()[1]} 80\r\n".encode() + GET)
        try:
            return bool(read_responses(sock, 1))
        except (AssertionError, ConnectionError):
            return False

    with ExitStack() as stack:
        assert [ask(stack, "192.0.2.7") for _ in range(3)] == [True, True, False]
        assert ask(stack, "192.0.2.8")
