"""A client's connection that is ours, from the first byte to the last."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.sockets import reset_when_closed
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
BODY = b"x" * 1000


@pytest.fixture(scope="module")
def server() -> Iterator[Origin]:
    running = Origin()
    running.route("", Answer(body=BODY))
    running.route("/echo", lambda received: Answer(body=received.body))
    yield running
    running.close()


@pytest.fixture(scope="module")
def proxy(server: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    running = Mitmdump((), confdir=tmp_path_factory.mktemp("confdir"), mode=f"reverse:{server.url}")
    yield running
    running.stop()
    assert "Traceback" not in running.log()


@pytest.fixture
def client(proxy: Mitmdump) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        yield sock


def get(path: str = "/", fields: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode()


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def test_a_client_that_ends_its_half_gets_its_answer(client: socket.socket) -> None:
    client.sendall(get())
    client.shutdown(socket.SHUT_WR)
    assert read_all(client).endswith(BODY)


def test_requests_that_come_together(client: socket.socket) -> None:
    bodies = [str(number).encode() * (number + 1) for number in range(20)]
    head = "POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n"
    client.sendall(
        b"".join(head.format(len(body)).encode() + body for body in bodies) + get("/", "Connection: close\r\n")
    )
    found = re.findall(rb"HTTP/1\.1 200 .*?\r\n\r\n(\d*)", read_all(client), re.DOTALL)
    assert found[:20] == bodies


def test_a_request_byte_by_byte(client: socket.socket) -> None:
    for byte in b"POST /echo HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc":
        client.sendall(bytes([byte]))
    assert read_all(client).endswith(b"abc")


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", b"\x16\r\n\r\n"])
def test_tls_after_a_request_is_none(client: socket.socket, said: bytes) -> None:
    client.sendall(get())
    while not client.recv(65536).endswith(BODY):
        pass
    client.sendall(said)
    assert read_all(client).startswith(b"HTTP/1.1 400 ")


def test_a_refusal_is_read_by_one_that_goes_on_sending(mitmdump: Callable[..., Mitmdump], tmp_path: Path) -> None:
    """An upload that is refused by its head, and comes nevertheless: a reset would destroy the answer."""
    script = tmp_path / "refusing.py"
    script.write_text(
        "from mitmproxy import http\nclass Refusing:\n    fast_paths = {'exchanges'}\n"
        "    def requestheaders(self, flow): flow.response = http.Response.make(403, b'no')\naddons = [Refusing()]\n"
    )
    proxy = mitmdump("-s", str(script), mode="reverse:http://127.0.0.1:9")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(100):
            sock.sendall(bytes(10_000))
            time.sleep(0.002)
        assert read_all(sock).endswith(b"\r\n\r\nno")


def test_a_tunnel_after_a_large_response(mitmdump: Callable[..., Mitmdump], origin: Callable[[], Origin]) -> None:
    """What is still to be sent to a slow client comes before what the tunnel says."""
    large, running = bytes(3_000_000), origin()
    running.route("/large", Answer(body=large))
    running.route("", Answer(body=b"through the tunnel"))
    proxy, target = mitmdump(), f"127.0.0.1:{running.port}"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(f"GET {running.url}/large HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        time.sleep(0.3)  # the response does not fit into the kernel's buffers
        data = b""
        while not data.endswith(b"Connection established\r\n\r\n"):
            piece = sock.recv(65536)
            assert piece
            data += piece
        assert large in data
        sock.sendall(get("/", "Connection: close\r\n"))
        assert read_all(sock).endswith(b"through the tunnel")


def test_one_that_says_nothing(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    assert read_all(client) == b""


@pytest.mark.parametrize("how", ["reset", "closed with an answer unread"])
def test_one_that_leaves_while_the_origin_works(proxy: Mitmdump, server: Origin, how: str) -> None:
    asked, released = threading.Event(), threading.Event()

    def slow(_: Received) -> Answer:
        asked.set()
        released.wait(100)
        return Answer(body=BODY)

    server.route("/slow", slow)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        port = sock.getsockname()[1]
        sock.sendall(get("/slow"))
        assert asked.wait(100)
        if how == "reset":
            reset_when_closed(sock)
    if how == "reset":  # told by the kernel at once; an end of file may be that of one half only
        proxy.wait_log(f"127.0.0.1:{port}.*client disconnect")
    released.set()
    proxy.wait_log(f"127.0.0.1:{port}.*client disconnect")


def test_an_origin_that_dies_in_between_is_asked_again(
    mitmdump: Callable[..., Mitmdump], origin: Callable[[], Origin]
) -> None:
    running = origin()
    running.route("/once", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", close=True))
    running.route("/more", Answer(body=b"2"))
    proxy = mitmdump(mode=f"reverse:{running.url}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(get("/once"))
        while not sock.recv(65536).endswith(b"1"):
            pass
        time.sleep(0.05)
        sock.sendall(get("/more"))
        while not sock.recv(65536).endswith(b"2"):
            pass
    wait_until(lambda: "client disconnect" in proxy.log(), 20, "the end")
    assert "<< 502" not in proxy.log()


BREAKS = """
from proxy_policies.passthrough.tunnel import DirectTunnel
from proxy_policies.connection.responders import Responders

def breaks(asked):
    def broken(self, client, *head):
        if b"/breaks" in bytes(client.stream.received):
            raise RuntimeError("on purpose")
        return asked(self, client, *head)
    return broken

async def run(self):
    raise RuntimeError("on purpose")

Responders.response_to, Responders.send_learned = breaks(Responders.response_to), breaks(Responders.send_learned)
DirectTunnel.run = run
"""


def test_no_client_waits_for_what_has_failed(mitmdump: Callable[..., Mitmdump], server: Origin, tmp_path: Path) -> None:
    """An error of ours closes the connection that it is about; others are served."""
    (tmp_path / "breaks.py").write_text(BREAKS)
    proxy = mitmdump("-s", str(tmp_path / "breaks.py"))
    asked = f"http://127.0.0.1:{server.port}/breaks HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
    for first in (f"GET {asked}", f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as client:
            client.sendall(first.encode())
            assert read_all(client) == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as client:
        client.sendall(f"GET {asked}".replace("/breaks", "/echo").encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert proxy.log().count("on purpose") >= 2
