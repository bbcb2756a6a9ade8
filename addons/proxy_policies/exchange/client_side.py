"""The client's side of an exchange: the response that it is sent, and whether it is still there.

Framing, and whether the connection persists: RFC 9112, sections 6 and 9.3.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mitmproxy import http

from proxy_policies import trace
from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.fields import NO_FIELDS, Fields, RawFields, fields_of, tokens
from proxy_policies.finished.reporting import CLIENT_LEFT
from proxy_policies.flows import flow_state
from proxy_policies.http1.framing import (
    DRAIN_LIMIT,
    VERSION,
    Framing,
    SentBody,
    frame_response,
    with_persistence,
    would_split,
    write_head,
)
from proxy_policies.http1.plain_messages import RequestHead
from proxy_policies.http1.sent_heads import SPLITS, reason_of
from proxy_policies.streaming.decision import is_endless

RECORDED = 1 << 20
"""Bytes of a response that are kept for learning."""
JOINED = 16384
"""Largest body, in bytes, that is copied to be sent together with its head."""
HALF_CLOSED = 60.0
"""Seconds without a response byte after which a half-closed client counts as gone: nginx's proxy_read_timeout."""
NO_BODY = SentBody(Framing.NONE, NO_FIELDS)


class SplitError(Exception):
    """A response whose head would be split by a line end from an addon."""


class ResponseWriter:
    """Writes the response to one request."""

    def __init__(self, stream: ByteStream, request: RequestHead) -> None:
        self._stream, self._request = stream, request
        self.is_request_read = not request.length
        """The request's body is complete."""
        self.is_begun = False
        self.persists = request.persists
        """The connection stays open afterwards."""
        self.wire: list[bytes] | None = None
        """The bytes sent, kept for learning."""
        self.bytes_sent = 0
        self.status = 0
        """The status sent; 0: none yet."""
        self._body = NO_BODY

    @property
    def must_be_cut(self) -> bool:
        """Return whether only a reset can show the client that the body is incomplete."""
        return self.is_begun and self._body.framing is Framing.CLOSE

    @property
    def body_sent(self) -> int:
        """The number of bytes sent of the body."""
        return self._body.size

    def send_interim(self, status: int, fields: RawFields, reason: bytes) -> None:
        """Send an interim response."""
        self._stream.write(write_head(status, reason, fields))

    def send_head(self, response: http.Response, length: int | None, body: bytes = b"") -> None:
        """Send the head of a response whose body has `length` bytes, None if unknown, and the start of the body.

        Raises SplitError.
        """
        status, method = response.data.status_code, self._request.method.decode()
        head = frame_response(
            fields_of(response.data.headers), method=method, status=status, version=VERSION, length=length
        )
        closes = self._closes(head.fields, head.framing)
        fields = with_persistence(head.fields, VERSION, closes)
        reason = response.data.reason or reason_of(response)
        if would_split((*fields.raw, (b"", reason))):
            raise SplitError(SPLITS)
        self.is_begun, self.persists, self._body = True, not closes, SentBody(head.framing, fields)
        self.status = status
        self._send(write_head(status, reason, fields.raw), self._body.piece(body))

    def _closes(self, fields: Fields, framing: Framing) -> bool:
        stream = self._stream
        return (
            not self._request.persists
            or framing is Framing.CLOSE
            or (stream.is_at_end and not stream.received)
            or "close" in tokens(fields.get("connection"))
            or not (self.is_request_read or self._request.length <= DRAIN_LIMIT)
        )

    def send(self, data: bytes) -> None:
        """Send a part of the body."""
        if framed := self._body.piece(data):
            self._send(framed)

    def send_end(self, trailers: RawFields = ()) -> None:
        """Send the end of the body; a body shorter than declared ends the connection."""
        if end := self._body.end(Fields(trailers)):
            self._send(end)
        if self._body.missing:
            self.persists = False

    def _send(self, *pieces: bytes) -> None:
        if self.wire is not None and self.bytes_sent < RECORDED:
            self.wire.extend(pieces)
        self.bytes_sent += sum(map(len, pieces))
        if len(pieces) > 1 and len(pieces[-1]) <= JOINED:
            pieces = (b"".join(pieces),)
        self._stream.write(*pieces)


class ClientLeft(Exception):
    """The client has left, or took too long; the text says which."""


class ClientPresence:
    """The client of one exchange, which may leave at any moment; its connection reports that."""

    def __init__(self, flow: http.HTTPFlow, writer: ResponseWriter) -> None:
        self._flow, self._writer = flow, writer
        self.why_left = ""
        self.is_response_wanted = True
        """False while the exchange continues only for others that want the response."""
        self.steps = 0
        """Number of waits that have ended."""
        self._waiting: asyncio.Future[Any] | None = None
        self._sent_at_last_look = 0
        self._next_look: asyncio.TimerHandle | None = None

    @property
    def is_waiting_for_peer(self) -> bool:
        """Return whether the exchange waits for a peer, and not for an addon."""
        return self._waiting is not None

    def check(self) -> None:
        """Raise ClientLeft if the client has left, and no others want the response."""
        if self.why_left and not self._is_wanted_by_others():
            raise ClientLeft(self.why_left)

    async def wait(self, waiting: asyncio.Future[Any]) -> Any:
        """Wait for a future; if the client leaves, cancel it and raise ClientLeft."""
        try:
            self.check()
        except ClientLeft:
            waiting.cancel()
            raise
        self._waiting = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            if self.why_left and waiting.cancelled():
                raise ClientLeft(self.why_left) from None
            raise
        finally:
            self._waiting = None
            self.steps += 1

    def _is_wanted_by_others(self) -> bool:
        wanted = flow_state.state_of(self._flow).wanted
        goes_on = wanted is not None and self._writer.is_request_read and wanted()
        if goes_on and self.is_response_wanted:
            self.is_response_wanted = False
            trace.note(self._flow, "cache", "goes on", "the client left, and others wait for the response")
        return goes_on

    def left(self, why: str = CLIENT_LEFT) -> None:
        """Note that the client has left, or has taken too long."""
        if not self.why_left:
            self.why_left = why
            if self._waiting is not None and not self._is_wanted_by_others():
                self._waiting.cancel()

    def ended(self) -> None:
        """Note that the client has ended its half; it may still want the response (RFC 9112, section 9.6).

        If it was receiving an endless stream, it has left: browsers and curl just close.
        """
        response = self._flow.response
        if response is not None and self._writer.is_begun and is_endless(response):
            self.left()
        else:
            self._sent_at_last_look = self._writer.bytes_sent
            self._look_later()

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(HALF_CLOSED, self._look)

    def _look(self) -> None:
        """Abandon a half-closed client that was sent nothing since the last check."""
        if self._writer.bytes_sent == self._sent_at_last_look:
            self.left()
        else:
            self._sent_at_last_look = self._writer.bytes_sent
            self._look_later()

    def close(self) -> None:
        """Stop watching a half-closed client: the timer would keep the flow alive."""
        if self._next_look is not None:
            self._next_look.cancel()
