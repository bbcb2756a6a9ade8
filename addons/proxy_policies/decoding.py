"""Decodes content codings (RFC 9110, section 8.4.1) without ever exceeding a bound. Pure.

What a peer sends may be a thousand or a million times larger when it is unpacked: each decoder here has a bound
on how much it may make, and stops there.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import brotli
import zstandard

CODINGS_MOST = 5
"""Nested codings that are decoded: curl's limit."""
ZSTD_WINDOW = 8 << 20
"""Octets of history a zstd decoder keeps at most (RFC 9659 section 3)."""

ZSTD_PIECE = 256
"""Octets fed at once: 8 MiB may come of them, as a block of 128 KiB takes 4 at least (RFC 8878 section 3.1.1.2)."""

MEMBERS_MOST = 4096
"""Streams in a row that one coding may hold: bgzip writes one for 64 KiB of content, so 256 MiB of it pass."""
PIECE = 64 << 10
"""Octets taken at once."""


class TooLarge(ValueError):
    """The content would be larger than it may be."""


def codings_of(content_encoding: str | None) -> list[str]:
    """Return the codings of a Content-Encoding value, in the order they were applied."""
    return [name for name in (part.strip().lower() for part in (content_encoding or "").split(",")) if name]


def undo(data: bytes, content_encoding: str | None, limit: int) -> bytes:
    """Return the content without its codings, at most `limit` octets at every step.

    Raises TooLarge, and ValueError when a coding is unknown, the octets do not fit it, or there are too many codings.
    """
    names = codings_of(content_encoding)
    if len(names) > CODINGS_MOST:
        raise ValueError(f"{len(names)} codings, more than {CODINGS_MOST}")
    for name in reversed(names):
        data = decode(data, name, limit) if data else data
    return data


def decode(data: bytes, coding: str, limit: int) -> bytes:
    """Return the octets without one coding, at most `limit`. Raises TooLarge and ValueError."""
    try:
        decoder = DECODERS[coding]
    except KeyError:
        raise ValueError(f"unknown coding {coding!r}") from None
    try:
        content = decoder(data, limit)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise ValueError(f"no {coding}: {error}") from error
    if len(content) > limit:
        raise TooLarge(f"more than {limit} octets when {coding} is undone")
    return content


def _inflate(data: bytes, limit: int) -> bytes:
    """Deflate with or without its zlib wrapper: RFC 9110 section 8.4.1.2 notes that both are sent."""
    try:
        return _members(data, limit, lambda: zlib.decompressobj(), 1)
    except zlib.error:
        return _members(data, limit, lambda: zlib.decompressobj(-zlib.MAX_WBITS), 1)


def _gunzip(data: bytes, limit: int) -> bytes:
    """Undo one member or several in a row (RFC 1952 section 2.2)."""
    return _members(data, limit, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), MEMBERS_MOST)


def _unzstd(data: bytes, limit: int) -> bytes:
    """Undo one frame or several in a row (RFC 8878 section 3)."""
    return _members(data, limit, _ZstdFrame, MEMBERS_MOST)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _ZstdFrame:
    """A zstd decoder that takes its input in pieces so small that little can come of each."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self.eof, self.unused_data = False, b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        made, at = bytearray(), 0
        while at < len(data) and not self._frame.eof and len(made) < max_length:
            made += self._frame.decompress(data[at : at + ZSTD_PIECE])
            at += ZSTD_PIECE
        self.eof = self._frame.eof
        self.unused_data = self._frame.unused_data + data[at:]
        return bytes(made)


def _members(data: bytes, limit: int, begin: Callable[[], _Decompressor], most: int) -> bytes:
    """Undo up to `most` streams in a row; what is left over when one ends is copied, hence in pieces."""
    made, at = bytearray(), 0
    for _ in range(most):
        stream = begin()
        while not stream.eof:
            piece = data[at : at + PIECE]
            at += len(piece)
            made += stream.decompress(piece, limit + 1 - len(made))
            if len(made) > limit:
                return bytes(made)
            if not piece:
                raise ValueError("not one whole stream")
        at -= len(stream.unused_data)
        if at == len(data):
            return bytes(made)
    raise ValueError(f"more than {most} in a row")


def _unbrotli(data: bytes, limit: int) -> bytes:
    decompressor = brotli.Decompressor()
    made, fed = bytearray(), data
    while len(made) <= limit:
        made += decompressor.process(fed, output_buffer_limit=limit + 1 - len(made))
        fed = b""
        if decompressor.is_finished() or decompressor.can_accept_more_data():
            break
    if len(made) <= limit and not decompressor.is_finished():
        raise ValueError("not one whole stream")
    return bytes(made)


def _same(data: bytes, limit: int) -> bytes:
    return data


DECODERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "identity": _same,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
