"""A kept-alive upstream connection that died while idle costs no client an answer."""

import http.client
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import LANES, Mitmdump
from tests.support.raw_origin import talk
from tests.support.socket_server import SocketServer

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class OneAnswerEach(SocketServer):
    """Answers the first request of a connection, keeps it open, and hangs up on the second without a word."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        """Answer one request."""
        self.requests.append(sock.recv(65536))
        sock.sendall(ANSWER)
        if second := sock.recv(65536):
            self.requests.append(second)


@pytest.fixture
def origin_that_hangs_up() -> Iterator[OneAnswerEach]:
    origin = OneAnswerEach()
    yield origin
    origin.close()


@pytest.mark.parametrize(("method", "status", "sent"), [("GET", 200, 3), ("DELETE", 200, 3), ("POST", 502, 2)])
def test_only_what_is_idempotent_is_sent_again(
    mitmdump: Callable[..., Mitmdump], origin_that_hangs_up: OneAnswerEach, method: str, status: int, sent: int
) -> None:
    proxy = mitmdump("--set", "cache=off", mode=f"reverse:http://127.0.0.1:{origin_that_hangs_up.port}")
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=100)
    client.request("GET", "/first")
    assert client.getresponse().read() == b"ok"
    client.request(method, "/second")
    answer = client.getresponse()
    answer.read()
    assert answer.status == status
    assert len(origin_that_hangs_up.requests) == sent
    client.close()


class InterimAndEnd(SocketServer):
    """Answers the first request of a connection, and the second with an interim response, and hangs up."""

    asked = 0

    def serve(self, sock: socket.socket) -> None:
        """Answer two requests."""
        for answer in (ANSWER, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"):
            if sock.recv(65536):
                self.asked += 1
                sock.sendall(answer)


@pytest.mark.parametrize("fast_lane", LANES)
def test_what_was_answered_in_part_is_not_sent_again(mitmdump: Callable[..., Mitmdump], fast_lane: str) -> None:
    """The connection had not died: the client would receive the hint twice."""
    server = InterimAndEnd()
    options = ("--set", "cache=off", "--set", f"fast_lane={fast_lane}")
    proxy = mitmdump(*options, mode=f"reverse:http://127.0.0.1:{server.port}")
    said = talk(proxy.port, *[b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"] * 2)
    assert (said.count(b" 103 "), said.count(b"HTTP/1.1 502 "), server.asked) == (1, 1, 2)
    server.close()
