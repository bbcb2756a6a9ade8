"""Reads and validates request heads (RFC 9112, sections 2 to 6; `proxy_policies.validity`).

Plain requests are parsed by `plain_messages`, and a plain CONNECT here. Others are parsed line by line inside
mitmproxy's layers, and refused there if invalid.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.net.http import http1

from proxy_policies import validity
from proxy_policies.validity import Invalid

HEAD_LIMIT = 64 * 1024
"""The most bytes of a head: 64 KiB is Squid's limit; those of nginx and Apache are lower."""
CRLF_HEAD_END = b"\r\n\r\n"
"""The end of a head with regular line ends."""
HEAD_END = re.compile(rb"\n\r?\n")
"""The end of a head, for a parser that accepts a bare line feed as a line end, as mitmproxy does."""

_BEGINNING = re.compile(rb"[A-Z]{1,20}+(?: [!\"$-~]*+(?: [^\n]*+(?:\n.*+)?)?)?", re.DOTALL)


def could_begin_request(data: bytes | bytearray) -> bool:
    """Return whether a client's first bytes may be the beginning of an HTTP/1 request."""
    return _BEGINNING.fullmatch(data) is not None


def read_request(lines: list[bytes], strict: bool) -> tuple[http.Request, int | None]:
    """Parse a request head, given as lines without line ends; return it and its body's size, as for h11's readers.

    CONNECT has no content, whatever it announces (RFC 9110, section 9.3.6): what follows belongs to the tunnel. If not
    `strict`, only mitmproxy's own parser is used. Raises Invalid.
    """
    if sum(map(len, lines)) > HEAD_LIMIT:
        raise Invalid(f"The request head has over {HEAD_LIMIT} bytes.", 431)
    request = _read(lines) if strict else _read_as_mitmproxy(lines)
    size = announced_size(request)
    return request, 0 if request.data.method == b"CONNECT" else size


def announced_size(request: http.Request) -> int | None:
    """Return the size of the body that a request announces, as for h11's readers. Raise Invalid."""
    try:
        return http1.expected_http_body_size(request)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _read(lines: list[bytes]) -> http.Request:
    line = validity.parse_request_line(lines[0])
    fields = validity.parse_fields(lines[1:])
    validity.check_codings(fields)
    names_host = bool(line.authority)
    validity.check_host(
        fields, is_required=line.version == b"HTTP/1.1" and not names_host, may_be_empty=names_host or line.path == b"*"
    )
    host, port = address_of(line.authority, line.scheme)
    return http.Request(
        host=host,
        port=port,
        method=line.method,
        scheme=line.scheme,
        authority=line.authority,
        path=line.path,
        http_version=line.version,
        headers=http.Headers(fields),
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )


def address_of(authority: bytes, scheme: bytes) -> tuple[str, int]:
    """Return the host and port that a target names, in mitmproxy's form; "" and 0 if it names none."""
    if not authority:
        return "", 0
    host, port = validity.parse_destination(authority)
    return name_of(host), port or validity.DEFAULT_PORTS[scheme]


def name_of(host: bytes) -> str:
    """Return a host as mitmproxy shows and dials it: in Unicode, if its IDNA form can be decoded."""
    try:
        return host.decode("idna")
    except UnicodeError:  # such as IDNA 2008, which Python does not support
        return host.decode("ascii")


def _read_as_mitmproxy(lines: list[bytes]) -> http.Request:
    try:
        request = http1.read_request_head(lines)
    except (ValueError, IndexError) as error:
        raise Invalid(str(error)) from error
    if request.data.http_version[:7] != b"HTTP/1.":
        raise Invalid(f"{request.http_version} is not supported. Use HTTP/1.1.", 505)
    if request.method == "CONNECT" and not request.host:
        raise Invalid("CONNECT names no host and port.")
    return request


def host_of_target(request: http.Request) -> bytes | None:
    """Return the host of an absolute-form target, which overrides Host (RFC 9112, section 3.2.2); else None."""
    return request.data.authority if request.first_line_format == "absolute" else None


ANSWER = b"HTTP/1.1 200 Connection established\r\n\r\n"

_REQUEST_LINE = re.compile(rb"CONNECT (?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5}) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*[\t\x20-\x7e\x80-\xff]*")

DISQUALIFYING_IN_CONNECT = frozenset(
    {
        b"via",  # it may say that the request has been here before
        b"proxy-authorization",  # an addon may want to check it
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Connect:
    """The target of a CONNECT, and the bytes that the client has already sent after it."""

    host: str
    port: int
    rest: bytes


def read_connect(data: bytes) -> Connect | None:
    """Parse the first bytes of a connection; return None if they are not a complete, plain CONNECT."""
    head, end, rest = data.partition(CRLF_HEAD_END)
    line, *fields = head.split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if not end or match is None or not all(map(_is_plain, fields)) or not _says_one_host(fields):
        return None
    host, port = (match[1] or match[2]).decode(), int(match[3])
    # mitmproxy skips the empty lines that some clients send after CONNECT
    return Connect(host, port, rest.lstrip(b"\r\n")) if 0 < port < 65536 else None


def _says_one_host(fields: list[bytes]) -> bool:
    values = [line[5:].strip(b" \t") for line in fields if line[:5].lower() == b"host:"]
    return not values or (len(values) == 1 and validity.is_host(values[0]))


def _is_plain(field: bytes) -> bool:
    match = _FIELD.fullmatch(field)
    return match is not None and match[1].lower() not in DISQUALIFYING_IN_CONNECT
