"""Connections to origins that one client leaves and the next one uses, and those that must not be."""

import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.raw_origin import talk
from tests.support.socket_server import SocketServer
from tests.support.waiting import wait_until

PAGE = "GET http://{host}/page HTTP/1.1\r\nHost: {host}\r\n\r\n"
PERSONAL = {
    "an upload": "POST http://{host}/page HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\nx",
    "another method": "OPTIONS http://{host}/page HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "credentials": "GET http://{host}/page HTTP/1.1\r\nHost: {host}\r\nAuthorization: NTLM TlRM\r\n\r\n",
}
JUNK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\njunk"


class Origin(SocketServer):
    """Answers each request with the number of its connection."""

    def __init__(self) -> None:
        self.sends_junk = self.ends = False
        """After a response that is complete, and does not announce it."""
        self.done = threading.Event()
        self._numbers = iter(range(10**6))
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        number, received = next(self._numbers), b""
        while data := sock.recv(65536):
            received += data
            if b"\r\n\r\n" not in received or (b"Content-Length: 1" in received and not received.endswith(b"x")):
                continue
            received = b""
            text = b"connection %d" % number
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
            if self.ends:
                return
            if self.sends_junk and self.done.wait(60):
                sock.sendall(JUNK)
                self.sends_junk = False


@pytest.fixture
def origin() -> Iterator[Origin]:
    running = Origin()
    yield running
    running.done.set()
    running.close()


@pytest.fixture
def proxy(mitmdump: Callable[..., Mitmdump]) -> Iterator[Mitmdump]:
    running = mitmdump("--set", "cache=off")
    yield running
    assert running.counts()["handed over"] == 0


def connection(proxy: Mitmdump, origin: Origin, request: str = PAGE) -> int:
    """Send a request as a new client; return the number of the origin's connection."""
    answer = talk(proxy.port, request.format(host=f"127.0.0.1:{origin.port}").encode())
    match = re.search(rb"\r\n\r\nconnection (\d+)$", answer)
    assert match, answer
    return int(match[1])


def test_clients_in_turn_share_a_connection(proxy: Mitmdump, origin: Origin) -> None:
    def is_shared() -> bool:
        return connection(proxy, origin) == connection(proxy, origin)  # unless the first was closed in between

    wait_until(is_shared, 60, "a second request on a connection")


@pytest.mark.parametrize("personal", PERSONAL.values(), ids=PERSONAL)
def test_connections_are_not_shared_for(proxy: Mitmdump, origin: Origin, personal: str) -> None:
    numbers = [(connection(proxy, origin, request), request is personal) for request in (PAGE, personal) * 10]
    of_pages = {number for number, is_personal in numbers if not is_personal}
    of_personal = [number for number, is_personal in numbers if is_personal]
    assert len(set(of_personal)) == 10, "one of its own for each client"
    assert of_pages.isdisjoint(of_personal)


def test_an_unrequested_response_reaches_no_client(proxy: Mitmdump, origin: Origin) -> None:
    origin.sends_junk = True
    first = connection(proxy, origin)
    origin.done.set()
    wait_until(lambda: not origin.sends_junk, 20, "the junk is sent")
    assert connection(proxy, origin) != first


def test_an_origin_that_has_ended_meanwhile(proxy: Mitmdump, origin: Origin) -> None:
    origin.ends = True
    assert len({connection(proxy, origin) for _ in range(10)}) == 10
