"""Every kind of first bytes that a client may send to a proxy, and the class of the response."""

import contextlib
import socket
import ssl
from collections.abc import Callable

Say = Callable[[str, str], bytes]
"""Returns the bytes, for the origin of a reverse proxy and another one, both as HOST:PORT."""


LINE = b"\r\n\r\n"
"""The end of a line and of a head, for servers that wait for one."""


def http(line: str, *fields: str) -> bytes:
    """Write a request without a body."""
    return "".join(f"{part}\r\n" for part in (line, *fields, "")).encode()


def client_hello(name: str) -> bytes:
    """Return the first flight of a TLS client."""
    sent = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def socks4(target: str) -> bytes:
    """Ask a SOCKS4 server for a connection."""
    host, _, port = target.rpartition(":")
    return b"\x04\x01" + int(port).to_bytes(2, "big") + socket.inet_aton(host) + b"me\x00" + LINE


def socks5(target: str) -> bytes:
    """Ask a SOCKS5 server for a connection, without waiting for its answer to the greeting."""
    host, _, port = target.rpartition(":")
    return b"\x05\x01\x00\x05\x01\x00\x01" + socket.inet_aton(host) + int(port).to_bytes(2, "big") + LINE


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

FIRST_REQUESTS: dict[str, Say] = {
    "origin form": lambda own, other: http("GET /page HTTP/1.1", f"Host: {own}"),
    "origin form, other Host": lambda own, other: http("GET /page HTTP/1.1", f"Host: {other}"),
    "origin form, HTTP/1.0": lambda own, other: http("GET /page HTTP/1.0"),
    "absolute form": lambda own, other: http(f"GET http://{own}/page HTTP/1.1", f"Host: {own}"),
    "absolute form, elsewhere": lambda own, other: http(f"GET http://{other}/page HTTP/1.1", f"Host: {other}"),
    "absolute form, elsewhere, own Host": lambda own, other: http(f"GET http://{other}/page HTTP/1.1", f"Host: {own}"),
    "absolute form, own, other Host": lambda own, other: http(f"GET http://{own}/page HTTP/1.1", f"Host: {other}"),
    "CONNECT": lambda own, other: http(f"CONNECT {other} HTTP/1.1", f"Host: {other}"),
    "CONNECT, own": lambda own, other: http(f"CONNECT {own} HTTP/1.1", f"Host: {own}"),
    "CONNECT, HTTP/1.0": lambda own, other: http(f"CONNECT {other} HTTP/1.0"),
    "CONNECT, more fields": lambda own, other: http(f"CONNECT {other} HTTP/1.1", f"Host: {own}", "User-Agent: curl"),
    "CONNECT, no authority": lambda own, other: http("CONNECT / HTTP/1.1", f"Host: {other}"),
    "OPTIONS *": lambda own, other: http("OPTIONS * HTTP/1.1", f"Host: {own}"),
    "GET *": lambda own, other: http("GET * HTTP/1.1", f"Host: {own}"),
    "SOCKS4": lambda own, other: socks4(other),
    "SOCKS5": lambda own, other: socks5(other),
    "ClientHello": lambda own, other: client_hello("localhost"),
    "ClientHello, and a line": lambda own, other: client_hello("localhost") + LINE,
    "HTTP/2 preface": lambda own, other: PREFACE,
    "garbage": lambda own, other: b"\x00\x01\x02 garbage\r\n\r\n",
    "PROXY header": lambda own, other: (
        f"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /page HTTP/1.1\r\nHost: {own}\r\n\r\n".encode()
    ),
}


def class_of(answer: bytes, ended: bool) -> str:
    """Return what kind of response some bytes are; if there are none, whether the connection was closed."""
    if not answer:
        return "closed" if ended else "silence"
    if answer.startswith(b"HTTP/"):
        return f"HTTP {answer[9:12].decode()}"
    if answer[0] in (0x15, 0x16):
        return "TLS alert" if answer[0] == 0x15 else "TLS"
    if answer[3:5] == b"\x04\x00":
        return "HTTP/2"
    return f"SOCKS {answer[:2].hex()}" if answer[0] in (0, 5) else repr(answer[:20])
