"""Answers given while an upload is still coming, and in place of errors."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, exchange_raw
from tests.support.socket_server import SocketServer
from tests.support.waiting import wait_until

from proxy_policies.control.client import instances

REFUSING = """
from mitmproxy import http

class Refusing:
    def requestheaders(self, flow):
        if "kill" in flow.request.path:
            flow.kill()
        if "refuse" in flow.request.path:
            flow.response = http.Response.make(403, "refused\\n")
            flow.request.stream = "stream" in flow.request.path

    def error(self, flow):
        if "stale" in flow.request.path:
            flow.response = http.Response.make(200, "an old copy\\n", {"X-Why": str(flow.error)})

addons = [Refusing()]
"""


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    script = tmp_path_factory.mktemp("script") / "refusing.py"
    script.write_text(REFUSING)
    proxy = Mitmdump(["-s", str(script), "--set", "fast_lane=off"], confdir=tmp_path_factory.mktemp("confdir"))
    yield proxy
    proxy.stop()


def upload(proxy: Mitmdump, head: bytes, size: int) -> tuple[bytes, int]:
    """Send a head and up to `size` bytes of body; return what was received, and how much was sent."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sent = 0

        def send() -> None:
            nonlocal sent
            block = b"x" * 65536
            try:
                sock.sendall(head)
                while sent < size:
                    sock.sendall(block)
                    sent += len(block)
            except OSError:
                pass

        sender = threading.Thread(target=send)
        sender.start()
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
        sock.close()
        sender.join(100)
        return answer, sent


@pytest.mark.parametrize("path", ["/refuse", "/refuse-stream"])
def test_a_refused_upload_is_answered_before_it_has_come(refusing: Mitmdump, path: str) -> None:
    before = refusing.resident()
    head = f"PUT http://h{path} HTTP/1.1\r\nHost: h\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
    answer, _ = upload(refusing, head, 256 << 20)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"refused\n")
    assert b"Connection: close" in answer
    assert refusing.resident() - before < 48 << 20
    assert "NotImplementedError" not in refusing.log()


def test_curl_gets_the_refusal_of_an_upload(refusing: Mitmdump, curl: Any, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(200 << 20)
    for expect in ("Expect:", "Expect: 100-continue"):
        result = curl("-x", refusing.url, "-T", str(big), "-H", expect, "http://h/refuse")
        assert (result.status, result.body) == (403, b"refused\n")
        assert result.heads == ["HTTP/1.1 403 Forbidden"]


def test_a_short_refused_upload_keeps_the_connection(refusing: Mitmdump) -> None:
    request = b"POST http://h/refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
    with socket.create_connection(("127.0.0.1", refusing.port), timeout=100) as sock:
        for part in (request, request[:-2], request[-2:]):
            sock.sendall(part)
        stream = sock.makefile("rb")
        for _ in range(2):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += stream.readline()
            assert head.startswith(b"HTTP/1.1 403 ")
            assert b"onnection" not in head
            assert stream.read(8) == b"refused\n"


def test_a_connection_killed_while_its_client_leaves_is_closed(refusing: Mitmdump) -> None:
    """mitmproxy left about one socket of fifty open."""
    files = Path(f"/proc/{refusing.pid}/fd")
    wait_until(lambda: instances([refusing.confdir]), what="the control socket")  # it is opened once mitmproxy serves
    before = len(list(files.iterdir()))
    for _ in range(200):
        assert exchange_raw(refusing.port, b"GET http://h/kill HTTP/1.1\r\nHost: h\r\n\r\n", eof=True) == b""
    wait_until(lambda: len(list(files.iterdir())) <= before, what="every socket to be closed")


def test_a_response_set_on_error_is_what_the_client_gets(
    refusing: Mitmdump, curl: Any, free_port: Callable[[], int]
) -> None:
    result = curl("-x", refusing.url, f"http://127.0.0.1:{free_port()}/stale")
    assert (result.status, result.body) == (200, b"an old copy\n")
    assert "refused" in (result.get("x-why") or "")


def test_an_answer_cut_short_can_be_replaced(refusing: Mitmdump, origin: Callable[..., Origin], curl: Any) -> None:
    server = origin()
    server.route("/", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", close=True))
    result = curl("-x", refusing.url, f"{server.url}/stale")
    assert (result.status, result.body) == (200, b"an old copy\n")
    server.route("/", Answer(raw=b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 1\r\n\r\nx", close=True))
    result = curl("-x", refusing.url, f"{server.url}/stale")
    assert (result.status, result.body) == (200, b"an old copy\n")
    result = curl("-x", refusing.url, f"{server.url}/")
    assert result.status == 502


def test_an_origin_that_answers_an_upload_early_is_heard(
    mitmdump: Callable[..., Mitmdump], curl: Any, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(64 << 20)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbig\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

        threading.Thread(target=refuse, daemon=True).start()
        proxy = mitmdump()
        result = curl(
            "-x", proxy.url, "-T", str(big), "-H", "Expect:", f"http://127.0.0.1:{server.getsockname()[1]}/upload"
        )
    assert (result.status, result.body) == (413, b"big\n")


class OneAnswerEach(SocketServer):
    """Answers the first request of each connection, and ends it at the second."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        self.seen.append(sock.recv(65536).split(b" ")[0])
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.seen.append(sock.recv(65536).split(b" ")[0])


@pytest.mark.parametrize("fast_lane", ["on", "off"])
def test_a_dead_kept_alive_connection_is_tried_once_more(mitmdump: Callable[..., Mitmdump], fast_lane: str) -> None:
    server = OneAnswerEach()
    proxy = mitmdump("--set", f"fast_lane={fast_lane}", mode=f"reverse:http://127.0.0.1:{server.port}")
    get = b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    answers = exchange_raw(proxy.port, get * 3 + post)
    server.close()
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"HTTP/1.1 502 ") == 1
    assert server.seen == [b"GET", b"GET", b"GET", b"GET", b"GET", b"POST"]


def test_the_upload_of_an_unreachable_origin_is_answered(
    mitmdump: Callable[..., Mitmdump], free_port: Callable[[], int]
) -> None:
    proxy = mitmdump()
    target = f"127.0.0.1:{free_port()}"
    head = f"PUT http://{target}/ HTTP/1.1\r\nHost: {target}\r\nContent-Length: {64 << 20}\r\n\r\n".encode()
    answer, _ = upload(proxy, head, 64 << 20)
    assert answer.startswith(b"HTTP/1.1 502 ")
    wait_until(lambda: "refused" in proxy.log(), what="the reason in the log")
