"""Sending one response to a client: its framing, and whether the connection goes on (RFC 9112, sections 6 and 9.3)."""

from __future__ import annotations

from mitmproxy import http

from proxy_policies import validity
from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.fields import Fields, RawFields, fields_of, tokens
from proxy_policies.http1.framing import (
    VERSION,
    Framing,
    chunk,
    frame_response,
    last_chunk,
    persists,
    with_persistence,
)
from proxy_policies.http1.request_heads import RequestHead
from proxy_policies.http1.sent_heads import SPLITS, reason_of, write_head

DRAIN_LIMIT = 64 * 1024
"""The rest of an upload that is read to its end to keep the connection; for a larger one it is closed."""
RECORDED = 1 << 20
"""Bytes of a response that are kept for whoever wants to learn from it."""
JOINED = 16384
"""Bytes of a body that are copied to go out together with its head."""


class SplitError(Exception):
    """A response whose head would end where an addon has put a line end."""


class ResponseWriter:
    """Writes the response to one request."""

    def __init__(self, stream: ByteStream, request: RequestHead) -> None:
        self._stream, self._request = stream, request
        self.is_request_read = not request.length
        """The request's body has come whole."""
        self.is_begun = False
        self.persists = request.persists
        """The connection goes on after it."""
        self.wire: list[bytes] | None = None
        """What was sent, for whoever wants to learn from it."""
        self.bytes_sent = self.body_sent = 0
        self.status = 0
        """What was sent as the status; 0: nothing yet."""
        self._framing = Framing.NONE
        self._missing: int | None = None
        """Bytes that the body still lacks, where it was said how many it has."""

    @property
    def must_be_cut(self) -> bool:
        """Return whether only a reset tells a client that the body has not come whole."""
        return self.is_begun and self._framing is Framing.CLOSE

    def send_interim(self, status: int, fields: RawFields, reason: bytes) -> None:
        """Send an interim response."""
        self._stream.write(write_head(status, reason, fields))

    def send_head(self, response: http.Response, length: int | None, body: bytes = b"") -> None:
        """Send the head of a response whose body has `length` bytes, None for not known, and what there is of it.

        Raises SplitError.
        """
        status, method = response.data.status_code, self._request.method.decode()
        head = frame_response(fields_of(response.headers), method=method, status=status, version=VERSION, length=length)
        closes = self._closes(head.fields, head.framing)
        fields = with_persistence(head.fields, VERSION, closes)
        reason = reason_of(response)
        if validity.would_split((*fields.raw, (b"", reason))):
            raise SplitError(SPLITS)
        self.is_begun, self.persists, self._framing = True, not closes, head.framing
        declared = fields.get("content-length") or ""
        self._missing = int(declared) if head.framing is Framing.LENGTH and declared.isdecimal() else None
        self.status = status
        self._send(write_head(status, reason, fields.raw), self._framed(body))

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
        if framed := self._framed(data):
            self._send(framed)

    def _framed(self, data: bytes) -> bytes:
        if self._framing is Framing.NONE:
            return b""
        if self._framing is Framing.LENGTH and self._missing is not None:
            data = data[: self._missing]
            self._missing -= len(data)
        self.body_sent += len(data)
        return chunk(data) if self._framing is Framing.CHUNKED else data

    def send_end(self, trailers: RawFields = ()) -> None:
        """Send the end of the body; a body shorter than was said makes the connection end."""
        if self._framing is Framing.CHUNKED:
            self._send(last_chunk(Fields(trailers)))
        if self._missing:
            self.persists = False

    def _send(self, *pieces: bytes) -> None:
        if self.wire is not None and self.bytes_sent < RECORDED:
            self.wire.extend(pieces)
        self.bytes_sent += sum(map(len, pieces))
        if len(pieces) > 1 and len(pieces[-1]) <= JOINED:
            pieces = (b"".join(pieces),)
        self._stream.write(*pieces)


def has_persistent_origin(response: http.Response) -> bool:
    """Return whether an origin leaves its connection open after a response as it was received."""
    return persists(response.http_version, fields_of(response.headers))
