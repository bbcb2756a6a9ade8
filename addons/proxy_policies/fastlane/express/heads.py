"""Plain message heads: those that every reader of HTTP/1.1 reads alike (RFC 9112, sections 2 to 6).

What is not plain is nobody's error here: it is left to who reads more. Everything here is pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from proxy_policies.fields import RawFields
from proxy_policies.patches.messages import has_no_body
from proxy_policies.patches.request_heads import HEAD_LIMIT
from proxy_policies.validity import is_host

# Possessive, so that no head takes more than one pass.
_FIELDS = rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)++)\r\n"
_TARGET = rb"(?:http://([0-9A-Za-z.\-]++(?::[1-9][0-9]{0,4}+)?+))?+(/[!\"$-~]*+)"
_REQUEST = re.compile(rb"([A-Z]{1,20}+) " + _TARGET + rb" HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([!-~][ -~]*+)\r\n" + _FIELDS)
_FIELD = re.compile(rb"([^:]++):[\t ]*+([^\r]*+)\r\n")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,15}")

_TANGLED = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer", b"http2-settings"})
"""Request fields after which something else than a plain exchange may follow."""


class RequestHead(NamedTuple):
    """A plain request, body included: it came whole."""

    method: bytes
    authority: bytes
    """Of a target in absolute form, else empty (RFC 9112, section 3.2)."""
    path: bytes
    fields: RawFields
    body: bytes


class ResponseHead(NamedTuple):
    """The head of a plain response, and what has come of its body."""

    status: int
    reason: bytes
    fields: RawFields
    size: int
    """Of the whole body, bytes."""
    body: bytes


def read_request(data: bytes) -> RequestHead | None:
    """Read one plain request, if that is all there is in `data`."""
    if len(data) > HEAD_LIMIT or not (match := _REQUEST.match(data)):
        return None
    method, authority, path, block = match.groups(b"")
    fields = _read_fields(block)
    if fields is None or method in (b"CONNECT", b"TRACE"):
        return None
    names = [name.lower() for name, _ in fields]
    if names.count(b"host") != 1 or not _TANGLED.isdisjoint(names) or not _persists(names, fields):
        return None
    body, host = data[match.end() :], fields[names.index(b"host")][1]
    if (host != authority) if authority else not is_host(host):
        return None
    return RequestHead(method, authority, path, fields, body) if _length(names, fields, 0) == len(body) else None


def read_response(data: bytes, method: str) -> ResponseHead | None:
    """Read the head of a plain response to `method`, and no more than its body after it."""
    if not (match := _RESPONSE.match(data)):
        return None
    fields = _read_fields(match[3])
    if fields is None:
        return None
    names = [name.lower() for name, _ in fields]
    if b"transfer-encoding" in names or not _persists(names, fields):
        return None
    status, body = int(match[1]), data[match.end() :]
    is_bare = has_no_body(method, status)
    size = _length(names, fields, 0 if is_bare else None)
    if size is None or len(body) > (size := 0 if is_bare else size):
        return None
    return ResponseHead(status, match[2], fields, size, body)


def _read_fields(block: bytes) -> RawFields | None:
    if b" \r\n" in block or b"\t\r\n" in block:  # white space after a value: to be left out, and rare
        return None
    return tuple(_FIELD.findall(block))


def _persists(names: list[bytes], fields: RawFields) -> bool:
    """Return whether nothing is said of the connection but that it goes on (RFC 9112, section 9.3)."""
    if b"connection" not in names:
        return True
    return names.count(b"connection") == 1 and fields[names.index(b"connection")][1].lower() == b"keep-alive"


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
