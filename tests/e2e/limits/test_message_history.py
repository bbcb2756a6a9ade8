"""Streams that bring much: what their flows keep is bounded, however long they last."""

from __future__ import annotations

import contextlib
import json
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.support.access_lines import AccessLines
from tests.support.mitmdump import Mitmdump
from tests.support.socket_server import SocketServer
from tests.support.waiting import wait_until

MIB = 1 << 20
KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    + DEFLATE
    + b"Sec-WebSocket-Accept: "
    + ACCEPT
    + b"\r\n\r\n"
)
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


class Sink(SocketServer):
    """Upgrades to WebSocket if requested, and reads everything."""

    heard = 0

    def serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := sock.recv(MIB):
                self.heard += len(data)
                if data.startswith(b"GET "):
                    sock.sendall(SWITCHED)


def frame(payload: bytes, opcode: int) -> bytes:
    """Return a client's frame, masked with zeros, with the first reserved bit for a compressed message."""
    size = len(payload)
    length = b"\xfe" + size.to_bytes(2) if size < 1 << 16 else b"\xff" + size.to_bytes(8)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def packed(size: int) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return (compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def converse(proxy: Mitmdump, server: Sink, frames: bytes) -> bytes:
    """Send a message over a WebSocket connection and close it; return what is received until its end."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        host = b"127.0.0.1:%d" % server.port
        head = b"GET http://%s/chat HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" % (
            host,
            host,
        )
        sock.sendall(head + DEFLATE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 101 ")
        sock.sendall(frames + CLOSE)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_a_long_conversation_takes_no_more_memory_than_a_short_one(
    mitmdump: Callable[..., Mitmdump], tmp_path: Path
) -> None:
    log = AccessLines(tmp_path / "access.log")
    proxy = mitmdump("--set", f"access_log={log.path}", "--set", "access_log_format=json", "--set", "flow_detail=0")
    with contextlib.closing(Sink()) as server:
        message = frame(packed(2 * MIB), 0x42)
        converse(proxy, server, message)
        before = proxy.resident()
        converse(proxy, server, message * 100)
        assert proxy.resident() - before < 80 * MIB
        assert [line["bytes_received"] for line in log.take(2)] == [2 * MIB, 200 * MIB]


def test_a_recording_has_the_last_messages(mitmdump: Callable[..., Mitmdump], tmp_path: Path) -> None:
    capture = tmp_path / "made.har"
    proxy = mitmdump("--set", f"capture_file={capture}", "--set", "message_history=1m", "--set", "message_limit=128k")
    with contextlib.closing(Sink()) as server:
        converse(proxy, server, b"".join(frame(b"%05d" % number * 20_000, 1) for number in range(64)))
        too_large = converse(proxy, server, frame(packed(MIB), 0x42))
    assert b"\x03\xf1" in too_large, "1009"
    wait_until(lambda: capture.read_text().count('"startedDateTime"') == 2, 60, "two entries")
    assert proxy.stop() == 0
    messages = json.loads(capture.read_text())["log"]["entries"][0]["_webSocketMessages"]
    assert 5 <= len(messages) <= 10
    assert messages[-1]["data"].startswith("00063")
    assert proxy.log().count("message_history=1m") == 1


def test_a_stream_of_bytes(mitmdump: Callable[..., Mitmdump]) -> None:
    with contextlib.closing(Sink()) as server:
        proxy = mitmdump("--set", "flow_detail=0", mode=f"reverse:tcp://127.0.0.1:{server.port}")
        before = 0
        for size in (MIB, 150 * MIB):
            before, heard = proxy.resident(), server.heard
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
                sock.sendall(bytes(size))
                wait_until(lambda: server.heard - heard >= size, 60, "all of it")  # noqa: B023
                assert proxy.resident() - before < 80 * MIB
