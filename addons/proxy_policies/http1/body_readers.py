"""Where a body ends (RFC 9112, section 6.3), for three framings. Pure.

A reader is fed what came and returns what of it is content; `rest` is what follows the body once it `is_finished`.
"""

from __future__ import annotations

from typing import Protocol

import h11
from h11._receivebuffer import ReceiveBuffer

from proxy_policies.fields import RawFields
from proxy_policies.http1.chunked import ChunkedReader
from proxy_policies.validity import Invalid

CHUNKED = None
UNTIL_CLOSE = -1
"""Sizes as h11's readers have them; others are bytes."""


class BodyReader(Protocol):
    """Reads one body."""

    is_finished: bool
    rest: bytes

    @property
    def trailers(self) -> RawFields:
        """The trailer section, once the body is finished."""

    def feed(self, data: bytes) -> bytes:
        """Return the content in what came; raises Invalid when the framing is broken."""

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
        self.is_finished = False
        self.rest = b""

    @property
    def trailers(self) -> RawFields:
        """The trailer section, once the body is finished."""
        return self._reader.trailers

    def feed(self, data: bytes) -> bytes:
        """Return the chunks' data."""
        self._buffer += data
        pieces: list[bytes] = []
        try:
            while isinstance(part := self._reader(self._buffer), h11.Data):
                pieces.append(bytes(part.data))
        except h11.ProtocolError as error:
            raise Invalid(str(error)) from error
        if part is not None:
            self.is_finished = True
            self.rest = bytes(self._buffer)
        return b"".join(pieces)

    def end(self, was_cut: bool) -> None:
        """Refuse an end before the last chunk."""
        raise Invalid("the peer closed the connection before the last chunk")
