"""The side of the proxy that speaks HTTP/3 with its clients, checking requests as in every HTTP version.

mitmproxy accepts what aioquic accepts: targets with spaces or without a slash, methods that are not tokens.
"""

from __future__ import annotations

from typing import Any

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http._events import RequestHeaders, RequestProtocolError
from mitmproxy.proxy.layers.http._http3 import Http3Server

from proxy_policies.http1.sent_heads import error_response
from proxy_policies.patch import Companion
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http1.server import log_refusal
from proxy_policies.patches.multiplexed_heads import read_request
from proxy_policies.validity import Invalid


class Server(Http3Server):
    """Receives requests and sends responses."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._refused: list[Invalid] = []
        """Not logged yet."""

    def parse_headers(self, event: Any) -> Any:
        """Return a request; if it is invalid, answer it, and return an error of a stream that no layer handles."""
        if not self.context.options.validate_inbound_headers:
            return super().parse_headers(event)
        stream_id = event.stream_id
        try:
            request = read_request(event, b"HTTP/3")
        except Invalid as error:
            self._refuse(stream_id, error)
            return RequestProtocolError(stream_id, str(error), RequestProtocolError.code)
        return RequestHeaders(stream_id, request, end_stream=event.stream_ended)

    def _refuse(self, stream_id: int, error: Invalid) -> None:
        """Answer a refused request."""
        self._refused.append(error)
        response = error_response(error.status, str(error))
        fields = [(name.lower(), value) for name, value in response.headers.fields]
        self.h3_conn.send_headers(stream_id, [(b":status", b"%d" % error.status), *fields])
        self.h3_conn.send_data(stream_id, response.raw_content or b"", end_stream=True)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        """Log refusals; send fields that policies add, such as `Via`, in lower case without a log line for each."""
        for command in super()._handle_event(event):
            if not (isinstance(command, commands.Log) and command.message.startswith("Lowercased ")):
                yield command
        while self._refused:
            yield from log_refusal(self.conn, self._refused.pop())


COMPANION = Companion(
    owner=layers,
    attribute="Http3Server",
    wrap=in_place_of(Server),
    seen_on="12.2.1 to 12.3.1",
    why="invalid HTTP/3 requests are passed on, and each field that a policy adds is a log line",
    test="tests/e2e/messages/test_validity_http3.py::test_a_bad_target_is_refused",
    source_sha256={"12.2.1 to 12.3.1": "6d0d02bf46a1c2a364096b999adc5aa2bf5489af123064f06d4349312c99da98"},
)
