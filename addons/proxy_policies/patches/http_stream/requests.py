"""Requests on the way to an origin: notes the requested host, repeats failed dials, sends requests again."""

from weakref import WeakSet

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy.commands import Command
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http import GetHttpConnection, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseProtocolError,
)

from proxy_policies import trace
from proxy_policies.flows import flow_state
from proxy_policies.http1.framing import IDEMPOTENT
from proxy_policies.patch import Section
from proxy_policies.patches.generators import with_commands


class RequestedHost(HttpStream):
    """Notes the host of a request before any hook sees it."""

    def state_wait_for_request_headers(self, event: RequestHeaders) -> CommandGenerator[None]:
        """Note the host, and receive the request's head."""
        flow_state.note_requested_host(event.request, flow_state.host_of(event.request))
        yield from super().state_wait_for_request_headers(event)


_ending: WeakSet[Connection] = WeakSet()


def begin_no_more(connection: Connection) -> None:
    """Send requests elsewhere from now on: the peer on this connection accepts no more of them."""
    _ending.add(connection)


class GetUsableConnection(GetHttpConnection):
    """Asks for a connection, and for a new one if the last attempt failed: mitmproxy would repeat that result."""

    def connection_spec_matches(self, connection: Connection) -> bool:
        """Return whether a connection can be used."""
        has_failed = connection.error is not None and connection.state is ConnectionState.CLOSED
        return not has_failed and connection not in _ending and super().connection_spec_matches(connection)


_reported: WeakSet[Connection] = WeakSet()
"""Connections opened before there was a request, whose failure a request has had as its response."""


class Redialling(HttpStream):
    """Dials again for each request if the last attempt failed, except for the first, whose attempt that was."""

    def make_server_connection(self) -> CommandGenerator[bool]:
        """Get a connection to the origin."""
        opened, connecting = self.context.server, super().make_server_connection()
        if opened.error and opened not in _reported:
            _reported.add(opened)
        else:
            connecting = with_commands(connecting, _ask_for_usable_one)
        is_there: bool = yield from connecting
        return is_there


def _ask_for_usable_one(command: Command) -> Command:
    if not isinstance(command, GetHttpConnection):
        return command
    return GetUsableConnection(command.address, command.tls, command.via, command.transport_protocol)


class StaleConnection(ResponseProtocolError):
    """A connection ended, or was about to, before its peer processed the request sent on it."""

    reason = "the kept-alive connection to the origin had died"


class NotProcessed(StaleConnection):
    """An origin says that it has not processed a request; it may be sent again whatever its method."""

    reason = "the origin had not processed it"


class Retrying(layers.HttpStream):
    """Sends a request again if its kept-alive connection turns out to be dead (RFC 9112, section 9.3.1).

    An origin may close an idle connection at the moment we use it; mitmproxy answers 502 then.
    """

    _was_retried = False

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        """Try a new connection once, if that is safe."""
        if isinstance(event, StaleConnection) and self._may_be_retried(event):
            self._was_retried = True
            trace.note(self.flow, "retry", "sent again", event.reason)
            yield from self._send_again()
        else:
            yield from super().handle_protocol_error(event)

    def _may_be_retried(self, event: StaleConnection) -> bool:
        request = self.flow.request
        is_untouched = (
            self.client_state == self.state_done and self.server_state == self.state_wait_for_response_headers
        )
        is_kept = request.raw_content is not None and not request.stream
        is_harmless = isinstance(event, NotProcessed) or request.method.upper() in IDEMPOTENT
        return is_untouched and is_kept and is_harmless and not self._was_retried

    def _send_again(self) -> CommandGenerator[None]:
        if not (yield from self.make_server_connection()):
            return
        request, to = self.flow.request, self.context.server
        is_empty = not (request.raw_content or request.trailers)
        yield SendHttp(RequestHeaders(self.stream_id, request, is_empty), to)
        if request.raw_content:
            yield SendHttp(RequestData(self.stream_id, request.raw_content), to)
        if request.trailers:
            yield SendHttp(RequestTrailers(self.stream_id, request.trailers), to)
        yield SendHttp(RequestEndOfMessage(self.stream_id), to)


SECTIONS = (
    Section(
        mixin=RequestedHost,
        why="X-Forwarded-Host and Forwarded name the origin instead of the host the client asked for",
        upstream=(
            "not reported, a feature: in reverse mode, `host_header` is already the origin's in the first hook that "
            "sees the request"
        ),
        remove_when="mitmproxy keeps the host that the client asked for, or overwrites it only after `requestheaders`",
        test="tests/e2e/hops/test_hops.py::test_a_reverse_proxy_tells_whom_a_request_is_from",
    ),
    Section(
        mixin=Redialling,
        why="after a failed dial, no other is tried on the same client connection",
        upstream="not reported: send two requests on one connection and start the origin in between: 502 twice",
        remove_when="`HttpLayer.get_connection` dials again if a connection has failed",
        test="tests/e2e/reverse/test_reverse.py::test_a_dead_origin_is_502_until_it_is_back",
    ),
    Section(
        mixin=Retrying,
        why="a kept-alive connection that died while idle results in a 502",
        upstream="https://github.com/mitmproxy/mitmproxy/issues/3038",
        remove_when=(
            "mitmproxy sends an idempotent request again if its reused connection ended without a byte of response "
            "(RFC 9112, section 9.3.1)"
        ),
        test="tests/e2e/forward/test_refusals.py::test_a_dead_kept_alive_connection_is_tried_once_more",
    ),
)
