"""What is known of a request or a tunnel that has ended. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

LONGEST_TEXT = 2048
"""Bytes that are kept of each text of a client's: what was long for a URL once, and bounds what waits to be written."""
LONGEST_TRACEPARENT = 128
"""Bytes of the one field that is not cut: of version 00 it has 55, and later ones may be longer."""
_PARTIAL = re.compile(rb"[^/?&=;#, ]*\Z")
"""What may be the beginning of a token, which would not be known for one any more."""
CLIENT_CLOSED = 499
"""The status of a request whose client left before it was sent anything: nginx's."""

Address = tuple[Any, ...]
"""A host and a port, as sockets have them."""


class Asked(NamedTuple):
    """What a client asked for, as it wrote it."""

    method: bytes = b""
    """Empty where what came was no request."""
    target: bytes = b""
    """In the form in which it came: absolute to a proxy, else a path (RFC 9112, section 3.2); of a tunnel host:port."""
    version: bytes = b""
    """Empty where nobody asked in HTTP."""
    host: bytes = b""
    referer: bytes = b""
    user_agent: bytes = b""
    traceparent: bytes = b""
    """The client's place in a trace (W3C Trace Context)."""


def _cut(value: bytes) -> bytes:
    """Return a text that is not too long, and ends between two words if it was."""
    return value if len(value) <= LONGEST_TEXT else _PARTIAL.sub(b"...", value[:LONGEST_TEXT], count=1)


def asked(method: bytes, target: bytes, version: bytes, fields: Iterable[tuple[bytes, bytes]]) -> Asked:
    """Return what was asked for, and what is of interest of the fields; long texts are cut."""
    host = referer = user_agent = traceparent = b""
    for name, value in fields:
        match len(name):
            case 4 if name.lower() == b"host":
                host = value
            case 7 if name.lower() == b"referer":
                referer = value
            case 10 if name.lower() == b"user-agent":
                user_agent = value
            case 11 if name.lower() == b"traceparent" and len(value) <= LONGEST_TRACEPARENT:
                traceparent = value
    if len(method) + len(target) + len(host) + len(referer) + len(user_agent) > LONGEST_TEXT:
        method, target, host, referer, user_agent = map(_cut, (method, target, host, referer, user_agent))
    return Asked(method, target, version, host, referer, user_agent, traceparent)


@dataclass(slots=True, eq=False)
class Finished:
    """One request with its response, or one tunnel."""

    asked: Asked
    client: Address | None
    started: float
    """POSIX time in seconds."""
    seconds: float
    """Until the last of the response was given to the client's connection, or the tunnel was closed."""
    status: int
    """What the client was sent; 0: nothing."""
    sent: int | None = None
    """Bytes of the body that the client was sent, of a tunnel all; None where nobody counts."""
    received: int | None = None
    """Likewise that it sent."""
    is_tunnel: bool = False
    is_tls: bool = False
    """The client asked over TLS."""
    plain: int | None = None
    """Bytes of the body before we encoded it; None where we did not."""
    user: str = ""
    cache: str = ""
    """What Cache-Status says (RFC 9211): `hit`, or why it was forwarded; empty where the cache was not asked."""
    encoding: str = ""
    """The content codings of what was sent."""
    upstream: Address | None = None
    """Whom the response came from."""
    connect_seconds: float | None = None
    """That the connection to there took, where it was made for this."""
    upstream_seconds: float | None = None
    """From the end of the request to the head of the response."""
    error: str = ""


Again = tuple[Finished, Address, float]
"""What was answered before and was answered again, at once and with as much; to whom, and when (POSIX time)."""
Item = Finished | Again
