"""No client holds the event loop: one that asks for a great deal at once, and one beside it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.pipelining import Bystander, pipeline, work_of
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("timing")]

FRESH = ("Cache-Control", "max-age=1000")


@pytest.fixture(scope="module", params=["off", "on"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    server = Origin()
    server.route("/cached", lambda received: Answer(headers=[FRESH], body=received.target.encode()))
    server.route("/echo", lambda received: Answer(body=_said(received)))
    arguments = ("--set", f"fast_lane={request.param}", "--set", "flow_detail=0")
    running = Mitmdump(arguments, confdir=tmp_path_factory.mktemp("confdir"), mode=f"reverse:{server.url}")
    yield running
    running.stop()
    server.close()


def _said(received: Received) -> bytes:
    return f"{received.target} {received.body.decode()}".encode()


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: example.test\r\n\r\n".encode()


def post(target: str, body: str) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: example.test\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


CROWDS: dict[str, tuple[list[bytes], Callable[[int], str]]] = {
    "hits": ([get(f"/cached/{number % 7}") for number in range(8000)], lambda n: f"/cached/{n % 7}"),
    "misses": ([get(f"/echo/{number}") for number in range(200)], lambda n: f"/echo/{n} "),
    "posts": ([post("/echo", str(number)) for number in range(60)], lambda n: f"/echo {n}"),
}


@pytest.mark.parametrize("kind", CROWDS)
def test_pipelined_requests_leave_others_their_turn(proxy: Mitmdump, kind: str) -> None:
    pipeline(proxy.port, CROWDS[kind][0][:8])
    requests, expected = CROWDS[kind]
    crowds, begun = 0, work_of(proxy.pid)
    with Bystander(proxy.port, proxy.pid, get("/cached/other")) as beside:
        while not crowds or (
            beside.asked <= 3 and crowds < 100
        ):  # a whole one may be through in a twentieth of a second
            responses = pipeline(proxy.port, requests)
            crowds += 1
            bodies = [response.partition(b"\r\n\r\n")[2].decode() for response in responses]
            assert bodies == [expected(number) for number in range(len(requests))]
    assert beside.asked > 3
    assert_fair(beside, (work_of(proxy.pid) - begun) / crowds)


def assert_fair(beside: Bystander, work: float) -> None:
    """Assert that a bystander waited for a small part of the work for the others."""
    assert beside.longest < max(0.25, work / 2), f"{beside.longest:.3f} s of {work:.3f} ({beside.asked})"


def test_no_more_is_read_than_can_be_worked_off(proxy: Mitmdump) -> None:
    """A client that asks without an end and takes no answer."""
    before = proxy.resident()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.settimeout(1.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                sent += sock.send(get("/cached/1") * 1000)
        assert sent < 64 << 20
        assert proxy.resident() - before < 32 << 20


class Listener:
    """Agrees to be spoken to by WebSocket, and never answers."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.heard = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            sock, _ = self._listening.accept()
            with sock:
                head = sock.recv(65536)
                key = head.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
                assert key == KEY.lower()
                sock.sendall(SWITCHED)
                while data := sock.recv(65536):
                    self.heard += len(data)

    def close(self) -> None:
        self._listening.close()


KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3
UPGRADE = (
    b"GET http://127.0.0.1:%d/chat HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)
TINY = {"message": b"\x82\x81\0\0\0\0x", "ping": b"\x89\x80\0\0\0\0"}
FRAMES = 12_000


@pytest.mark.parametrize(("kind", "lane"), [("message", "on"), ("ping", "on"), ("ping", "off")])
def test_tiny_websocket_frames_leave_others_their_turn(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], lane: str, kind: str
) -> None:
    server = origin()
    server.route("/cached", Answer(headers=[FRESH]))
    proxy = mitmdump("--set", f"fast_lane={lane}", "--set", "flow_detail=0")
    cached = f"GET {server.url}/cached HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    listener = Listener()
    with Bystander(proxy.port, proxy.pid, cached) as beside:
        wait_until(lambda: beside.asked > 1)
        beside.longest, begun = 0.0, work_of(proxy.pid)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as sock:
            sock.sendall(UPGRADE % (listener.port, listener.port))
            assert sock.recv(65536).startswith(b"HTTP/1.1 101 ")
            sock.sendall(TINY[kind] * FRAMES)
            wait_until(lambda: listener.heard >= FRAMES * len(TINY[kind]), 40)
    assert_fair(beside, work_of(proxy.pid) - begun)
    listener.close()
    assert proxy.log().count("\n") < 300
