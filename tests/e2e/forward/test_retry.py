"""A kept-alive upstream connection that died while idle costs no client an answer."""

import http.client
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump
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
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=15)
    client.request("GET", "/first")
    assert client.getresponse().read() == b"ok"
    client.request(method, "/second")
    answer = client.getresponse()
    answer.read()
    assert answer.status == status
    assert len(origin_that_hangs_up.requests) == sent
    client.close()
