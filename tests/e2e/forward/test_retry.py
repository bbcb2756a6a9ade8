"""A kept-alive upstream connection that died while idle costs no client an answer."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class OneAnswerEach:
    """Answers the first request of a connection, keeps it open, and hangs up on the second without a word."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self.requests.append(connection.recv(65536))
            connection.sendall(ANSWER)
            if second := connection.recv(65536):
                self.requests.append(second)


@pytest.fixture
def origin_that_hangs_up() -> Iterator[OneAnswerEach]:
    origin = OneAnswerEach()
    yield origin
    origin.listener.close()


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
