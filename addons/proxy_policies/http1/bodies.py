"""Reads bodies in each of the three framings (RFC 9112, sections 6.3 and 7.1). Pure.

A reader is fed received bytes and returns their content; once it `is_finished`, `rest` has the bytes after the body.
The chunked reader has the interface of h11's, for mitmproxy's layers: h11's own rejects white space before a chunk
extension, which is legal, and accepts control characters in extensions and trailers.
"""

from __future__ import annotations

import re
from typing import Protocol

import h11
from h11._receivebuffer import ReceiveBuffer

from proxy_policies import validity
from proxy_policies.fields import RawFields
from proxy_policies.validity import Invalid

LIMIT = 64 * 1024
"""The most bytes of a chunk's size line or a trailer section: the same as for a request's head."""
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:[ \t]*+;[\t -~\x80-\xff]*+|[ \t]*+)\r\n")
"""A size of up to 64 bits, and extensions, which are not passed on."""


class ChunkedReader:
    """Reads one body. `trailers` are set once it has ended. Raises h11.RemoteProtocolError or Invalid.

    As in heads, folded lines and blanks before a colon are corrected in responses only (RFC 9112, sections 5.1, 5.2).
    """

    def __init__(self, *, is_request: bool = False) -> None:
        self.trailers: RawFields = ()
        self._is_request = is_request
        self._left = 0  # bytes left of the chunk
        self._line_end = b""  # required before the next chunk
        self._is_last = False

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """Return the next piece of the body in `buf`, or its end; None if more data is needed."""
        part = self._next(buf)
        if part is None:
            _check_size(len(buf))
        return part

    def _next(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        if self._left == 0 and not self._is_last and not self._begin_chunk(buf):
            return None
        if self._is_last:
            return self._end(buf)
        data = buf.maybe_extract_at_most(self._left)
        if data is None:
            return None
        self._left -= len(data)
        if self._left == 0:
            self._line_end = b"\r\n"
        return h11.Data(data=bytes(data))

    def read_eof(self) -> h11.EndOfMessage:
        """Refuse an end of file: the last chunk is missing."""
        raise h11.RemoteProtocolError("the peer closed the connection before the last chunk")

    def _begin_chunk(self, buf: ReceiveBuffer) -> bool:
        while self._line_end:
            data = buf.maybe_extract_at_most(len(self._line_end))
            if data is None:
                return False
            if not self._line_end.startswith(data):
                raise h11.RemoteProtocolError(f"a chunk has more bytes than it says: {validity.shown(bytes(data))}")
            self._line_end = self._line_end[len(data) :]
        line = buf.maybe_extract_next_line()
        if line is None:
            if b"\n" in bytes(buf):  # a bare LF: waiting for more would never end
                raise h11.RemoteProtocolError("the line before a chunk ends in LF alone")
            return False
        _check_size(len(line))
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise h11.RemoteProtocolError(f"the line before a chunk is not valid: {validity.shown(bytes(line))}")
        self._left = int(match[1], 16)
        self._is_last = self._left == 0
        return True

    def _end(self, buf: ReceiveBuffer) -> h11.EndOfMessage | None:
        lines = buf.maybe_extract_lines()
        if lines is None:
            return None
        _check_size(sum(map(len, lines)))
        plain = [bytes(line) for line in lines]
        fields = validity.parse_fields(plain if self._is_request else validity.unfolded(plain))
        self.trailers = validity.without_forbidden_trailers(fields)
        return h11.EndOfMessage()


def _check_size(size: int) -> None:
    if size > LIMIT:
        raise h11.RemoteProtocolError("chunk size or trailer section too long")


CHUNKED = None
UNTIL_CLOSE = -1
"""Special sizes, as in h11; others are in bytes."""


class BodyReader(Protocol):
    """Reads one body."""

    is_finished: bool
    rest: bytes

    @property
    def is_broken(self) -> bool:
        """True if the framing broke after the content returned last: the next call raises, even without new data."""

    @property
    def trailers(self) -> RawFields:
        """The trailer section, once the body is finished."""

    def feed(self, data: bytes) -> bytes:
        """Return the content of received data up to an error in the framing; raises Invalid if there is none."""

    def end(self, was_cut: bool) -> None:
        """Handle the end of the connection; raises Invalid if the body is incomplete."""


def body_reader(size: int | None) -> BodyReader:
    """Return the reader of a body of `size` bytes, CHUNKED or UNTIL_CLOSE."""
    if size is CHUNKED:
        return ChunkedBody()
    return UntilClose() if size == UNTIL_CLOSE else SizedBody(size)


def incomplete(came: int, size: int) -> str:
    """Return the message for a body that ended early, in h11's wording."""
    return f"peer closed connection without sending complete message body (received {came} bytes, expected {size})"


class SizedBody:
    """A body of declared length."""

    trailers: RawFields = ()
    is_broken = False

    def __init__(self, size: int) -> None:
        self._size, self._missing = size, size
        self.is_finished = not size
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the part that belongs to the body."""
        if len(data) < self._missing:
            self._missing -= len(data)
            return data
        self.rest, data = data[self._missing :], data[: self._missing]
        self._missing, self.is_finished = 0, True
        return data

    def end(self, was_cut: bool) -> None:
        """Refuse an end before the last byte."""
        raise Invalid(incomplete(self._size - self._missing, self._size))


class UntilClose:
    """A body that ends with its connection."""

    trailers: RawFields = ()
    is_broken = False
    rest = b""

    def __init__(self) -> None:
        self.is_finished = False

    def feed(self, data: bytes) -> bytes:
        """Return all of it."""
        return data

    def end(self, was_cut: bool) -> None:
        """End the body with the connection, unless that broke."""
        if was_cut:
            raise Invalid("the connection broke before the body's end")
        self.is_finished = True


class ChunkedBody:
    """A body in chunks."""

    def __init__(self) -> None:
        self._reader, self._buffer = ChunkedReader(), ReceiveBuffer()
        self._error: str | None = None
        self.is_finished = False
        self.rest = b""

    @property
    def is_broken(self) -> bool:
        """True if the framing broke, and the next call raises."""
        return self._error is not None

    @property
    def trailers(self) -> RawFields:
        """The trailer section, once the body is finished."""
        return self._reader.trailers

    def feed(self, data: bytes) -> bytes:
        """Return the chunks' data, including complete chunks before an error."""
        self._buffer += data
        content = b"" if self.is_broken else self._read()
        if self._error is not None and not content:
            raise Invalid(self._error)
        return content

    def _read(self) -> bytes:
        pieces: list[bytes] = []
        try:
            while isinstance(part := self._reader(self._buffer), h11.Data):
                pieces.append(bytes(part.data))
        except (h11.ProtocolError, Invalid) as error:
            part, self._error = None, str(error)
        if part is not None:
            self.is_finished = True
            self.rest = bytes(self._buffer)
        return b"".join(pieces)

    def end(self, was_cut: bool) -> None:
        """Refuse an end before the last chunk."""
        raise Invalid("the peer closed the connection before the last chunk")
