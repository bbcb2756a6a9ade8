"""Reads HTTP/1 request heads as mitmproxy's requests, holding them to what is valid (`proxy_policies.validity`)."""

import time

from mitmproxy import http
from mitmproxy.net.http import http1

from proxy_policies import validity
from proxy_policies.validity import Invalid

HEAD_LIMIT = 64 * 1024
"""The most bytes a head may have: 64 KiB is what Squid takes; nginx and Apache take less."""


def read_request(lines: list[bytes], strict: bool) -> tuple[http.Request, int | None]:
    """Read a request head, given as lines without their ends, and the size of its body as h11's readers take it.

    Not `strict`, mitmproxy's own reader has its say alone. Raises Invalid.
    """
    if sum(map(len, lines)) > HEAD_LIMIT:
        raise Invalid(f"The request head has over {HEAD_LIMIT} bytes.", 431)
    request = _read(lines) if strict else _read_as_mitmproxy(lines)
    try:
        return request, http1.expected_http_body_size(request)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _read(lines: list[bytes]) -> http.Request:
    line = validity.parse_request_line(lines[0])
    fields = validity.parse_fields(lines[1:])
    names_host = bool(line.authority)
    validity.check_host(
        fields, condition=line.version == b"HTTP/1.1" and not names_host, may_be_empty=names_host or line.path == b"*"
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
    """Return the host and port that a target names, as mitmproxy has them; "" and 0 where it names none."""
    if not authority:
        return "", 0
    host, port = validity.parse_address(authority)
    return name_of(host), port or validity.DEFAULT_PORTS[scheme]


def name_of(host: bytes) -> str:
    """Return a host as mitmproxy shows it and dials it: in Unicode, where its IDNA can be read and written again."""
    try:
        return host.decode("idna")
    except UnicodeError:  # IDNA 2008, say, which Python does not know
        return host.decode("ascii")


def _read_as_mitmproxy(lines: list[bytes]) -> http.Request:
    try:
        request = http1.read_request_head(lines)
    except (ValueError, IndexError) as error:
        raise Invalid(str(error)) from error
    if request.data.http_version[:7] != b"HTTP/1.":
        raise Invalid(f"{request.http_version} is not spoken here, HTTP/1.1 is.", 505)
    if request.method == "CONNECT" and not request.host:
        raise Invalid("CONNECT names no host and port.")
    return request


def host_of_target(request: http.Request) -> bytes | None:
    """Return what Host must say by an absolute-form target, which overrules it (RFC 9112, section 3.2.2)."""
    return request.data.authority if request.first_line_format == "absolute" else None
