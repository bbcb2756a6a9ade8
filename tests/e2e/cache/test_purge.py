"""PURGE fails closed: without the secret it is 401, whatever it looks like, and no origin ever sees one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Origin

SECRET = "0123456789abcdef"
RIGHT = b"Authorization: Bearer " + SECRET.encode() + b"\r\n"
WRONG: dict[str, bytes] = {
    "none": b"",
    "empty": b"Authorization:\r\n",
    "no secret": b"Authorization: Bearer\r\n",
    "blank secret": b"Authorization: Bearer  \r\n",
    "wrong": b"Authorization: Bearer wrong-wrong-wrong\r\n",
    "a byte more": RIGHT[:-2] + b"x\r\n",
    "another scheme": b"Authorization: Basic " + SECRET.encode() + b"\r\n",
    "no scheme": b"Authorization: " + SECRET.encode() + b"\r\n",
    "8-bit": b"Authorization: Bearer \xff\r\n",
    "UTF-8": "Authorization: Bearer é\r\n".encode(),
    "8-bit scheme": b"Authorization: \xff " + SECRET.encode() + b"\r\n",
    "twice": RIGHT + RIGHT,
    "a wrong one beside": b"Authorization: Bearer x\r\n" + RIGHT,
    "another field": b"Proxy-Authorization: Bearer " + SECRET.encode() + b"\r\n",
    "huge": b"Authorization: Bearer " + b"x" * 40_000 + b"\r\n",
    "8-bit everywhere": b"Cache-Tag: \xff\r\nSoft-Purge: \xff\r\nAuthorization: Bearer \xff\r\nX: \xff\r\n",
    "with a body": b"Content-Length: 3\r\n",
    "with a body to be streamed": b"Content-Length: 3000000\r\n",
    "chunked": b"Transfer-Encoding: chunked\r\n",
}
BODIES = {
    "with a body": b"abc",
    "with a body to be streamed": b"x" * 2_000_000,
    "chunked": b"3\r\nabc\r\n",
}


def status(port: int, request: bytes) -> bytes:
    """Send a request and give the status of the answer."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        with contextlib.suppress(OSError):  # it was answered before it had come whole
            connection.sendall(request)
        data = b""
        while b"\r\n" not in data and (more := connection.recv(4096)):
            data += more
    return data.split(b" ")[1] if data else b""


@pytest.mark.parametrize(
    ("options", "reverse"),
    [((), True), (("--set", "fast_lane=off"), False), (("--set", "fast_lane=on", "--set", "cache=off"), True)],
    ids=["reverse", "regular, no fast lane", "reverse, all, no cache"],
)
def test_purge_without_the_secret(
    options: tuple[str, ...],
    reverse: bool,
    mitmdump: Callable[..., Mitmdump],
    origin: Callable[..., Origin],
    tmp_path: Path,
) -> None:
    server = origin()
    mode = f"reverse:{server.url}" if reverse else None
    proxy = mitmdump("--set", f"cache_purge={SECRET}", *options, mode=mode)
    target = b"/a" if reverse else f"{server.url}/a".encode()
    host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
    for name, fields in WRONG.items():
        for method in (b"PURGE", b"purge"):
            request = b"%s %s HTTP/1.1\r\n%s%s\r\n" % (method, target, host, fields)
            assert status(proxy.port, request + BODIES.get(name, b"")) == b"401", name
    assert not [request for request in server.requests if request.method.upper() == "PURGE"]
    assert status(proxy.port, b"PURGE %s HTTP/1.1\r\n%s%s\r\n" % (target, host, RIGHT)) == b"200"
    assert status(proxy.port, b"GET %s HTTP/1.1\r\n%s\r\n" % (target, host)) == b"200"
    assert "Traceback" not in proxy.log()
    assert SECRET not in proxy.log()
