"""Reads chunked bodies (RFC 9112, section 7.1). Pure.

`ChunkedReader` has the interface of h11's, for mitmproxy's layers: h11's own rejects white space before a chunk
extension, which is legal, and accepts control characters in extensions and trailers.
"""

from __future__ import annotations

import re

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
