"""Plain messages, which are most: every HTTP/1.1 parser reads their heads alike, so that one expression parses them.

mitmproxy's messages are made of the parsed parts: its own constructors check and convert every part once more.
"""

from __future__ import annotations

import random
import re
import time
from functools import lru_cache
from typing import NamedTuple

from mitmproxy import http
from mitmproxy.connection import Client, Server

from proxy_policies import validity
from proxy_policies.fields import Fields, RawFields, set_fields
from proxy_policies.http1 import request_heads, response_heads
from proxy_policies.http1.framing import RAW_VERSION, has_no_body

REQUEST_BODY_LIMIT = 1024 * 1024
"""Largest request body, in bytes, that is not streamed."""
_DISQUALIFYING = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer", "http2-settings"})
"""Request fields after which something other than a plain exchange may follow."""

_FIELD_LINES = rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)++)\r\n"
"""Matches a head's plain fields and the empty line after them. Possessive, so that one pass is enough for any head."""
_FIELD = re.compile(rb"([^:]++):[\t ]*+([^\r]*+)\r\n")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,15}")
_TARGET = rb"(?:http://([0-9A-Za-z.\-]++(?::[1-9][0-9]{0,4}+)?+))?+(/[!\"$-~]*+)"
_REQUEST = re.compile(rb"([A-Z]{1,20}+) " + _TARGET + rb" HTTP/1\.1\r\n" + _FIELD_LINES)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([!-~][ -~]*+)\r\n" + _FIELD_LINES)

_random = random.Random()  # noqa: S311 -- ids are no secrets
"""Ours alone: a script that seeds the module's, so as to decide the same for the same URL, would repeat ids."""


# Heads


class RequestHead(NamedTuple):
    """The head of a plain request."""

    method: bytes
    authority: bytes
    """That of a target in absolute form, else empty (RFC 9112, section 3.2)."""
    path: bytes
    fields: Fields
    length: int
    """Bytes of the body."""
    persists: bool
    """The client allows the connection to persist."""
    host: str = ""
    """The field Host."""


def read_plain_request(head: bytes) -> RequestHead | None:
    """Parse the head of a plain request, including its end; return None for any other."""
    match = _REQUEST.fullmatch(head)
    if match is None or len(head) > request_heads.HEAD_LIMIT:
        return None
    method, authority, path, block = match.groups(b"")
    section = None if method in (b"CONNECT", b"TRACE") else _read_section(block)
    if section is None or not (section.host == authority if authority else section.names_host):
        return None
    fields, length, persists, host, _ = section
    return RequestHead(method, authority, path, fields, length, persists, host.decode("utf-8", "surrogateescape"))


class _Section(NamedTuple):
    """The field section of a plain request."""

    fields: Fields
    length: int
    persists: bool
    host: bytes
    names_host: bool
    """Host is the name of a host."""


@lru_cache(maxsize=64)  # a client's requests usually have the same fields
def _read_section(block: bytes) -> _Section | None:
    """Parse the field lines of a plain request; return None for any other."""
    lines = _read_fields(block)
    if lines is None:
        return None
    fields = Fields(lines)
    hosts = fields.raw_lines("host")
    if len(hosts) != 1 or fields.has_any(_DISQUALIFYING):
        return None
    persists, length, host = _persists(fields), _content_length(fields, 0), hosts[0]
    if persists is None or length is None or length > REQUEST_BODY_LIMIT:
        return None
    return _Section(fields, length, persists, host, validity.is_host(host))


def _persists(fields: Fields) -> bool | None:
    """Return whether the connection persists (RFC 9112, section 9.3); None for other connection options."""
    match [value.lower() for value in fields.raw_lines("connection")]:
        case [] | [b"keep-alive"]:
            return True
        case [b"close"]:
            return False
        case _:
            return None


def read_plain_response(head: bytes, method: bytes) -> tuple[http.Response, int] | None:
    """Parse the head of a plain response, including its end; return it and its body's size, None for any other."""
    match = _RESPONSE.fullmatch(head)
    lines = _read_fields(match[3]) if match else None
    if match is None or lines is None or len(head) > response_heads.HEAD_LIMIT:
        return None
    fields = Fields(lines)
    if "transfer-encoding" in fields:
        return None
    status = int(match[1])
    is_bare = has_no_body(method.decode("latin-1").upper(), status)
    size = _content_length(fields, 0 if is_bare else None)
    if size is None:
        return None
    return new_response(status, match[2], fields), 0 if is_bare else size


def _read_fields(block: bytes) -> RawFields | None:
    """Return the fields of such lines; None if white space after a value would have to be stripped."""
    if block.count(b" \r\n") or block.count(b"\t\r\n"):  # `in` first raises and drops an exception
        return None
    return tuple(_FIELD.findall(block))


def _content_length(fields: Fields, otherwise: int | None) -> int | None:
    """Return Content-Length in bytes, `otherwise` if absent; None if it is not one plain number."""
    match fields.raw_lines("content-length"):
        case ():
            return otherwise
        case [value] if _LENGTH.fullmatch(value):
            return int(value)
        case _:
            return None


# mitmproxy's messages


def new_flow(client: Client, server: Server) -> http.HTTPFlow:
    """Return the flow of a request that is in progress."""
    flow = http.HTTPFlow.__new__(http.HTTPFlow)
    # In the order in which mitmproxy sets them.
    flow.id, flow.client_conn, flow.server_conn, flow.live = _uuid(), client, server, True
    flow.timestamp_created, flow.intercepted = time.time(), False
    flow._resume_event, flow._backup = None, None
    flow.marked, flow.is_replay, flow.metadata, flow.comment = "", None, {}, ""
    return flow


def _uuid() -> str:
    """Return a random UUID (RFC 9562, section 5.4), without a system call."""
    digits = f"{_random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def new_request(
    host: str, port: int, method: bytes, scheme: bytes, authority: bytes, path: bytes, fields: Fields
) -> http.Request:
    """Return a request in our version, of which only the head has been received."""
    request, data = http.Request.__new__(http.Request), http.RequestData.__new__(http.RequestData)
    _set_head(data, fields)
    data.host, data.port = host, port
    data.method, data.scheme, data.authority, data.path = method, scheme, authority, path
    request.data = data
    return request


def new_response(status: int, reason: bytes, fields: Fields) -> http.Response:
    """Return a response in our version, of which only the head has been received."""
    response, data = http.Response.__new__(http.Response), http.ResponseData.__new__(http.ResponseData)
    _set_head(data, fields)
    data.status_code, data.reason = status, reason
    response.data = data
    return response


def _set_head(data: http.MessageData, fields: Fields) -> None:
    data.http_version, data.headers = RAW_VERSION, http.Headers.__new__(http.Headers)
    set_fields(data.headers, fields)
    data.content, data.trailers = None, None
    data.timestamp_start, data.timestamp_end = time.time(), None
