"""Interim responses: 102 (Processing) and 103 (Early Hints) go on to the client, and the final one is waited for.

mitmproxy takes any head for the final one (mitmproxy#2229): the client gets a 103 without an
end, and hangs. A 100 is swallowed: mitmproxy has asked for the body itself already.
"""

import functools
import re
import time
from collections.abc import Callable

import h2.events
from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ResponseHeaders
from mitmproxy.proxy.layers.http._http1 import Http1Client
from mitmproxy.proxy.layers.http._http2 import Http2Client, parse_h2_response_headers

from proxy_policies.patches.patch import Patch

Handler = Callable[..., CommandGenerator[None]]
Hearer = Callable[..., CommandGenerator[bool]]

_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d[ \r\n]")
_CONTINUE = 100
_SWITCHING = 101


def is_interim(status: int) -> bool:
    """Say whether another response follows; after 101 another protocol does."""
    return 100 <= status < 200 and status != _SWITCHING


def _reading(original: Handler) -> Handler:
    @functools.wraps(original)
    def read_headers(self: Http1Client, event: events.ConnectionEvent) -> CommandGenerator[None]:
        while isinstance(event, events.DataReceived) and self.request and (interim := _take(self)):
            if interim.status_code != _CONTINUE and self.stream_id is not None:
                yield ReceiveHttp(ResponseHeaders(self.stream_id, interim, end_stream=False))
        if self.buf or not isinstance(event, events.DataReceived) or not self.request:
            yield from original(self, event)

    return read_headers


def _take(client: Http1Client) -> http.Response | None:
    """Take an interim head out of the buffer, once it is there whole; a broken one counts as a 100."""
    if not _INTERIM.match(bytes(client.buf)):
        return None
    lines = client.buf.maybe_extract_lines()
    try:
        return http1.read_response_head([bytes(line) for line in lines]) if lines else None
    except ValueError:
        return http.Response.make(_CONTINUE)


def _hearing(original: Hearer) -> Hearer:
    @functools.wraps(original)
    def handle_h2_event(self: Http2Client, event: h2.events.Event) -> CommandGenerator[bool]:
        if not isinstance(event, h2.events.InformationalResponseReceived):
            return (yield from original(self, event))
        interim = _read(event)
        if interim is not None and interim.status_code != _CONTINUE:
            yield ReceiveHttp(ResponseHeaders(event.stream_id, interim, end_stream=False))
        return False

    return handle_h2_event


def _read(event: h2.events.InformationalResponseReceived) -> http.Response | None:
    try:
        status, headers = parse_h2_response_headers(event.headers)
    except ValueError:
        return None
    return http.Response(b"HTTP/2.0", status, b"", headers, None, None, time.time(), None)


def _waiting(original: Handler) -> Handler:
    @functools.wraps(original)
    def state_wait_for_response_headers(self: HttpStream, event: ResponseHeaders) -> CommandGenerator[None]:
        if is_interim(event.response.status_code):
            yield SendHttp(event, self.context.client)
        else:
            yield from original(self, event)

    return state_wait_for_response_headers


PATCHES = (
    Patch(
        owner=Http1Client,
        attribute="read_headers",
        wrap=_reading,
        versions="12.2",
        why="an interim response is taken for the final one, and the client hangs",
        issue="mitmproxy#2229",
    ),
    Patch(
        owner=Http2Client,
        attribute="handle_h2_event",
        wrap=_hearing,
        versions="12.2",
        why="interim responses of HTTP/2 origins are swallowed",
    ),
    Patch(
        owner=HttpStream,
        attribute="state_wait_for_response_headers",
        wrap=_waiting,
        versions="12.2",
        why="an interim response is taken for the final one, and the client hangs",
        issue="mitmproxy#2229",
    ),
)
