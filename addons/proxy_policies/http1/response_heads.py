"""Reads and validates response heads (RFC 9112, sections 4 to 6; `proxy_policies.validity`).

Line by line: plain ones are parsed by `plain_messages`. Pure, except for the timestamp it sets.
"""

from __future__ import annotations

import time

from mitmproxy import http
from mitmproxy.net.http import http1

from proxy_policies import validity
from proxy_policies.fields import Fields, tokens
from proxy_policies.validity import Invalid

HEAD_LIMIT = 256 * 1024
"""The most bytes of a response head: Chromium's limit, the highest of any browser."""
SWITCHING_PROTOCOLS = 101


def read_response_head(head: bytes, request: http.Request) -> tuple[http.Response, int | None]:
    """Parse a response head, including its end; return it and its body's size, as for h11's readers. Raises Invalid."""
    check_size(len(head))
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return read_response(lines, request)


def read_response(lines: list[bytes], request: http.Request, strict: bool = True) -> tuple[http.Response, int | None]:
    """Parse the head of a response to `request`; return it and its body's size, as for h11's readers.

    If not `strict`, only mitmproxy's own parser is used. Raises Invalid.
    """
    check_size(sum(map(len, lines)) + 2 * len(lines) + 2)  # including line ends
    try:
        response = _read(lines, request) if strict else http1.read_response_head(lines)
        return response, http1.expected_http_body_size(request, response)
    except (ValueError, IndexError) as error:
        raise Invalid(str(error)) from error


def check_size(size: int) -> None:
    """Raise Invalid if a head, complete or not, has too many bytes."""
    if size > HEAD_LIMIT:
        raise Invalid(f"the response head has over {HEAD_LIMIT} bytes")


def _read(lines: list[bytes], request: http.Request) -> http.Response:
    if not lines:
        raise Invalid("an empty line where a status line should be")
    line = validity.parse_status_line(lines[0])
    fields = validity.parse_fields(validity.unfolded(lines[1:]))
    validity.check_codings(fields)
    if line.status == SWITCHING_PROTOCOLS:
        check_switch(Fields(request.headers.fields), Fields(fields))
    return http.Response(
        http_version=line.version,
        status_code=line.status,
        reason=line.reason,
        headers=http.Headers(fields),
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )


def check_switch(asked: Fields, answered: Fields) -> None:
    """Raise Invalid if a response switches to a protocol that was not requested (RFC 9110, section 7.8)."""
    wanted = tokens(asked.get("Upgrade")) if "upgrade" in tokens(asked.get("Connection")) else []
    if not set(tokens(answered.get("Upgrade"))) & set(wanted):
        raise Invalid("101 (Switching Protocols) to a request that did not ask for it")
