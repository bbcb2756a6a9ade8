"""HTTP/2 clients that cause work without requesting anything are disconnected, and delay no other client."""

from __future__ import annotations

import itertools
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator

import h2.config
import h2.connection
import h2.events
import pytest
from tests.support.h2_frames import (
    DATA,
    GOAWAY,
    SETTINGS,
    WINDOW_UPDATE,
    connect,
    frame,
    frames,
    frames_in,
    send_and_read,
)
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.pipelining import Bystander
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("timing")]

ENHANCE_YOUR_CALM = 11
CACHED = b"GET /cached HTTP/1.1\r\nHost: example.test\r\n\r\n"
GET = b"\x82\x87\x84\x41\x01x"  # GET, https, "/" and an authority, by the static table (RFC 7541, appendix A)


def headers(stream: int, *, ends: bool = True) -> bytes:
    return frame(1, GET, flags=5 if ends else 4, stream=stream)


def each(count: int, made: Callable[[int], bytes]) -> bytes:
    return b"".join(made(1 + 2 * number) for number in range(count))


FLOODS = {
    "rapid reset": each(20_000, lambda stream: headers(stream) + frame(3, bytes(4), stream=stream)),
    "made to reset": each(2000, lambda stream: headers(stream) + frame(0, b"x", stream=stream)),
    "settings": frame(4) * 20_000,
    "settings of many values": frame(4, (b"\0\4" + bytes((0, 0, 255, 255))) * 2000) * 20,
    "pings": frame(6, bytes(8)) * 20_000,
    "priorities": frame(2, b"\0\0\0\3\x10", stream=1) * 20_000,
    "window updates": frame(8, b"\0\0\0\1") * 20_000,
    "empty data": headers(1, ends=False) + frame(0, stream=1) * 20_000,
    "unknown frames": frame(0xFA) * 20_000,
    "a head without an end": frame(1, GET, stream=1) + frame(9, bytes(1 << 14), stream=1) * 20,
}


@pytest.fixture(scope="module", params=["off", "on"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    server = Origin()
    server.route("/cached", Answer(headers=[("Cache-Control", "max-age=1000")]))
    arguments = ("--set", f"fast_lane={request.param}", "--set", "flow_detail=0")
    running = Mitmdump(arguments, confdir=tmp_path_factory.mktemp("confdir"), mode=f"reverse:{server.url}")
    yield running
    running.stop()
    server.close()


def goaway(sock: ssl.SSLSocket, data: bytes) -> int:
    """Send `data`, read to the end, and give the error code of the GOAWAY."""
    codes = [found.payload[4:8] for found in frames_in(send_and_read(sock, data)) if found.kind == GOAWAY]
    return int.from_bytes(codes[-1])


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_end_with_the_connection(proxy: Mitmdump, kind: str) -> None:
    """Others do not wait for all the work of one, which is tens of seconds without limits."""
    lines = proxy.log().count("\n")
    with Bystander(proxy.port, proxy.pid, CACHED) as beside, connect(proxy.port) as sock:
        wait_until(lambda: beside.asked)
        assert goaway(sock, FLOODS[kind]) == ENHANCE_YOUR_CALM
    assert proxy.log().count("\n") - lines < 1000  # of the requests that came before, none of the frames
    assert beside.longest < 1


def test_memory_is_given_back(proxy: Mitmdump) -> None:
    def flood() -> None:
        with connect(proxy.port) as sock:
            assert goaway(sock, FLOODS["rapid reset"]) == ENHANCE_YOUR_CALM

    flood()
    before = proxy.resident()
    for _ in range(4):
        flood()
    assert proxy.resident() - before < 40 << 20


def test_those_who_use_it_are_served(proxy: Mitmdump) -> None:
    """Many requests, some of them taken back, with a PING and a window update for each answer."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    answered = 0
    with connect_with(client, proxy.port) as sock:
        for number in range(300):
            stream = client.get_next_available_stream_id()
            fields = [(":method", "GET"), (":scheme", "https"), (":path", "/cached"), (":authority", "x")]
            client.send_headers(stream, fields, end_stream=True)
            if number % 10 == 0:
                client.reset_stream(stream, 8)
            else:
                client.ping(b"12345678")
                client.increment_flow_control_window(1000)
                answered += 1
            sock.sendall(client.data_to_send())
            while number % 10 and not ended(client, sock, stream):
                pass
    assert answered == 270


def connect_with(client: h2.connection.H2Connection, port: int) -> ssl.SSLSocket:
    client.initiate_connection()
    greeting = client.data_to_send()
    sock = connect_bare(port)
    sock.sendall(greeting)
    return sock


def connect_bare(port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60))


def ended(client: h2.connection.H2Connection, sock: ssl.SSLSocket, stream: int) -> bool:
    data = sock.recv(65536)
    assert data, "the connection ended"
    found = client.receive_data(data)
    assert not any(isinstance(event, h2.events.ConnectionTerminated) for event in found)
    return any(isinstance(event, h2.events.StreamEnded) and event.stream_id == stream for event in found)


PIECE, PIECES = bytes(1 << 20), 64
ALL = struct.pack(">I", 0x7FFF0000)


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.fixture
def streaming(mitmdump: Callable[..., Mitmdump], origin: Callable[[], Origin], sent: list[bytes]) -> Mitmdump:
    """Run a proxy whose origin has 64 MiB, and notes what it has sent of them."""

    def pieces() -> Iterator[bytes]:
        for _ in range(PIECES):
            yield PIECE
            sent.append(PIECE)

    server = origin()
    server.route("/", lambda _: Answer(headers=[("Cache-Control", "no-store")], body=pieces()))
    return mitmdump(mode=f"reverse:{server.url}")


def test_no_more_is_read_than_a_clients_windows_take(streaming: Mitmdump, sent: list[bytes]) -> None:
    with connect(streaming.port) as sock:
        sock.sendall(frame(SETTINGS, struct.pack(">HI", 4, 0)) + headers(1))
        wait_until(lambda: sent)
        wait_until(lambda: stands_still(sent), 60)
        assert len(sent) < PIECES / 2, "all was read, and is kept"
        sock.sendall(frame(WINDOW_UPDATE, ALL) + frame(WINDOW_UPDATE, ALL, stream=1))
        parts = (found for found in frames(sock) if found.kind == DATA)
        whole = itertools.accumulate(len(part.payload) for part in parts)
        assert next(size for size in whole if size == PIECES * len(PIECE))


def stands_still(sent: list[bytes]) -> bool:
    before = len(sent)
    time.sleep(1)
    return len(sent) == before
