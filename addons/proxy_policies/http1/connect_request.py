"""Reading a CONNECT that is plain enough to be answered without mitmproxy (RFC 9110, section 9.3.6). Pure.

What is not understood completely is not ours: the slow lane reads the same bytes again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy_policies.validity import is_host

HEAD_END = b"\r\n\r\n"
ANSWER = b"HTTP/1.1 200 Connection established\r\n\r\n"

_REQUEST_LINE = re.compile(rb"CONNECT (?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5}) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*[\t\x20-\x7e\x80-\xff]*")

SLOW = frozenset(
    {
        b"via",  # it may say that the request has been here before
        b"proxy-authorization",  # somebody may want to look at it
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Connect:
    """Whom a client wants to talk to, and what it has said already."""

    host: str
    port: int
    rest: bytes


def read_connect(data: bytes) -> Connect | None:
    """Read the first bytes of a connection; None when they are not a whole and plain CONNECT."""
    head, end, rest = data.partition(HEAD_END)
    line, *fields = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if not end or match is None or not all(map(_is_plain, fields)) or not _says_one_host(fields):
        return None
    host, port = (match[1] or match[2]).decode(), int(match[3])
    # mitmproxy eats the empty lines that some clients send after CONNECT
    return Connect(host, port, rest.lstrip(b"\r\n")) if 0 < port < 65536 else None


def _says_one_host(fields: list[bytes]) -> bool:
    values = [line[5:].strip(b" \t") for line in fields if line[:5].lower() == b"host:"]
    return not values or (len(values) == 1 and is_host(values[0]))


def _is_plain(field: bytes) -> bool:
    match = _FIELD.fullmatch(field)
    return match is not None and match[1].lower() not in SLOW
