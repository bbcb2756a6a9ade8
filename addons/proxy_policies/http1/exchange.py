"""One request and its response without mitmproxy's layers: the same hooks, in the same order, with the same flows.

`Exchange.run` reads from top to bottom as an exchange goes. What it does not do is decided from the request's head
before any hook is triggered (`http1.heads`, `connection.guard`); from then on it does everything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, Protocol

from mitmproxy import ctx, http
from mitmproxy import flow as flows
from mitmproxy.connection import Client
from mitmproxy.net.http import http1, url
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layers.http._hooks import (
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from proxy_policies import flow_state, trace
from proxy_policies.addresses import is_tunnel_name
from proxy_policies.body import Pipeline
from proxy_policies.connection.socket_stream import SocketStream
from proxy_policies.fields import Fields
from proxy_policies.http1.body_readers import BodyReader, body_reader, incomplete
from proxy_policies.http1.heads import HEAD_END, RequestHead, read_response
from proxy_policies.http1.origin import Origin, OriginError, Origins
from proxy_policies.http1.response_writer import ResponseWriter, SplitError, has_persistent_origin
from proxy_policies.patches import asked_host
from proxy_policies.patches.flushing import BUFFERED_FOR
from proxy_policies.patches.http1_client import as_http1
from proxy_policies.patches.http1_server import HALF_CLOSED, error_response
from proxy_policies.patches.interim import for_client
from proxy_policies.patches.messages import VERSION, Framing, InterimCount, chunk, frame_request, is_interim, last_chunk
from proxy_policies.patches.response_heads import HEAD_LIMIT
from proxy_policies.patches.retry import IDEMPOTENT
from proxy_policies.patches.streamed_later import take_back
from proxy_policies.streaming import BUFFER_LIMIT, PAUSE, Stream, declared_length, is_endless
from proxy_policies.validity import Invalid

CONTINUE = 100
CLIENT_LEFT = "Client disconnected."
"""mitmproxy's words."""
_RAW_VERSION = VERSION.encode()


class ClientLeft(Exception):
    """The client has gone, or took too long; the text says which."""


class Killed(Exception):
    """An addon has killed the flow."""


class Stale(Exception):
    """A kept connection to the origin had ended before the request came to it (RFC 9112, section 9.3.1)."""


class Connection(Protocol):
    """The client's connection."""

    client: Client
    stream: SocketStream
    origins: Origins
    origin_address: tuple[str, int] | None
    """In reverse mode, where every request goes."""

    def ask(self, hook: StartHook) -> bool:
        """Trigger a hook; False when the rest has to be waited for."""

    async def finish_hook(self, hook: StartHook) -> None:
        """Wait for the rest of a hook."""


class Exchange:
    """An exchange under way."""

    def __init__(self, connection: Connection, head: RequestHead, address: tuple[str, int]) -> None:
        self._connection, self._head = connection, head
        self._client = connection.stream
        self.writer = ResponseWriter(self._client, head)
        self.is_reading = bool(head.length)
        """It waits for more of the request's body."""
        self.flow = _begin(connection, head, address)
        self.is_recorded = False
        """What is sent of a response from the cache is kept in `writer.wire`."""
        self._is_answered = False
        """The `response` hook was triggered: `error` is not, whatever happens."""
        self._origin: Origin | None = None
        self._interruptible: asyncio.Future[Any] | None = None
        self.steps = 0
        """How often something came that was waited for."""
        self._why_left = ""
        self._is_timed_out = False
        self._goes_on = False
        """The client has left, and others wait for the response."""
        self._sent_at_last_look = 0

    @property
    def is_waiting(self) -> bool:
        """Return whether it waits for a peer, not for an addon."""
        return self._interruptible is not None

    @property
    def is_learnable(self) -> bool:
        """Return whether the same bytes may be answered in the same way: a head without a body, and no error."""
        return self._is_answered and self.flow.error is None and not self._head.length

    async def run(self) -> bool:
        """Carry the exchange to its end; True if the client's connection may go on."""
        try:
            await self._receive()
        except Killed:
            self._close_origin()
            self._cut_client()
        except ClientLeft as error:
            await self._end_without_client(str(error))
        finally:
            self.flow.live = False
            self._close_origin()
        return self.writer.persists and not self._why_left and not self._client.is_closed

    # The request

    async def _receive(self) -> None:
        flow, request = self.flow, self.flow.request
        await self._trigger(HttpRequestHeadersHook(flow))
        await self._check_killed()
        if flow.response and self._head.length:
            await self._answer()  # whatever the client still has to say
            if self.writer.persists:
                await self._body()  # which is no request
            return
        request.data.content = await self._body()
        request.timestamp_end = time.time()
        await self._trigger(HttpRequestHook(flow))
        await self._check_killed()
        if flow.response:
            flow.response.timestamp_start = time.time()
            await self._answer()
        else:
            await self._forward_or_fail()

    async def _body(self) -> bytes:
        """Return the request's body, once it has come."""
        length, client = self._head.length, self._client
        while len(client.received) < length:
            if not await self._wait(client.wait()):
                raise ClientLeft(f"HTTP/1 protocol error: {incomplete(len(client.received), length)}")
        body = bytes(client.received[:length])
        del client.received[:length]
        self.is_reading, self.writer.is_request_read = False, True
        client.start_reading()
        return body

    # The origin

    async def _forward_or_fail(self) -> None:
        try:
            await self._forward()
        except OriginError as error:
            self._close_origin()
            await self._fail(str(error), 502)

    async def _forward(self) -> None:
        origin, response, size = await self._response_head()
        self.flow.response = response
        received = has_persistent_origin(response)
        await self._trigger(HttpResponseHeadersHook(self.flow))
        await self._check_killed()
        reader = body_reader(size)
        first = origin.stream.take()
        if self.flow.response.stream and size != 0:
            await self._stream_body(origin, reader, first)
        else:
            await self._buffer_body(origin, reader, first, size)
        await self._finish(origin, is_kept=received and not reader.rest and size != -1)

    async def _finish(self, origin: Origin, is_kept: bool) -> None:
        """Let go of the origin's connection, and see to the rest of the response."""
        request = self.flow.request
        self._origin = None
        if is_kept and not origin.stream.is_at_end:
            self._connection.origins.keep(origin, *(origin.server.address or (request.host, request.port))[:2])
        else:
            origin.close()

    async def _response_head(self) -> tuple[Origin, http.Response, int | None]:
        """Send the request and return the origin's final response; on a stale connection, try a new one once."""
        origin = await self._get_origin(is_fresh=False)
        try:
            await self._send_request(origin)
            return origin, *await self._read_head(origin)
        except Stale as error:
            if not self._may_be_retried:
                raise OriginError("server closed connection") from error
        trace.note(self.flow, "retry", "sent again", "the kept-alive connection to the origin had died")
        self._close_origin()
        origin = await self._get_origin(is_fresh=True)
        await self._send_request(origin)
        try:
            return origin, *await self._read_head(origin)
        except Stale as error:
            raise OriginError("server closed connection") from error

    @property
    def _may_be_retried(self) -> bool:
        request = self.flow.request
        return request.raw_content is not None and request.method.upper() in IDEMPOTENT

    async def _get_origin(self, is_fresh: bool) -> Origin:
        request = self.flow.request
        if request.scheme != "http" or self.flow.server_conn.via or is_tunnel_name(request.host):
            raise OriginError("an addon wants TLS, another proxy or a tunnel here; it must not declare `exchanges`")
        host, port = request.host, request.port
        origins = self._connection.origins
        origin = None if is_fresh else origins.idle(host, port)
        if origin is None:
            origin = origins.new(host, port)
            await self._wait(asyncio.ensure_future(origin.connect()))
        self._origin, self.flow.server_conn = origin, origin.server
        return origin

    async def _send_request(self, origin: Origin) -> None:
        request = self.flow.request
        data, content = request.data, request.raw_content
        fields = Fields(data.headers.fields)
        length = None if content is None else len(content)
        is_empty = not (content or data.trailers)
        if data.http_version != _RAW_VERSION or data.authority or "host" not in fields:
            sent = as_http1(request)
            framed = frame_request(Fields(sent.headers.fields), length=length, is_empty=is_empty)
            sent.headers = http.Headers(framed.fields.raw)
            head = http1.assemble_request_head(sent)
        else:
            framed = frame_request(fields, length=length, is_empty=is_empty)
            lines = b"".join([b"%s: %s\r\n" % line for line in framed.fields.raw])
            head = b"%s %s HTTP/1.1\r\n%s\r\n" % (data.method, data.path, lines)
        if framed.framing is Framing.CHUNKED:
            trailers = Fields(data.trailers.fields if data.trailers else ())
            origin.stream.write(head, chunk(content or b""), last_chunk(trailers))
        elif content:
            origin.stream.write(head, content)
        else:
            origin.stream.write(head)
        if origin.stream.unsent > origin.stream.high_water:
            await self._wait(asyncio.ensure_future(origin.stream.drain()))

    async def _read_head(self, origin: Origin) -> tuple[http.Response, int | None]:
        stream, interim = origin.stream, InterimCount()
        while True:
            head = await self._head_bytes(stream, is_reused=origin.is_reused)
            try:
                response, size = read_response(head, self.flow.request, _is_strict())
                status = response.status_code
                if not is_interim(status):
                    self._check_response(response)
                    return response, size
                interim.add()
            except Invalid as error:
                raise OriginError(f"Cannot parse HTTP response: {error}") from error
            if status != CONTINUE and not self._goes_on:
                self.writer.send_interim(status, for_client(response.headers.fields, status), response.data.reason)

    def _check_response(self, response: http.Response) -> None:
        """Refuse a response that readers would frame differently, as mitmproxy does, in its words."""
        if not _is_strict() or "transfer-encoding" not in response.headers:
            return
        try:
            validate_headers(response)
        except ValueError as error:
            self.flow.response = response
            raise OriginError(
                f"Received {error} from server, refusing to prevent request smuggling attacks. "
                "Disable the validate_inbound_headers option to skip this security check."
            ) from error

    async def _head_bytes(self, stream: SocketStream, is_reused: bool) -> bytes:
        """Return the next head that an origin sends."""
        received = stream.received
        while not (end := HEAD_END.search(received)):
            if len(received) > HEAD_LIMIT:
                raise OriginError(f"Cannot parse HTTP response: the response head has over {HEAD_LIMIT} bytes")
            if not await self._wait(stream.wait()):
                if received:
                    raise OriginError(f"unexpected server response: {bytes(received)!r}")
                if is_reused:
                    raise Stale
                raise OriginError("server closed connection")
        head = bytes(received[: end.end()])
        del received[: end.end()]
        return head

    async def _next(self, origin: Origin, reader: BodyReader, seconds: float | None = None) -> bytes | None:
        """Return more of the response's body; b"" when there was none in what came, None after `seconds`."""
        stream = origin.stream
        came = await self._wait(stream.wait(seconds))
        try:
            if came:
                return reader.feed(stream.take())
            if came is False:
                reader.end(was_cut=stream.error is not None)
                return b""
        except Invalid as error:
            raise OriginError(f"HTTP/1 protocol error: {error}") from error
        return None

    def _feed(self, reader: BodyReader, first: bytes) -> bytes:
        try:
            return reader.feed(first) if first else b""
        except Invalid as error:
            raise OriginError(f"HTTP/1 protocol error: {error}") from error

    # The response's body

    async def _buffer_body(self, origin: Origin, reader: BodyReader, first: bytes, size: int | None) -> None:
        """Take the body whole, unless it seems never to end."""
        pieces, until = [self._feed(reader, first)], None
        if self._may_never_end(size):
            until = time.monotonic() + BUFFERED_FOR
        while not reader.is_finished:
            piece = await self._next(origin, reader, until and until - time.monotonic())
            if piece is not None:
                pieces.append(piece)
            elif sum(map(len, pieces)) < BUFFER_LIMIT:
                trace.note(self.flow, "streaming", "response streamed", f"it has not ended within {BUFFERED_FOR:.0f} s")
                self._response.stream = True
                await self._stream_body(origin, reader, b"", b"".join(pieces))
                return
            else:
                until = time.monotonic() + BUFFERED_FOR
        self._response.data.content = b"".join(pieces)
        self._take_trailers(reader)
        await self._send_response()

    def _may_never_end(self, size: int | None) -> bool:
        if size is not None and size >= 0:
            return False
        state = flow_state.state_of(self.flow)
        is_ours = state.has_followers or state.source is not None
        return state.origin is not None and not is_ours and declared_length(self._response) is None

    async def _stream_body(self, origin: Origin, reader: BodyReader, first: bytes, content: bytes = b"") -> None:
        """Send the body as it comes; `first` is what came with the head, `content` what was buffered."""
        response = self._response
        take_back(response, flow_state.state_of(self.flow).response_body)
        self._send_head(response, length=None if response.raw_content is None else len(response.raw_content))
        kept: list[bytes] | None = [] if ctx.options.store_streamed_bodies else None
        await self._send_chunks(response.stream, content + self._feed(reader, first), kept)
        while not reader.is_finished:
            seconds = response.stream.seconds_to_flush() if isinstance(response.stream, Stream) else None
            piece = await self._next(origin, reader, seconds)
            if piece is None:
                await self._flush(response.stream, kept)
            else:
                await self._send_chunks(response.stream, piece, kept)
        if callable(response.stream):
            await self._send_all(_chunks(response.stream(b"")), kept)
        if kept is not None:
            response.data.content = b"".join(kept)
        self._take_trailers(reader)
        await self._send_response(is_streamed=True)

    async def _flush(self, stream: Any, kept: list[bytes] | None) -> None:
        seconds = stream.seconds_to_flush()
        if seconds is not None and seconds <= 0:
            await self._send_all(stream.flush(), kept)

    async def _send_chunks(self, stream: Any, data: bytes, kept: list[bytes] | None) -> None:
        if data:
            await self._send_all(_chunks(stream(data)) if callable(stream) else [data], kept)

    async def _send_all(self, chunks: Iterable[bytes], kept: list[bytes] | None) -> None:
        for data in chunks:
            if kept is not None:
                kept.append(data)
            if not self._goes_on:
                self.writer.send(data)
        await self._drained()

    async def _drained(self) -> None:
        """Wait until the client has taken what it was sent, as far as is wanted."""
        if self._client.unsent > self._client.high_water and not self._goes_on:
            await self._wait(asyncio.ensure_future(self._client.drain()))

    def _take_trailers(self, reader: BodyReader) -> None:
        if reader.trailers:
            self._response.trailers = http.Headers(reader.trailers)

    # The response

    @property
    def _response(self) -> http.Response:
        response = self.flow.response
        assert response is not None  # noqa: S101 -- there is one in every place that asks
        return response

    async def _answer(self) -> None:
        """Send the response that an addon set."""
        await self._trigger(HttpResponseHeadersHook(self.flow))
        await self._check_killed()
        await self._send_response()

    async def _send_response(self, is_streamed: bool = False) -> None:
        response, source = self._response, flow_state.state_of(self.flow).source
        response.timestamp_end = time.time()
        await self._trigger(HttpResponseHook(self.flow))
        self._is_answered = True
        response = self._response
        if source is not None and not is_streamed:
            await self._send_stored(response, source)
            return
        await self._check_killed(is_told=False)
        if not is_streamed:
            content, trailers = response.raw_content, response.trailers
            length = len(content) if content is not None else None if trailers else 0
            self._send_head(response, length, content or b"")
        if not self._goes_on:
            self.writer.send_end(response.trailers.fields if response.trailers else ())
        self.flow.live = False

    def _send_head(self, response: http.Response, length: int | None, body: bytes = b"") -> None:
        if self._goes_on:
            return
        if self.is_recorded and self.writer.wire is None and flow_state.state_of(self.flow).hit:
            self.writer.wire = []
        try:
            self.writer.send_head(response, length, body)
        except SplitError as error:
            self._send_error(str(error), 502)

    async def _send_stored(self, response: http.Response, source: flow_state.Source) -> None:
        """Send a body piece by piece from where it is stored, as the client takes it."""
        pipeline = flow_state.state_of(self.flow).response_body
        response.raw_content = None
        reading: asyncio.Future[bytes] | None = None
        try:
            await self._check_killed(is_told=False)
            self._send_head(response, length=None)
            piece: bytes | None = None
            while piece != b"":
                await self._drained()
                reading = reading or asyncio.ensure_future(source.read())
                piece = await self._wait_for_piece(reading, pipeline)
                reading = reading if piece is None else None
                await self._check_killed(is_told=False)
                for part in pipeline.flush() if piece is None else pipeline.stream(piece):
                    self.writer.send(part)
            self.writer.send_end()
        except OSError:
            self._cut_client()
        finally:
            pipeline.abort()  # which does nothing when the body came whole
            if reading is not None:
                reading.cancel()
                await asyncio.wait({reading})
            await source.close()

    async def _wait_for_piece(self, reading: asyncio.Future[bytes], pipeline: Pipeline) -> bytes | None:
        """Return the next piece; None when it takes its time, and what is held back is to be sent."""
        if not pipeline.holds_back:
            piece: bytes = await self._wait(reading)
            return piece
        done, _ = await asyncio.wait({reading}, timeout=PAUSE)
        return reading.result() if done else None

    # What goes wrong

    async def _fail(self, message: str, status: int) -> None:
        """Say that the origin failed; a policy may answer in its place, as long as nothing was sent."""
        before = self.flow.response
        if not self._is_answered:
            self.flow.error = flows.Error(message)
            await self._trigger(HttpErrorHook(self.flow))
            if self._has_another_response(before):
                state = flow_state.state_of(self.flow)
                state.origin, state.response_body, self.flow.error = None, Pipeline(), None
                await self._answer()
                return
        await self._check_killed(is_told=False)
        if self.writer.is_begun:
            self._cut_client()
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
        if not self._goes_on:
            self.writer.send_head(response, len(content), content)
            self.writer.send_end()

    async def _end_without_client(self, why: str) -> None:
        self._why_left = why
        flow_state.state_of(self.flow).client_left = True
        self._close_origin()
        if not self._is_answered:
            self.flow.error = self.flow.error or flows.Error(why)
            await self._trigger(HttpErrorHook(self.flow))
        if not self._is_timed_out:  # else it may still be sending, and has an answer to read
            self._cut_client()

    def _cut_client(self) -> None:
        """Close the client's connection in the middle of a response."""
        self.writer.persists = False
        if self.writer.must_be_cut:
            self._client.reset()
        else:
            self._client.close()

    def _close_origin(self) -> None:
        origin, self._origin = self._origin, None
        if origin is not None:
            origin.close()

    # Waiting

    async def _trigger(self, hook: StartHook) -> None:
        if not self._connection.ask(hook):
            await self._connection.finish_hook(hook)

    async def _check_killed(self, is_told: bool = True) -> None:
        """Raise Killed if an addon wants that, or ClientLeft if the client left while a hook was at work."""
        error = self.flow.error
        if error and error.msg == flows.Error.KILLED_MESSAGE:
            if is_told:
                await self._trigger(HttpErrorHook(self.flow))
            raise Killed
        if self._why_left and not self._wanted_by_others():
            raise ClientLeft(self._why_left)

    async def _wait(self, waiting: asyncio.Future[Any]) -> Any:
        """Wait for a future, unless the client leaves: then it is cancelled, and ClientLeft is raised."""
        if self._why_left and not self._wanted_by_others():
            waiting.cancel()
            raise ClientLeft(self._why_left)
        self._interruptible = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            if self._why_left and waiting.cancelled():
                raise ClientLeft(self._why_left) from None
            raise
        finally:
            self._interruptible = None
            self.steps += 1

    def _wanted_by_others(self) -> bool:
        """Return whether others wait for the response, so that it is fetched without the client."""
        wanted = flow_state.state_of(self.flow).wanted
        goes_on = wanted is not None and self.writer.is_request_read and wanted()
        if goes_on and not self._goes_on:
            self._goes_on = True
            trace.note(self.flow, "cache", "goes on", "the client left, and others wait for the response")
        return goes_on

    def client_left(self, why: str = CLIENT_LEFT) -> None:
        """Take note that the client has gone, or has taken too long."""
        if not self._why_left:
            self._why_left = why
            if self._interruptible is not None and not self._wanted_by_others():
                self._interruptible.cancel()

    def time_out(self, why: str) -> None:
        """Answer a client whose request's body does not come (RFC 9110, section 15.5.9)."""
        self._is_timed_out, self.writer.persists = True, False
        self._send_error(why, 408)

    def client_ended(self) -> None:
        """Take note that the client will say no more; it may still want the response (RFC 9112, section 9.6).

        One that watched an endless stream has left: browsers and curl just close.
        """
        response = self.flow.response
        if response is not None and self.writer.is_begun and is_endless(response):
            self.client_left()
        else:
            self._sent_at_last_look = -1
            self._look_after(HALF_CLOSED)

    def _look_after(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Give a half-closed client up that was sent nothing since the last look."""
        if not self.flow.live:
            return
        sent = self.writer.bytes_sent
        if sent == self._sent_at_last_look:
            self.client_left()
        else:
            self._sent_at_last_look = sent
            self._look_after(HALF_CLOSED)


def _begin(connection: Connection, head: RequestHead, address: tuple[str, int]) -> http.HTTPFlow:
    """Make the flow of a request."""
    flow = http.HTTPFlow(connection.client, connection.origins.first)
    fields = http.Headers(head.fields)
    flow.request = request = http.Request(
        *address, head.method, b"http", b"", head.path, _RAW_VERSION, fields, None, None, time.time(), None
    )
    flow.live = True
    asked_host.note(request)
    if connection.origin_address is not None and not ctx.options.keep_host_header:
        request.host_header = url.hostport("http", *address)
    return flow


def _chunks(made: Any) -> Iterable[bytes]:
    """Return what a stream callable made, which may be bytes."""
    if isinstance(made, bytes):
        return [made] if made else []
    return made  # type: ignore[no-any-return]


def _is_strict() -> bool:
    return bool(ctx.options.validate_inbound_headers)
