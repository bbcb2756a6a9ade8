"""Framing of HTTP/1 messages that we send and receive, and persistence (RFC 9112, sections 6 and 9.3).

Each side of the proxy decides by what it really received and sent. Everything here is pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import Protocol

from proxy_policies.fields import Fields, RawFields, parse_length, split_list, tokens
from proxy_policies.http1.chunked import ChunkedBody
from proxy_policies.validity import Invalid

VERSION = "HTTP/1.1"
"""The version of every HTTP/1 message we send: our own, not the peer's (RFC 9110, section 2.5)."""
RAW_VERSION = VERSION.encode()
DRAIN_LIMIT = 64 * 1024
"""Bytes of an upload's rest that are read to keep the connection; with more to come, it is closed."""
INTERIM_LIMIT = 256
"""Interim responses to one request: over an hour of a 102 every 20 s (RFC 2518, section 10.1); Go accepts 5."""
IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""Methods of requests that may be sent again (RFC 9110, section 9.2.2; RFC 9112, section 9.3.1)."""
CR, LF, NUL = b"\r\n\0"
"""As integers: before bytes are looked for in bytes, an exception is raised and dropped."""
CHUNKED = None
UNTIL_CLOSE = -1
"""Special sizes, as in h11; others are in bytes."""
FRAMING_FIELDS = frozenset(("content-length", "transfer-encoding"))
OPTIONS_OF_OURS = ("close", "keep-alive")
"""The connection options about persistence, which each sender sets itself."""


class Framing(Enum):
    """How a recipient finds the end of a body."""

    NONE = auto()
    """There is no body."""
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()
    """The body ends with the connection."""


@dataclass(frozen=True, slots=True)
class Head:
    """The fields of a message, ready to be sent, and the framing of its body."""

    fields: Fields
    framing: Framing


def persists(version: str, fields: Fields) -> bool:
    """Return whether a message leaves its connection open (RFC 9112, section 9.3)."""
    said = fields.get("connection")
    if said is None:
        return is_modern(version)
    options = tokens(said)
    return "close" not in options and (is_modern(version) or "keep-alive" in options)


def is_modern(version: str) -> bool:
    """Return whether a version has chunked bodies and persistent connections by default: HTTP/1.1 and later."""
    return version not in ("HTTP/1.0", "HTTP/0.9")


def is_interim(status: int) -> bool:
    """Return whether another response follows; after 101 another protocol does."""
    return 100 <= status < 200 and status != 101


class InterimCount:
    """Counts the interim responses to one request."""

    def __init__(self) -> None:
        self._count = 0

    def add(self) -> None:
        """Count one; raises Invalid if there are too many."""
        self._count += 1
        if self._count > INTERIM_LIMIT:
            raise Invalid(f"over {INTERIM_LIMIT} interim responses")


def has_no_body(method: str, status: int) -> bool:
    """Return whether a response to `method` ends with its head whatever its fields say (RFC 9112, section 6.3)."""
    if method == "HEAD" or status < 200 or status in (204, 304):
        return True
    return method == "CONNECT" and status < 300


def frame_response(fields: Fields, *, method: str, status: int, version: str, length: int | None) -> Head:
    """Choose the framing of a response and declare it in the fields.

    `method` and `version` are from the request as the client sent it; `length` is the body's in bytes, None if not
    known yet. HTTP/1.0 clients never get chunked bodies.
    """
    if has_no_body(method, status):
        framing, fields = Framing.NONE, _fields_without_body(fields, method, status)
    else:
        framing = _response_framing(fields, version, length)
        fields = _told(fields, framing, length)
    if not is_modern(version):
        fields = fields.without(["transfer-encoding"])
    return Head(fields, framing)


def _fields_without_body(fields: Fields, method: str, status: int) -> Fields:
    """Remove the fields about a body unless they are allowed without one (RFC 9110, 8.6; RFC 9112, 6.1)."""
    if method == "HEAD" or status == 304:
        return fields
    return fields.without(["content-length", "transfer-encoding"])


def _response_framing(fields: Fields, version: str, length: int | None) -> Framing:
    said = fields.get("transfer-encoding")
    codings = tokens(said) if said else []
    if codings and codings[-1] != "chunked":
        return Framing.CLOSE
    if codings and is_modern(version):
        return Framing.CHUNKED
    if length is not None or (not codings and "content-length" in fields):
        return Framing.LENGTH
    return Framing.CHUNKED if is_modern(version) else Framing.CLOSE


def frame_request(fields: Fields, *, length: int | None, is_empty: bool) -> Head:
    """Choose the framing of a request and declare it in the fields.

    `length` is the body's in bytes, None if not known yet; `is_empty`: no body follows.
    """
    if is_empty and not fields.has_any(FRAMING_FIELDS):
        return Head(fields, Framing.NONE)
    codings = tokens(fields.get("transfer-encoding"))
    if is_empty:
        # Keep Content-Length: 0, which a POST without a body sends (RFC 9110, section 8.6).
        said = fields.replacing("Content-Length", "0") if "content-length" in fields else fields
        return Head(said.without(["transfer-encoding"]), Framing.NONE)
    is_open = length is None and "content-length" not in fields
    framing = Framing.CHUNKED if codings or is_open else Framing.LENGTH
    return Head(_told(fields, framing, length), framing)


def _told(fields: Fields, framing: Framing, length: int | None) -> Fields:
    """Declare the framing in the fields, removing those that contradict it."""
    if framing is Framing.LENGTH:
        fields = fields.without(frozenset(("transfer-encoding",)))
        said = fields.lines("content-length")
        return fields if length is None or said == [str(length)] else fields.replacing("Content-Length", str(length))
    fields = fields.without(["content-length"])
    if framing is Framing.CHUNKED and "transfer-encoding" not in fields:
        return fields.adding("Transfer-Encoding", "chunked")
    return fields


def with_persistence(fields: Fields, version: str, closes: bool) -> Fields:
    """Declare persistence in `Connection`, for a peer that sent `version`; other options stay."""
    said = fields.get("connection")
    if said is None and not closes and is_modern(version):
        return fields
    options = split_list(said or "")
    kept = [option for option in options if option.lower() not in OPTIONS_OF_OURS]
    if closes:
        kept.append("close")
    elif not is_modern(version):
        kept.append("keep-alive")
    if kept == options:
        return fields
    return fields.replacing("Connection", ", ".join(kept)) if kept else fields.without(["connection"])


class SentBody:
    """The body of a message that we send piece by piece, framed as its head says."""

    __slots__ = ("framing", "missing", "size")

    def __init__(self, framing: Framing, fields: Fields) -> None:
        self.framing = framing
        self.missing = parse_length(fields.get("content-length")) if framing is Framing.LENGTH else None
        """Bytes that the body still lacks of its declared length; None if no length was declared."""
        self.size = 0
        """Bytes of content so far."""

    def piece(self, data: bytes) -> bytes:
        """Return a piece as it is sent; nothing beyond the declared length, or if there is no body."""
        if self.framing is Framing.NONE:
            return b""
        if self.missing is not None:
            data = data[: self.missing]
            self.missing -= len(data)
        self.size += len(data)
        return chunk(data) if self.framing is Framing.CHUNKED else data

    def end(self, trailers: Fields) -> bytes:
        """Return what follows the last piece."""
        return last_chunk(trailers) if self.framing is Framing.CHUNKED else b""


def chunk(data: bytes) -> bytes:
    """Return a chunk (RFC 9112, section 7.1); empty for empty data, which would be the last chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def last_chunk(trailers: Fields) -> bytes:
    """Return the end of a chunked body, with its trailer section (RFC 9112, section 7.1.2)."""
    return b"0\r\n%s\r\n" % field_lines(trailers.raw)


def field_lines(fields: RawFields) -> bytes:
    """Return the lines of a field section (RFC 9112, section 5)."""
    return b"%s: %s\r\n" * len(fields) % tuple(chain.from_iterable(fields))


def write_head(status: int, reason: bytes, fields: RawFields) -> bytes:
    """Return the bytes of a response head."""
    return b"%s %d %s\r\n%s\r\n" % (RAW_VERSION, status, reason, field_lines(fields))


def would_split(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return True if a field contains CR, LF or NUL, which would end its line once it is written."""
    text = b"".join(chain.from_iterable(fields))
    return CR in text or LF in text or NUL in text


# Received bodies


class BodyReader(Protocol):
    """Reads one body: it is fed received bytes and returns their content."""

    is_finished: bool
    rest: bytes
    """Once it is finished, the bytes after the body."""

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
