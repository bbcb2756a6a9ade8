"""Protocols that HTTP was upgraded to (RFC 9110, section 7.8): how they end on one side they end on the other."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import LANES, Both, both_modes
from tests.support.socket_server import SocketServer
from tests.support.sockets import reset
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

WAIT = 30.0
END = b"\r\n\r\n"
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
MORE = bytes(6 << 20)
"""What a client goes on sending: more than the kernel keeps for it."""


class Upgrading(SocketServer):
    """Switches to whatever it is asked for, and has a test's function go on."""

    goes_on: Callable[[socket.socket], None]

    def serve(self, sock: socket.socket) -> None:
        """Serve one client."""
        head = read_head(sock)
        protocol = "websocket" if b"websocket" in head else "mine"
        fields = ACCEPT if protocol == "websocket" else ""
        sock.sendall(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n".encode())
        sock.sendall(f"{fields}\r\n".encode())
        sock.settimeout(WAIT)
        self.goes_on(sock)


def read_head(sock: socket.socket) -> bytes:
    head = b""
    while not head.endswith(END) and (byte := sock.recv(1)):
        head += byte
    return head


def read_all(sock: socket.socket) -> bytes:
    """Read up to the end; a reset is the last that is read."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        return data + b"<reset>"
    return data


def listen(sock: socket.socket) -> None:
    read_all(sock)


@pytest.fixture(scope="module")
def server() -> Iterator[Upgrading]:
    running = Upgrading()
    yield running
    running.close()


@pytest.fixture(scope="module", params=LANES)
def proxies(
    request: pytest.FixtureRequest, server: Upgrading, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    options = ("--set", f"fast_lane={request.param}", "--set", "inspect_hosts=*")
    running = both_modes(f"http://127.0.0.1:{server.port}", tmp_path_factory.mktemp("confdir"), *options)
    yield running
    running.process.stop()
    assert "Traceback" not in running.process.log()


WAYS = ("reverse", "absolute form", "in a tunnel")


@pytest.fixture(params=WAYS)
def opened(request: pytest.FixtureRequest, proxies: Both, server: Upgrading) -> Callable[[str], socket.socket]:
    """Return what asks for an upgrade to a protocol, and reads the 101."""
    target = f"127.0.0.1:{server.port}"

    def open_one(protocol: str) -> socket.socket:
        port = proxies.ports["reverse" if request.param == "reverse" else "regular"]
        sock = socket.create_connection(("127.0.0.1", port), WAIT)
        if request.param == "in a tunnel":
            sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            assert b" 200 " in read_head(sock)
        form = f"http://{target}" if request.param == "absolute form" else ""
        sock.sendall(
            f"GET {form}/ HTTP/1.1\r\nHost: {target}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n".encode()
        )
        sock.sendall(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
        sock.sendall(b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        assert b" 101 " in read_head(sock)
        return sock

    return open_one


def test_a_half_close_stays_one(server: Upgrading, opened: Callable[[str], socket.socket]) -> None:
    server.goes_on = lambda sock: sock.sendall(b"answer to " + read_all(sock))
    with opened("mine") as client:
        client.sendall(b"a question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"answer to a question"

    heard: list[bytes] = []

    def says_first(sock: socket.socket) -> None:
        sock.sendall(b"all of it")
        sock.shutdown(socket.SHUT_WR)
        heard.append(read_all(sock))

    server.goes_on = says_first
    with opened("mine") as client:
        assert read_all(client) == b"all of it"
        client.sendall(b"thanks")
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: heard, WAIT)
    assert heard == [b"thanks"]


def test_a_reset_stays_one(server: Upgrading, opened: Callable[[str], socket.socket]) -> None:
    def breaks(sock: socket.socket) -> None:
        sock.sendall(b"half of it")
        assert sock.recv(100) == b"seen"
        reset(sock)

    server.goes_on = breaks
    with opened("mine") as client:
        assert client.recv(100) == b"half of it"
        client.sendall(b"seen")
        assert read_all(client) == b"<reset>"

    heard: list[bytes] = []

    def listens(sock: socket.socket) -> None:
        sock.sendall(b"go")
        heard.append(sock.recv(100))
        sock.sendall(b"on")
        heard.append(read_all(sock))

    server.goes_on = listens
    client = opened("mine")
    client.sendall(b"half of it")
    while client.recv(1) != b"n":
        pass
    reset(client)
    wait_until(lambda: len(heard) == 2, WAIT)
    assert heard == [b"half of it", b"<reset>"]


def frame(kind: int, data: bytes, *, is_masked: bool, is_packed: bool = False) -> bytes:
    """Write a final frame (RFC 6455, section 5.2), with a mask of zeros."""
    size = len(data)
    code, more = (size, b"") if size < 126 else (126, size.to_bytes(2)) if size < 1 << 16 else (127, size.to_bytes(8))
    mask = bytes(4) if is_masked else b""
    return bytes([0x80 | 0x40 * is_packed | kind, code | 0x80 * is_masked]) + more + mask + data


TEXT, BINARY, UNKNOWN, CLOSE = 1, 2, 3, 8


def bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(101)]
    return b"".join((*pieces, packer.flush(zlib.Z_SYNC_FLUSH)))[:-4]


LAST_WORDS = {
    "an unknown frame": (frame(UNKNOWN, b"", is_masked=True), 1002),
    "text that is none": (frame(TEXT, b"\xff\xff", is_masked=True), 1007),
    "a message that unpacks to too much": (frame(BINARY, bomb(), is_masked=True, is_packed=True), 1009),
}


@pytest.mark.parametrize("kind", LAST_WORDS)
def test_why_a_websocket_is_closed_is_read_by_who_goes_on_sending(
    server: Upgrading, opened: Callable[[str], socket.socket], kind: str
) -> None:
    said, code = LAST_WORDS[kind]
    server.goes_on = listen
    with opened("websocket") as client:
        client.sendall(said + MORE)  # everything first: a reset at any time is an error
        heard = read_all(client)
    assert heard[0] == 0x80 | CLOSE
    assert (int.from_bytes(heard[2:4]), len(heard)) == (code, heard[1] + 2)


def test_a_websocket_that_broke_was_not_closed(server: Upgrading, opened: Callable[[str], socket.socket]) -> None:
    """The other side of it shall see the same: an end without a closing frame, which is 1006 there."""
    server.goes_on = lambda sock: sock.sendall(frame(TEXT, b"hello", is_masked=False))
    with opened("websocket") as client:
        heard = read_all(client)
    assert (heard[0] & 0xF, len(heard)) == (TEXT, heard[1] + 2), heard  # one frame, and nothing after it
