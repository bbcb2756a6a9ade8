"""Which messages are valid enough to be passed on, in every HTTP version (RFC 9110, RFC 9112, RFC 9113).

The same rules apply to requests and responses in every mode. Pure; functions return the parsed value or raise
`Invalid`. Three rules differ from the grammar: bytes over 0x7f are allowed in a path (nginx, Squid and Varnish pass
raw UTF-8 on), a comma is not allowed in a host (joined Host lines would look like one host), and a host has at most 255
bytes, as in DNS.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from proxy_policies.fields import RawFields

LONGEST_HOST = 255
"""Bytes: RFC 1035, section 2.3.4."""
LARGEST_LENGTH = 2**63 - 1
"""The largest valid Content-Length, in bytes: origins use signed 64-bit integers (nginx, Go, Java)."""
DEFAULT_PORTS = {b"http": 80, b"https": 443}

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TEXT = rb"[\t -~\x80-\xff]*+"  # field-vchar, SP, HTAB (RFC 9110, section 5.5): no CR, LF, NUL or other control
_METHOD = re.compile(_TOKEN)
_PATH = re.compile(rb"/[!\"$-~\x80-\xff]*+")
_ABSOLUTE = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*+)://([^/?#]*+)([^#]*+)")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"):[ \t]*+(" + _TEXT + rb")")
_NAME, _VALUE = re.compile(_TOKEN), re.compile(_TEXT)
_BLANK_BEFORE_COLON = re.compile(rb"(" + _TOKEN + rb")[ \t]++:")
_REQUEST_LINE = re.compile(rb"([^ ]++) ([^ ]++) HTTP/([0-9])\.([0-9])")
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: (" + _TEXT + rb"))?")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_CODINGS = re.compile(rb"(?:(?:x-)?(?:gzip|compress)|deflate)([ \t]*+,[ \t]*+chunked)?", re.IGNORECASE)
"""A valid Transfer-Encoding with other codings than `chunked`; `http1/framing.py` rejects invalid ones."""
_AUTHORITY = re.compile(
    rb"(\[[0-9A-Fa-f:.]++(?:%[0-9A-Za-z\-._~]++)?\]|(?:[0-9A-Za-z\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*+)(?::([0-9]{0,5}+))?"
)
_DNS_NAME = re.compile(rb"[0-9A-Za-z_\-]{1,63}(?:\.[0-9A-Za-z_\-]{1,63})*+\.?")

FORBIDDEN_TRAILERS = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"trailer"),
        *(b"transfer-encoding", b"content-length", b"host"),
        *(b"cache-control", b"expect", b"max-forwards", b"pragma", b"range"),
        *(b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range"),
        *(b"authorization", b"proxy-authorization", b"www-authenticate", b"proxy-authenticate"),
        *(b"cookie", b"set-cookie", b"authentication-info", b"proxy-authentication-info"),
        *(b"age", b"date", b"expires", b"location", b"retry-after", b"vary", b"warning", b"via"),
        *(b"content-encoding", b"content-type", b"content-range"),
    }
)
"""Fields not allowed in trailers: framing, routing, control, authentication, content format (RFC 9110, 6.5.1)."""


class Invalid(ValueError):
    """The message is invalid and is not passed on. The text is printable ASCII; `status` is that of the response."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class RequestLine(NamedTuple):
    """A request's method and target; `authority` and `scheme` are empty unless the target has them."""

    method: bytes
    scheme: bytes
    authority: bytes
    path: bytes
    """Origin-form, or `*`; empty for CONNECT."""
    version: bytes
    """HTTP/1.0, or HTTP/1.1 for that and later minor versions (RFC 9110, section 2.5)."""


class StatusLine(NamedTuple):
    """A response's status and reason phrase."""

    version: bytes
    status: int
    reason: bytes


def shown(data: bytes) -> str:
    """Return the beginning of a peer's data as printable ASCII, for messages."""
    return repr(data if len(data) <= 80 else data[:80] + b"...")[1:]


# Requests


def parse_request_line(line: bytes) -> RequestLine:
    """Return the parts of a request line (RFC 9112, section 3)."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Invalid(f"The request line is not valid: {shown(line)}")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise Invalid(f"HTTP/{major.decode()}.{minor.decode()} is not supported. Use HTTP/1.1.", 505)
    check_method(method)
    return RequestLine(method, *_parse_target(method, target), _version(minor))


def _version(minor: bytes) -> bytes:
    return b"HTTP/1.0" if minor == b"0" else b"HTTP/1.1"


def check_method(method: bytes) -> None:
    """Raise Invalid for a method that is not a token, or is CONNECT or HEAD in another case.

    The latter's responses could be framed wrongly, as some servers ignore case.
    """
    if not _METHOD.fullmatch(method):
        raise Invalid(f"The method is not a token: {shown(method)}")
    if method.upper() in (b"CONNECT", b"HEAD") and not method.isupper():
        raise Invalid(f"Methods are case-sensitive; unknown method {shown(method)}.", 501)


def _parse_target(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes]:
    """Return scheme, authority and path of a target, in one of its four forms (RFC 9112, section 3.2)."""
    if method == b"CONNECT":
        if not parse_destination(target).port:
            raise Invalid("CONNECT names no port.")
        return b"", target, b""
    if target.startswith(b"/") or target == b"*":
        check_path(method, target)
        return b"", b"", target
    match = _ABSOLUTE.fullmatch(target)
    if match is None or (scheme := match[1].lower()) not in DEFAULT_PORTS:
        raise Invalid(f"The request target is not valid: {shown(target)}")
    parse_destination(match[2])
    path = _absolute_path(method, match[3])
    check_path(method, path)
    return scheme, match[2], path


def _absolute_path(method: bytes, rest: bytes) -> bytes:
    """Return the path of an absolute-form target, which may be empty (RFC 9112, sections 3.2.1 and 3.2.4)."""
    if rest.startswith(b"/"):
        return rest
    return b"*" if not rest and method == b"OPTIONS" else b"/" + rest


def check_path(method: bytes, path: bytes) -> None:
    """Raise Invalid for a path and query with a fragment, space or control character, and for `*` except in OPTIONS."""
    if not (_PATH.fullmatch(path) or (path == b"*" and method == b"OPTIONS")):
        raise Invalid(f"The request target is not valid: {shown(path)}")


def check_multiplexed(method: bytes, scheme: bytes, authority: bytes, path: bytes, fields: RawFields) -> None:
    """Raise Invalid for an invalid request on an HTTP/2 or HTTP/3 stream (RFC 9113, section 8.3.1), and for CONNECT."""
    check_method(method)
    if method == b"CONNECT":  # also with `:protocol` (RFC 8441), which our SETTINGS do not offer
        raise Invalid("CONNECT is supported over HTTP/1.1 only.", 501)
    if scheme not in DEFAULT_PORTS:
        raise Invalid(f"The scheme is not http or https: {shown(scheme)}")
    check_path(method, path)
    if authority and not parse_authority(authority).host:
        raise Invalid(f"The host is not valid: {shown(authority)}")
    check_fields(fields)
    check_host(fields, is_required=not authority, may_be_empty=False)
    if authority and any(name == b"host" and not _are_same(scheme, value, authority) for name, value in fields):
        raise Invalid("Host is not :authority.")
    check_multiplexed_fields(fields)


def _are_same(scheme: bytes, authority: bytes, other: bytes) -> bool:
    """Return whether authorities differ at most in case and in stating the default port (RFC 3986, section 6.2.3)."""
    places = {(host.lower(), port or DEFAULT_PORTS[scheme]) for host, port in map(parse_authority, (authority, other))}
    return len(places) == 1


_HOP_FIELDS = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))


def check_multiplexed_fields(fields: RawFields) -> None:
    """Raise Invalid for a field that only HTTP/1 may have: padded, in capitals, or of a connection (RFC 9113, 8.2)."""
    for name, value in fields:
        if name != name.lower() or value != value.strip(b" \t"):
            raise Invalid(f"The field line is not valid over HTTP/2 and HTTP/3: {shown(name + b': ' + value)}")
        if name in _HOP_FIELDS or (name == b"te" and value.lower() != b"trailers"):
            raise Invalid(f"{name.decode()} is not allowed over HTTP/2 and HTTP/3.")


class HostPort(NamedTuple):
    """The host and port of an authority."""

    host: bytes
    """As received, without the brackets of an IPv6 address."""
    port: int | None


@lru_cache(maxsize=1024)
def parse_authority(authority: bytes) -> HostPort:
    """Parse `uri-host [":" port]` (RFC 3986, section 3.2, without userinfo); the host may be empty."""
    match = _AUTHORITY.fullmatch(authority) if len(authority) <= LONGEST_HOST + 6 else None
    if match is None or len(match[1]) > LONGEST_HOST:
        raise Invalid(f"The host is not valid: {shown(authority)}")
    host, port = match[1], int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65536:
        raise Invalid(f"The port is not valid: {shown(authority)}")
    if not host.startswith(b"["):
        return HostPort(host, port)
    try:
        ipaddress.IPv6Address(host[1:-1].decode())
    except ValueError:
        raise Invalid(f"The address is not valid: {shown(authority)}") from None
    return HostPort(host[1:-1], port)


@lru_cache(maxsize=1024)
def is_host(value: bytes) -> bool:
    """Return True if this is a valid and not empty value of a Host field."""
    try:
        return bool(parse_authority(value).host)
    except Invalid:
        return False


def parse_destination(authority: bytes) -> HostPort:
    """Parse an authority to connect to: its host is an IP address or a possible DNS name."""
    address = parse_authority(authority)
    if b":" not in address.host and not _DNS_NAME.fullmatch(address.host):
        raise Invalid(f"The host is not valid: {shown(authority)}")
    return address


def check_host(fields: RawFields, *, is_required: bool, may_be_empty: bool) -> None:
    """Raise Invalid for an invalid Host, for several, and for none if it is required (RFC 9112, section 3.2)."""
    hosts = [value for name, value in fields if name.lower() == b"host"]
    if len(hosts) > 1:
        raise Invalid("The request has more than one Host.")
    if not hosts:
        if is_required:
            raise Invalid("The request has no Host.")
        return
    if not parse_authority(hosts[0]).host and not may_be_empty:
        raise Invalid("The request has an empty Host.")


# Responses


def parse_status_line(line: bytes) -> StatusLine:
    """Return the parts of a status line (RFC 9112, section 4); without a reason phrase, the last space is optional."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise Invalid(f"the status line is not valid: {shown(line)}")
    return StatusLine(_version(match[1]), int(match[2]), match[3] or b"")


def unfolded(lines: Iterable[bytes]) -> list[bytes]:
    """Return a response's field lines with folds as spaces, and no space before a colon (RFC 9112, 5.1 and 5.2)."""
    whole: list[bytes] = []
    for line in lines:
        if line[:1] not in (b" ", b"\t"):
            blank = _BLANK_BEFORE_COLON.match(line)
            whole.append(blank[1] + line[blank.end(1) :].lstrip(b" \t") if blank else line)
        elif whole:
            whole[-1] = whole[-1].rstrip(b" \t") + b" " + line.strip(b" \t")
        else:
            raise Invalid("the head begins with a folded line")
    return whole


# Fields


def parse_fields(lines: Iterable[bytes]) -> RawFields:
    """Return the fields of lines (RFC 9112, section 5) without their ends; Content-Length becomes one number."""
    fields = []
    for line in lines:
        match = _FIELD_LINE.fullmatch(line)
        if match is None:
            raise Invalid(f"The field line is not valid: {shown(line)}")
        name, value = match.groups()
        fields.append((name, value.rstrip(b" \t")))
    return with_one_length(tuple(fields))


def check_fields(fields: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise Invalid for a name that is not a token, or a value with a control character (RFC 9110, section 5.5)."""
    for name, value in fields:
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise Invalid(f"The field line is not valid: {shown(name + b': ' + value)}")


def check_codings(fields: RawFields) -> None:
    """Raise Invalid for compression as a transfer coding, which we never request with TE (RFC 9112, section 7.4).

    It cannot be passed on to HTTP/1.0 or HTTP/2, nor be stored, without decoding it. The status is 501 if the message's
    length is known nevertheless, else 400 (section 6.1).
    """
    for name, value in fields:
        if name.lower() == b"transfer-encoding" and (coded := _CODINGS.fullmatch(value)):
            status = 501 if coded[1] else 400
            raise Invalid(f"No transfer coding but chunked is supported: {shown(value)}", status)


def with_one_length(fields: RawFields) -> RawFields:
    """Return the fields with Content-Length as one number; repetitions must be equal (RFC 9110, section 8.6)."""
    values = [value for name, value in fields if name.lower() == b"content-length"]
    if not values:
        return fields
    members = {member.strip(b" \t") for value in values for member in value.split(b",")}
    text = members.pop()
    if members or not _LENGTH.fullmatch(text) or int(text) > LARGEST_LENGTH:
        raise Invalid(f"Content-Length is not valid: {shown(b', '.join(values))}")
    if values == [plain := b"%d" % int(text)]:
        return fields
    return _with_length(fields, plain)


def _with_length(fields: RawFields, length: bytes) -> RawFields:
    """Return the fields with one Content-Length, at the place of the first."""
    lines: dict[int, tuple[bytes, bytes]] = {}
    first = -1
    for at, (name, value) in enumerate(fields):
        if name.lower() != b"content-length":
            lines[at] = name, value
        elif first < 0:
            lines[first := at] = name, length
    return tuple(lines.values())


def without_forbidden_trailers(fields: RawFields) -> RawFields:
    """Return the fields that are allowed in trailers; a recipient may drop the others (RFC 9110, section 6.5.1)."""
    check_fields(fields)
    return tuple(line for line in fields if line[0].lower() not in FORBIDDEN_TRAILERS)
