"""Sends one request to an origin, and reads its response."""

from __future__ import annotations

import asyncio

from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.net.http.validate import validate_headers

from proxy_policies import trace
from proxy_policies.addresses import is_tunnel_name
from proxy_policies.exchange.client_side import ClientPresence, ResponseWriter
from proxy_policies.exchange.origin_connections import Destination, Origin, OriginError, Origins, may_share
from proxy_policies.fields import Fields, fields_of
from proxy_policies.hops.next_hop import interim_for_next_hop
from proxy_policies.http1.framing import (
    IDEMPOTENT,
    RAW_VERSION,
    UNTIL_CLOSE,
    BodyReader,
    Framing,
    InterimCount,
    body_reader,
    chunk,
    field_lines,
    frame_request,
    is_interim,
    last_chunk,
    persists,
)
from proxy_policies.http1.plain_messages import read_plain_response
from proxy_policies.http1.request_heads import HEAD_END
from proxy_policies.http1.response_heads import check_size, read_response_head
from proxy_policies.http1.sent_heads import as_http1
from proxy_policies.validity import Invalid

CONTINUE = 100
SCHEMES = ("http", "https")
NOT_DIRECT = "an addon wants another proxy or a tunnel here; it must not declare `exchanges`"


class Stale(Exception):
    """A kept connection ended before the origin received the request (RFC 9112, section 9.3.1)."""


class Upstream:
    """The origin's side of an exchange. Its failures are raised as OriginError."""

    size: int | None
    """Size of the response's body, as for h11's readers."""

    def __init__(self, flow: http.HTTPFlow, origins: Origins, presence: ClientPresence, writer: ResponseWriter) -> None:
        self._flow, self._origins = flow, origins
        self._presence, self._writer = presence, writer
        self._origin: Origin | None = None
        self._destination: Destination
        self._reader: BodyReader
        self._persists = False
        self._received_before = 0
        """Bytes received from the origin before the request was sent."""

    async def request(self) -> http.Response:
        """Send the flow's request and return the final response; on a stale connection, try a new one once."""
        try:
            return await self._attempt(is_fresh=False)
        except Stale as error:
            if not self._may_be_retried:
                raise OriginError("server closed connection") from error
        trace.note(self._flow, "retry", "sent again", "the kept-alive connection to the origin had died")
        self.close()
        try:
            return await self._attempt(is_fresh=True)
        except Stale as error:
            raise OriginError("server closed connection") from error

    @property
    def _may_be_retried(self) -> bool:
        request = self._flow.request
        return request.raw_content is not None and request.method.upper() in IDEMPOTENT

    async def _attempt(self, is_fresh: bool) -> http.Response:
        origin = await self._connect(is_fresh)
        stream = origin.stream
        self._send(origin)
        if stream.unsent > stream.high_water:
            await self._presence.wait(asyncio.ensure_future(stream.drain()))
        response, self.size = await self._read_head(origin)
        self._reader = body_reader(self.size)
        is_kept = persists(response.http_version, fields_of(response.data.headers))
        self._persists = is_kept and self.size != UNTIL_CLOSE
        return response

    async def _connect(self, is_fresh: bool) -> Origin:
        request = self._flow.request
        self._destination = destination = Destination(request.scheme, request.data.host, request.data.port)
        if self._flow.server_conn.via:
            raise OriginError(NOT_DIRECT)
        is_shareable = may_share(request)
        origin = None if is_fresh else self._origins.idle(destination, is_shareable=is_shareable)
        if origin is None:
            if destination.scheme not in SCHEMES or is_tunnel_name(destination.host):
                raise OriginError(NOT_DIRECT)
            origin = self._origins.new(destination)
            await self._presence.wait(asyncio.ensure_future(origin.connect()))
        origin.is_shareable = origin.is_shareable and is_shareable
        self._origin, self._flow.server_conn = origin, origin.server
        return origin

    # The request

    def _send(self, origin: Origin) -> None:
        stream, (head, framing) = origin.stream, _request_head(self._flow.request)
        data = self._flow.request.data
        content = data.content or b""
        self._received_before = stream.total_received
        if framing is Framing.CHUNKED:
            trailers = Fields(data.trailers.fields if data.trailers else ())
            stream.write(head, chunk(content), last_chunk(trailers))
        elif content:
            stream.write(head, content)
        else:
            stream.write(head)

    # The response's head

    async def _read_head(self, origin: Origin) -> tuple[http.Response, int | None]:
        interim = InterimCount()
        while True:
            try:
                head = await self._next_head(origin)
                plain = read_plain_response(head, self._flow.request.data.method)
                response, size = plain or read_response_head(head, self._flow.request)
                status = response.status_code
                if not is_interim(status):
                    self._check(response)
                    return response, size
                interim.add()
            except Invalid as error:
                raise OriginError(f"Cannot parse HTTP response: {error}") from error
            if status != CONTINUE and self._presence.is_response_wanted:
                self._writer.send_interim(
                    status, interim_for_next_hop(response.headers.fields, status), response.data.reason
                )

    async def _next_head(self, origin: Origin) -> bytes:
        received = origin.stream.received
        while not (end := HEAD_END.search(received)):
            if received:
                check_size(len(received))
            if not await self._presence.wait(origin.stream.wait()):
                if received:
                    raise OriginError(f"unexpected server response: {bytes(received)!r}")
                if origin.is_reused and origin.stream.total_received == self._received_before:
                    raise Stale
                raise OriginError("server closed connection")
        head = bytes(received[: end.end()])
        del received[: end.end()]
        return head

    def _check(self, response: http.Response) -> None:
        """Refuse a response that recipients may frame differently, as mitmproxy does, in its wording."""
        if "transfer-encoding" not in fields_of(response.data.headers):
            return
        try:
            validate_headers(response)
        except ValueError as error:
            self._flow.response = response
            raise OriginError(
                f"Received {error} from server, refusing to prevent request smuggling attacks. "
                "Disable the validate_inbound_headers option to skip this security check."
            ) from error

    # The response's body

    @property
    def is_finished(self) -> bool:
        """Return whether the response is complete."""
        return self._reader.is_finished

    @property
    def trailers(self) -> http.Headers | None:
        """The trailer section, once the response is complete."""
        return http.Headers(self._reader.trailers) if self._reader.trailers else None

    def received(self) -> bytes:
        """Return the part of the body already received."""
        data = self._origin.stream.take() if self._origin else b""
        return self._feed(data) if data else b""

    async def more(self, seconds: float | None = None) -> bytes | None:
        """Wait for more of the body; return b"" if the data had no content, None after `seconds` without data."""
        if self._origin is None:
            raise OriginError("server closed connection")
        stream = self._origin.stream
        if stream.received or self._reader.is_broken:  # arrived while sending to the client; may be the last
            return self._feed(stream.take())
        came = await self._presence.wait(stream.wait(seconds))
        if came is None:
            return None
        return self._feed(stream.take()) if came else self._end(was_cut=stream.error is not None)

    def _feed(self, data: bytes) -> bytes:
        try:
            return self._reader.feed(data)
        except Invalid as error:
            raise OriginError(f"HTTP/1 protocol error: {error}") from error

    def _end(self, was_cut: bool) -> bytes:
        try:
            self._reader.end(was_cut)
        except Invalid as error:
            raise OriginError(f"HTTP/1 protocol error: {error}") from error
        return b""

    # The connection

    def finish(self) -> None:
        """Keep the connection for the next request if possible; the response is complete."""
        origin, self._origin = self._origin, None
        if origin is None:
            return
        if self._persists and not self._reader.rest and not origin.stream.is_at_end:
            self._origins.keep(origin, self._destination)
        else:
            origin.close(is_done=True)

    def close(self) -> None:
        """Close the connection, if there still is one: its response is no longer wanted."""
        origin, self._origin = self._origin, None
        if origin is not None:
            origin.close()


def _request_head(request: http.Request) -> tuple[bytes, Framing]:
    """Return a request's head, in our version, and the framing of its body."""
    data, content = request.data, request.raw_content
    length = None if content is None else len(content)
    is_empty = not (content or data.trailers)
    fields = fields_of(request.data.headers)
    if data.http_version == RAW_VERSION and not data.authority and "host" in fields:
        framed = frame_request(fields, length=length, is_empty=is_empty)
        lines = field_lines(framed.fields.raw)
        return b"%s %s HTTP/1.1\r\n%s\r\n" % (data.method, data.path, lines), framed.framing
    sent = as_http1(request)
    framed = frame_request(Fields(sent.headers.fields), length=length, is_empty=is_empty)
    sent.headers = http.Headers(framed.fields.raw)
    return http1.assemble_request_head(sent), framed.framing
