"""Reading message heads (RFC 9112, sections 2 to 6). Pure, but for the time that a response carries.

A request that is not plain, so that every reader of HTTP/1.1 reads it alike, is no error here: mitmproxy has it. A
response is read whatever it is, by one expression where it is plain.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from mitmproxy import http

from proxy_policies.fields import RawFields
from proxy_policies.patches import response_heads
from proxy_policies.patches.messages import has_no_body
from proxy_policies.patches.request_heads import HEAD_LIMIT
from proxy_policies.validity import is_host

# Possessive, so that no head takes more than one pass.
_FIELDS = rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)++)\r\n"
_TARGET = rb"(?:http://([0-9A-Za-z.\-]++(?::[1-9][0-9]{0,4}+)?+))?+(/[!\"$-~]*+)"
_REQUEST = re.compile(rb"([A-Z]{1,20}+) " + _TARGET + rb" HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([!-~][ -~]*+)\r\n" + _FIELDS)
_BEGINNING = re.compile(rb"[A-Z]{1,20}+(?: [!\"$-~]*+(?: [^\n]*+(?:\n.*+)?)?)?", re.DOTALL)
HEAD_END = re.compile(rb"\n\r?\n")
"""Where a head ends, for a reader that takes a bare line feed for a line end, as mitmproxy does."""
REQUEST_BODY_LIMIT = 1024 * 1024
"""Bytes of a request's body up to which it is not streamed."""
_FIELD = re.compile(rb"([^:]++):[\t ]*+([^\r]*+)\r\n")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,15}")

_DISQUALIFYING = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer", b"http2-settings"})
"""Request fields after which something else than a plain exchange may follow."""


class RequestHead(NamedTuple):
    """The head of a plain request."""

    method: bytes
    authority: bytes
    """Of a target in absolute form, else empty (RFC 9112, section 3.2)."""
    path: bytes
    fields: RawFields
    length: int
    """Bytes of the body."""
    persists: bool
    """The connection goes on after it, as far as the client is concerned."""


def could_begin_request(data: bytes | bytearray) -> bool:
    """Return whether what a client said first may become a request of HTTP/1."""
    return _BEGINNING.fullmatch(data) is not None


def read_request(head: bytes) -> RequestHead | None:
    """Read the head of a plain request, its end included; None for every other."""
    match = _REQUEST.fullmatch(head)
    if match is None or len(head) > HEAD_LIMIT:
        return None
    method, authority, path, block = match.groups(b"")
    fields = _read_fields(block)
    if fields is None or method in (b"CONNECT", b"TRACE"):
        return None
    names = [name.lower() for name, _ in fields]
    if names.count(b"host") != 1 or not _DISQUALIFYING.isdisjoint(names):
        return None
    persists, length, host = _persists(names, fields), _length(names, fields, 0), fields[names.index(b"host")][1]
    if persists is None or length is None or length > REQUEST_BODY_LIMIT:
        return None
    if (host != authority) if authority else not is_host(host):
        return None
    return RequestHead(method, authority, path, fields, length, persists)


def read_response(head: bytes, request: http.Request, strict: bool) -> tuple[http.Response, int | None]:
    """Read a response's head, its end included, and the size of its body as h11's readers take it. Raises Invalid.

    Not `strict`, mitmproxy's own reader has its say alone.
    """
    response_heads.check_size(len(head))
    plain = _read_plain_response(head, request.data.method)
    if plain is not None:
        return plain
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return response_heads.read_response(lines, request, strict)


def _read_plain_response(head: bytes, method: bytes) -> tuple[http.Response, int] | None:
    match = _RESPONSE.fullmatch(head)
    fields = _read_fields(match[3]) if match else None
    if match is None or fields is None:
        return None
    names = [name.lower() for name, _ in fields]
    if b"transfer-encoding" in names:
        return None
    status = int(match[1])
    is_bare = has_no_body(method.decode("latin-1").upper(), status)
    size = _length(names, fields, 0 if is_bare else None)
    if size is None:
        return None
    headers = http.Headers(fields)
    return http.Response(b"HTTP/1.1", status, match[2], headers, None, None, time.time(), None), 0 if is_bare else size


def _read_fields(block: bytes) -> RawFields | None:
    if b" \r\n" in block or b"\t\r\n" in block:  # white space after a value: to be left out, and rare
        return None
    return tuple(_FIELD.findall(block))


def _persists(names: list[bytes], fields: RawFields) -> bool | None:
    """Return whether the connection goes on (RFC 9112, section 9.3); None when more is said of it."""
    match names.count(b"connection"):
        case 0:
            return True
        case 1:
            option = fields[names.index(b"connection")][1].lower()
            return True if option == b"keep-alive" else False if option == b"close" else None
        case _:
            return None


def _length(names: list[bytes], fields: RawFields, otherwise: int | None) -> int | None:
    """Give Content-Length, bytes, or `otherwise` where there is none; None when it is not one plain number."""
    match names.count(b"content-length"):
        case 0:
            return otherwise
        case 1:
            value = fields[names.index(b"content-length")][1]
            return int(value) if _LENGTH.fullmatch(value) else None
        case _:
            return None
