"""Reading chunked bodies (RFC 9112, section 7.1), with the interface of h11's body readers.

h11's own refuses a blank before a chunk extension, which is legal, and lets controls into extensions and trailers.
"""

import re

import h11
from h11._receivebuffer import ReceiveBuffer

from proxy_policies import validity
from proxy_policies.fields import RawFields

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
