"""Reading bodies (RFC 9112, sections 6.3 and 7.1): where each of three framings ends. Pure.

A reader is fed what came and returns what of it is content; `rest` is what follows the body once it `is_finished`. The
reader of chunks has the interface of h11's, for mitmproxy's layers: h11's own refuses a blank before a chunk extension,
which is legal, and lets controls into extensions and trailers.
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
"""The most bytes that a line before a chunk or a trailer section may have: those of a request's head."""
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:[ \t]*+;[\t -~\x80-\xff]*+|[ \t]*+)\r\n")
"""A size of up to 64 bits, and extensions, which end here."""


class ChunkedReader:
    """Reads one body. `trailers` are there when it has ended. Raises h11.RemoteProtocolError or Invalid."""

    def __init__(self) -> None:
        self.trailers: RawFields = ()
        self._left = 0  # bytes of the chunk still to come
        self._line_end = b""  # what must come before the next chunk
        self._is_last = False

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """Return the next piece of the body that is in `buf`, its end, or None when more must come first."""
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
        """Refuse an end of file: the last chunk did not come."""
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
            if b"\n" in bytes(buf):  # alone: to wait for more would be to wait for ever
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
        fields = validity.parse_fields(validity.unfolded(bytes(line) for line in lines))
        self.trailers = validity.without_forbidden_trailers(fields)
        return h11.EndOfMessage()


def _check_size(size: int) -> None:
    if size > LIMIT:
        raise h11.RemoteProtocolError("chunk size or trailer section too long")


CHUNKED = None
UNTIL_CLOSE = -1
"""Sizes as h11's readers have them; others are bytes."""


class BodyReader(Protocol):
    """Reads one body."""

    is_finished: bool
    rest: bytes

    @property
    def is_broken(self) -> bool:
        """True if the framing broke after what was returned last: the next call raises, whether more came or not."""

    @property
    def trailers(self) -> RawFields:
        """The trailer section, once the body is finished."""

    def feed(self, data: bytes) -> bytes:
        """Return the content in what came, up to where the framing breaks; raises Invalid where there is none left."""

    def end(self, was_cut: bool) -> None:
        """Take note that no more comes; raises Invalid when that is too early."""


def body_reader(size: int | None) -> BodyReader:
    """Make the reader of a body of `size` bytes, CHUNKED or UNTIL_CLOSE."""
    if size is CHUNKED:
        return ChunkedBody()
    return UntilClose() if size == UNTIL_CLOSE else SizedBody(size)


def incomplete(came: int, size: int) -> str:
    """Return what is said of a body that ended early, in h11's words."""
    return f"peer closed connection without sending complete message body (received {came} bytes, expected {size})"


class SizedBody:
    """A body whose length was said."""

    trailers: RawFields = ()
    is_broken = False

    def __init__(self, size: int) -> None:
        self._size, self._missing = size, size
        self.is_finished = not size
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what belongs to the body."""
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
        """Take the end of the connection for the body's, unless it broke."""
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
        """Return the chunks' data: what came whole before a break is the client's."""
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
