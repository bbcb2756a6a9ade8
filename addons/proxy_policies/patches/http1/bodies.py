"""Reads bodies, also with a trailer section, on which mitmproxy raises and hangs (RFC 9112, section 7.1)."""

import h11
from h11._readers import ContentLengthReader, Http10Reader
from mitmproxy import http
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestTrailers, ResponseTrailers
from mitmproxy.proxy.layers.http._http1 import Http1Connection, Http1Server

from proxy_policies.fields import Fields, RawFields
from proxy_policies.http1.chunked import ChunkedReader
from proxy_policies.http1.framing import persists
from proxy_policies.patches.resets import was_cut
from proxy_policies.patches.sides import Side
from proxy_policies.validity import Invalid


class Bodies(Side, Http1Connection):
    """A side of the proxy that reads bodies. While it reads one, the attributes declared here are set."""

    stream_id: int
    request: http.Request

    def begin_body(self, size: int | None) -> None:
        """Read a body of `size` bytes next; if None, a chunked body; if -1, up to the end of the connection."""
        self.body_reader = _reader(size, isinstance(self, Http1Server))  # type: ignore[assignment]  # our own reader
        self.state = self.read_body

    def read_body(self, event: events.Event) -> CommandGenerator[None]:
        """Pass on the body data received, joined whatever its chunks, and the body's end."""
        pieces: list[bytes] = []
        error: str | None = None
        try:
            while isinstance(part := self._next_part(event), h11.Data):
                pieces.append(bytes(part.data))
        except (h11.ProtocolError, Invalid) as broken:
            part, error = None, str(broken)
        if data := b"".join(pieces):
            yield ReceiveHttp(self.ReceiveData(self.stream_id, data))
        if error is not None:
            yield from self.refuse_body(error)
        elif part is not None:
            yield from self._end_body(getattr(self.body_reader, "trailers", ()))

    def _next_part(self, event: events.Event) -> h11.Data | h11.EndOfMessage | None:
        if isinstance(event, events.ConnectionClosed):
            if isinstance(self.body_reader, Http10Reader) and was_cut(self.conn, self.context):
                raise h11.RemoteProtocolError("the connection broke before the body's end")
            return self.body_reader.read_eof()
        part: h11.Data | h11.EndOfMessage | None = self.body_reader(self.buf)
        return part

    def _end_body(self, trailers: RawFields) -> CommandGenerator[None]:
        is_request = isinstance(self, Http1Server)
        if trailers:
            received = RequestTrailers if is_request else ResponseTrailers
            yield ReceiveHttp(received(self.stream_id, http.Headers(trailers)))
        if self.request.data.method != b"CONNECT":
            yield ReceiveHttp(self.ReceiveEndOfMessage(self.stream_id))
        yield from self.mark_done(request=is_request, response=not is_request)

    def mark_done(self, *, request: bool = False, response: bool = False) -> CommandGenerator[None]:
        """End the request or the response; once both have ended, the connection persists or closes."""
        if (request or self.request_done) and (response or self.response_done):
            for message in (self.request, self.response):
                _normalize_connection(message)
        yield from super().mark_done(request=request, response=response)

    def refuse_body(self, why: str) -> CommandGenerator[None]:
        """Close a connection whose framing is broken."""
        yield commands.CloseConnection(self.conn)
        message = f"HTTP/1 protocol error: {why}"
        yield ReceiveHttp(self.ReceiveProtocolError(self.stream_id, message, code=self.ReceiveProtocolError.code))


def _normalize_connection(message: http.Message | None) -> None:
    """Set our copy's Connection field to a value that mitmproxy interprets correctly.

    mitmproxy compares connection options case-sensitively, and lets `Keep-Alive` override `close`.
    """
    if message is not None and "connection" in message.headers:
        is_kept = persists(message.http_version, Fields(message.headers.fields))
        message.headers["connection"] = "keep-alive" if is_kept else "close"


def _reader(size: int | None, is_request: bool) -> ChunkedReader | ContentLengthReader | Http10Reader:
    if size is None:
        return ChunkedReader(is_request=is_request)
    return Http10Reader() if size < 0 else ContentLengthReader(size)
