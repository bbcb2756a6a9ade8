"""HTTP/2 frames as bytes, for clients and origins that do what libraries do not."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from hpack import Encoder

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
HEAD = 9  # bytes of a frame before its payload
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Lines = list[tuple[bytes, bytes]]


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def block(lines: Lines) -> bytes:
    """Return a field block that does not depend on earlier ones (RFC 7541: never indexed)."""
    return bytes(Encoder().encode([(name, value, True) for name, value in lines]))


def head(stream: int, lines: Lines, *, ends: bool = True) -> bytes:
    """Return the frame of a message's head."""
    flags = END_HEADERS | (END_STREAM if ends else 0)
    return frame(HEADERS, block(lines), flags=flags, stream=stream)


@dataclass(frozen=True)
class Frame:
    """A received frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frames(sock: socket.socket, preface: int = 0) -> Iterator[Frame]:
    """Yield frames until the connection ends, after a preface of so many bytes."""
    data = b""
    with contextlib.suppress(OSError):
        while more := sock.recv(65536):
            data += more
            if preface:
                data, preface = data[preface:], max(0, preface - len(data))
            for found in frames_in(data):
                yield found
                data = data[HEAD + len(found.payload) :]


def frames_in(data: bytes) -> Iterator[Frame]:
    """Yield the complete frames in `data`."""
    while len(data) >= HEAD and len(data) >= HEAD + (size := int.from_bytes(data[:3])):
        yield Frame(data[3], data[4], int.from_bytes(data[5:HEAD]), data[HEAD : HEAD + size])
        data = data[HEAD + size :]


def send_and_read(sock: ssl.SSLSocket, data: bytes, timeout: float = 60) -> bytes:
    """Send `data` and read to the end, at once and in one thread: OpenSSL's connections are not for two."""
    deadline = time.monotonic() + timeout
    sock.settimeout(0)
    said, left = b"", memoryview(data)
    while time.monotonic() < deadline:
        try:
            if not (more := sock.recv(65536)):
                return said
            said += more
            continue
        except ssl.SSLWantReadError:
            pass
        with contextlib.suppress(ssl.SSLWantWriteError):
            left = left[sock.send(left[:16384]) :] if left else left
            if left:
                continue
        select.select([sock], [sock] if left else [], [], 1)
    raise AssertionError(f"the connection did not end in {timeout} s; it said {said[:200]!r}")


def connect(port: int) -> ssl.SSLSocket:
    """Open an HTTP/2 connection to a port of 127.0.0.1, whose certificate is not verified."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60))
    assert sock.selected_alpn_protocol() == "h2"
    sock.sendall(PREFACE + frame(SETTINGS))
    return sock
