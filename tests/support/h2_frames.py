"""HTTP/2 frames as bytes, for clients and origins that do what no library does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hpack import Encoder

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Lines = list[tuple[bytes, bytes]]


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Write a frame."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def block(lines: Lines) -> bytes:
    """Write fields in a way that is the same whatever was written before."""
    return bytes(Encoder().encode([(name, value, True) for name, value in lines]))


def head(stream: int, lines: Lines, *, ends: bool = True) -> bytes:
    """Write a message's head."""
    flags = END_HEADERS | (END_STREAM if ends else 0)
    return frame(HEADERS, block(lines), flags=flags, stream=stream)


@dataclass(frozen=True)
class Frame:
    """One that was received."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frames(sock: socket.socket, preface: int = 0) -> Iterator[Frame]:
    """Read frames until the connection ends, after so many bytes."""
    data = b""
    with contextlib.suppress(OSError):
        while more := sock.recv(65536):
            data += more
            if preface:
                data, preface = data[preface:], max(0, preface - len(data))
            while len(data) >= 9 and len(data) >= 9 + (size := int.from_bytes(data[:3])):
                yield Frame(data[3], data[4], int.from_bytes(data[5:9]), data[9 : 9 + size])
                data = data[9 + size :]


def connect(port: int) -> ssl.SSLSocket:
    """Open an HTTP/2 connection to a port of 127.0.0.1, whose certificate is not looked at."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60))
    assert sock.selected_alpn_protocol() == "h2"
    sock.sendall(PREFACE + frame(SETTINGS))
    return sock
