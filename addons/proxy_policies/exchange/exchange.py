"""One request and its response without mitmproxy's layers: the same hooks, in the same order, with the same flows.

`Exchange.run` follows an exchange from start to end. Requests that it cannot handle are recognised by their head
before any hook is triggered (`http1.plain_messages`, `connection.fast_path_guard`); after that it handles everything.
"""

from __future__ import annotations

import functools
import time
from typing import Protocol

from mitmproxy import ctx, http
from mitmproxy import flow as flows
from mitmproxy.connection import Client
from mitmproxy.net.http import url
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layers.http._hooks import (
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)
from mitmproxy.proxy.mode_specs import ReverseMode

from proxy_policies import trace
from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.exchange.body_sender import BodySender, seconds_to_flush
from proxy_policies.exchange.client_side import ClientLeft, ClientPresence, ResponseWriter, SplitError
from proxy_policies.exchange.origin_connections import Destination, OriginError, Origins
from proxy_policies.exchange.tls_handshake import Trigger
from proxy_policies.exchange.upstream import Upstream
from proxy_policies.fields import Fields
from proxy_policies.finished import flow_records, reporting
from proxy_policies.flows import flow_state
from proxy_policies.flows.request_summary import RequestSummary
from proxy_policies.http1.framing import RAW_VERSION, incomplete
from proxy_policies.http1.plain_messages import RequestHead, new_flow, new_request
from proxy_policies.http1.sent_heads import error_response
from proxy_policies.streaming.addon import reattach
from proxy_policies.streaming.decision import BUFFER_LIMIT, BUFFERED_FOR, known_length


class Killed(Exception):
    """An addon has killed the flow."""


class ExchangeClient(Protocol):
    """A client's connection, as far as an exchange needs it."""

    client: Client
    stream: ByteStream
    destination: Destination | None
    """The destination of requests that name none."""
    trigger: Trigger

    @property
    def origins(self) -> Origins:
        """Its connections to origins."""


class Exchange:
    """An exchange in progress."""

    def __init__(self, connection: ExchangeClient, head: RequestHead, destination: Destination) -> None:
        self._connection, self._head, self._trigger = connection, head, connection.trigger
        self._client = connection.stream
        self.writer = ResponseWriter(self._client, head)
        self.is_reading = bool(head.length)
        """The exchange waits for more of the request's body."""
        self.flow = _begin(connection, head, destination)
        self.is_recorded = False
        """Keep the bytes of a cached response in `writer.wire`."""
        self.report: reporting.Record | None = None
        """How it ended, if there are subscribers."""
        self._is_answered = False
        """The `response` hook was triggered, so `error` must not be."""
        self.presence = ClientPresence(self.flow, self.writer)
        self._upstream = Upstream(self.flow, connection.origins, self.presence, self.writer)
        self._is_timed_out = False
        self._body_sender: BodySender | None = None
        """Sends a body that is not sent at once."""

    @property
    def is_learnable(self) -> bool:
        """Return whether identical bytes may get the same response: the request had no body, and no error occurred."""
        return self._is_answered and self.flow.error is None and not self._head.length

    async def run(self) -> bool:
        """Run the exchange to its end; return True if the client's connection may persist."""
        try:
            await self._receive()
        except Killed:
            self._upstream.close()
            self.cut_client()
        except ClientLeft as error:
            await self._end_without_client(str(error))
        finally:
            self.flow.live = False
            self.presence.close()
            self._upstream.close()
            if self._body_sender is not None:
                self._body_sender.cancel()
            if reporting.SUBSCRIBERS:
                self.report_now()
        return self.writer.persists and not self.presence.why_left and not self._client.is_closed

    @property
    def client_id(self) -> str:
        """The id of the client."""
        return self._connection.client.id

    def report_now(self, error: str = "") -> None:
        """Report the exchange in its present state, once; `error` replaces its own."""
        if self.report is not None:
            return
        head, writer = self._head, self.writer
        target = b"http://%s%s" % (head.authority, head.path) if head.authority else head.path
        request = RequestSummary.of(head.method, target, RAW_VERSION, head.fields.raw)
        received = head.length if writer.is_request_read else min(head.length, len(self._client.received))
        made = flow_records.of_request(self.flow, request, writer.status, writer.body_sent, received)
        made.error = error or made.error
        self.report = made
        reporting.report(made)

    # The request

    async def _receive(self) -> None:
        flow, request = self.flow, self.flow.request
        await self._ask(HttpRequestHeadersHook)
        if flow.response and self._head.length:
            await self._answer()  # whatever the client still has to send
            if self.writer.persists:
                await self._body()  # discard it: it is not a request
            return
        request.data.content = await self._body()
        request.timestamp_end = time.time()
        await self._ask(HttpRequestHook)
        if flow.response:
            flow.response.timestamp_start = time.time()
            await self._answer()
        else:
            await self._forward()

    async def _body(self) -> bytes:
        """Return the request's body once it is complete."""
        length, client = self._head.length, self._client
        while len(client.received) < length:
            if not await self.presence.wait(client.wait()):
                raise ClientLeft(f"HTTP/1 protocol error: {incomplete(len(client.received), length)}")
        body = bytes(client.received[:length])
        del client.received[:length]
        self.is_reading, self.writer.is_request_read = False, True
        client.start_reading()
        return body

    # The origin

    async def _forward(self) -> None:
        """Forward the request, and pass the response on."""
        flow, upstream = self.flow, self._upstream
        try:
            flow.response = await upstream.request()
            await self._ask(HttpResponseHeadersHook)
            if flow.response.stream and upstream.size != 0:
                await self._stream_body(b"")
            else:
                await self._buffer_body()
            upstream.finish()
        except OriginError as error:
            upstream.close()
            await self._fail(str(error), 502)

    # The response's body

    async def _buffer_body(self) -> None:
        """Buffer the whole body, unless it may never end."""
        upstream = self._upstream
        pieces, until = [upstream.received()], None
        if (upstream.size is None or upstream.size < 0) and self._may_never_end():
            until = time.monotonic() + BUFFERED_FOR
        while not upstream.is_finished:
            piece = await upstream.more(until and until - time.monotonic())
            if piece is not None:
                pieces.append(piece)
            elif sum(map(len, pieces)) < BUFFER_LIMIT:
                trace.note(self.flow, "streaming", "response streamed", f"it has not ended within {BUFFERED_FOR:.0f} s")
                self._response.stream = True
                await self._stream_body(b"".join(pieces))
                return
            else:
                until = time.monotonic() + BUFFERED_FOR
        self._response.data.content = b"".join(pieces)
        self._take_trailers()
        await self._send_response()

    def _may_never_end(self) -> bool:
        state = flow_state.state_of(self.flow)
        is_ours = state.is_awaited_whole or state.source is not None
        return state.origin is not None and not is_ours and known_length(self._response) is None

    async def _stream_body(self, buffered: bytes) -> None:
        """Send the body as it arrives, after the part already buffered."""
        response, upstream, sender = self._response, self._upstream, self._new_body_sender()
        reattach(response, flow_state.state_of(self.flow).response_body)
        self._send_head(response, length=None if response.raw_content is None else len(response.raw_content))
        sender.kept = [] if ctx.options.store_streamed_bodies else None
        await sender.send(buffered + upstream.received(), response.stream)
        while not upstream.is_finished:
            piece = await upstream.more(seconds_to_flush(response.stream))
            if piece is None:
                await sender.flush(response.stream)
            else:
                await sender.send(piece, response.stream)
        await sender.end(response.stream)
        if sender.kept is not None:
            response.data.content = b"".join(sender.kept)
        self._take_trailers()
        await self._send_response(is_streamed=True)

    def _new_body_sender(self) -> BodySender:
        self._body_sender = BodySender(self.flow, self._client, self.writer, self.presence)
        return self._body_sender

    def _take_trailers(self) -> None:
        if (trailers := self._upstream.trailers) is not None:
            self._response.trailers = trailers

    # The response

    @property
    def _response(self) -> http.Response:
        response = self.flow.response
        assert response is not None  # noqa: S101 -- there is one in every place that asks
        return response

    async def _answer(self) -> None:
        """Send the response that an addon set."""
        await self._ask(HttpResponseHeadersHook)
        await self._send_response()

    async def _send_response(self, is_streamed: bool = False) -> None:
        response, source = self._response, flow_state.state_of(self.flow).source
        response.timestamp_end = time.time()
        await self._trigger(HttpResponseHook, self.flow)
        self._is_answered = True
        response = self._response
        if source is not None and not is_streamed:
            await self._send_stored(response, source)
            return
        self._check_ended()
        if not is_streamed:
            content, trailers = response.data.content, response.data.trailers
            length = len(content) if content is not None else None if trailers else 0
            self._send_head(response, length, content or b"")
        if self._body_sender is not None:
            try:
                await self._body_sender.finish()
            except OSError:
                self.cut_client()
        if self.presence.is_response_wanted:
            self.writer.send_end(response.trailers.fields if response.trailers else ())
        self.flow.live = False

    def _send_head(self, response: http.Response, length: int | None, body: bytes = b"") -> None:
        if not self.presence.is_response_wanted:
            return
        if self.is_recorded and self.writer.wire is None and flow_state.state_of(self.flow).hit:
            self.writer.wire = []
        try:
            self.writer.send_head(response, length, body)
        except SplitError as error:
            self._send_error(str(error), 502)

    async def _send_stored(self, response: http.Response, source: flow_state.Source) -> None:
        """Send a stored body at the client's pace."""
        pipeline = flow_state.state_of(self.flow).response_body
        response.raw_content = None
        try:
            self._check_ended()
            self._send_head(response, length=None)
            await self._new_body_sender().send_stored(source, pipeline, self._check_ended)
            self.writer.send_end(response.trailers.fields if response.trailers else ())
        except OSError:
            for part in pipeline.flush():  # send what was read before the error
                self.writer.send(part)
            self.cut_client()
        finally:
            pipeline.abort()  # no effect if the body is complete
            await source.close()

    # What goes wrong

    async def _fail(self, message: str, status: int) -> None:
        """Handle an origin's failure; a policy may answer in its place if nothing was sent yet."""
        before = self.flow.response
        if not self._is_answered:
            self.flow.error = flows.Error(message)
            await self._trigger(HttpErrorHook, self.flow)
            if self._has_another_response(before):
                state = flow_state.state_of(self.flow)
                state.origin, state.response_pipeline, self.flow.error = None, None, None
                await self._answer()
                return
        self._check_ended()
        if self.writer.is_begun:
            self.cut_client()
        else:
            self._send_error(message, status)

    def _has_another_response(self, before: http.Response | None) -> bool:
        response = self.flow.response
        return response is not None and response is not before and not self.writer.is_begun

    def _send_error(self, message: str, status: int) -> None:
        response = error_response(status, message)
        fields = flow_state.state_of(self.flow).error_fields.raw
        response.headers = http.Headers((*response.headers.fields, *fields))
        content = response.raw_content or b""
        if self.presence.is_response_wanted:
            self.writer.send_head(response, len(content), content)
            self.writer.send_end()

    async def _end_without_client(self, why: str) -> None:
        self.presence.why_left = why
        flow_state.state_of(self.flow).client_left = True
        self._upstream.close()
        if not self._is_answered:
            self.flow.error = self.flow.error or flows.Error(why)
            await self._trigger(HttpErrorHook, self.flow)
        if not self._is_timed_out:  # otherwise it may still be sending, and has a response to read
            self.cut_client()

    def cut_client(self) -> None:
        """Close the client's connection in the middle of a response."""
        self.writer.persists = False
        if self.writer.must_be_cut:
            self._client.reset()
        else:
            self._client.close(says_end=False)

    # Waiting

    async def _ask(self, hook: type[StartHook]) -> None:
        """Trigger a hook, then `error` if an addon killed the flow; raise as `_check_ended` does."""
        await self._trigger(hook, self.flow)
        if self.flow.error is not None and self._is_killed:
            await self._trigger(HttpErrorHook, self.flow)
        self._check_ended()

    def _check_ended(self) -> None:
        """Raise Killed if an addon killed the flow, or ClientLeft if the client left while a hook was running."""
        if self.flow.error is not None and self._is_killed:
            raise Killed
        if self.presence.why_left:
            self.presence.check()

    @property
    def _is_killed(self) -> bool:
        return self.flow.error is not None and self.flow.error.msg == flows.Error.KILLED_MESSAGE

    def time_out(self, why: str) -> None:
        """End an exchange whose request body does not arrive, with a 408 if unanswered (RFC 9110, section 15.5.9)."""
        self._is_timed_out, self.writer.persists = True, False
        if not self.writer.is_begun:
            self._send_error(f"closing connection: {why}", 408)
        self.presence.left(f"HTTP/1 protocol error: {why}")


def _begin(connection: ExchangeClient, head: RequestHead, destination: Destination) -> http.HTTPFlow:
    """Create the flow of a request."""
    scheme, host, port = destination
    client = connection.client
    flow = new_flow(client, connection.origins.first)
    fields = head.fields
    if type(client.proxy_mode) is ReverseMode and not ctx.options.keep_host_header:
        fields = _with_host(fields, _host_field(destination))
    flow.request = new_request(host, port, head.method, scheme.encode(), b"", head.path, fields)
    flow_state.note_requested_host(flow.request, head.host)
    return flow


@functools.lru_cache(maxsize=64)  # a client's requests usually have the same fields
def _with_host(fields: Fields, host: bytes) -> Fields:
    """Return the fields with another value of Host, under the name that the client wrote."""
    return Fields([(line[0], host) if line[0].lower() == b"host" else line for line in fields.raw])


@functools.lru_cache(maxsize=256)
def _host_field(destination: Destination) -> bytes:
    return url.hostport(*destination).encode("utf-8", "surrogateescape")
