"""Decodes content codings (RFC 9110, section 8.4.1) with bounded memory. Pure.

Decoded content may be a thousand or a million times as large as what a peer sent: each decoder here takes a limit on
its output, and stops there.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import brotli
import zstandard

MAX_CODINGS = 5
"""Nested codings: curl's limit."""
ZSTD_WINDOW = 8 << 20
"""Bytes of history that a zstd decoder keeps (RFC 9659, section 3)."""

ZSTD_CHUNK = 256
"""Bytes decoded at once: they give at most 8 MiB, as a block of 128 KiB takes at least 4 (RFC 8878, 3.1.1.2)."""

MAX_MEMBERS = 4096
"""Concatenated members of one coding: bgzip writes one for 64 KiB of content, so 256 MiB are decoded."""
CHUNK = 64 << 10
"""Bytes decoded at once."""


class TooLarge(ValueError):
    """The content is larger than its limit."""


def codings_of(content_encoding: str | None) -> list[str]:
    """Return the codings of a Content-Encoding value, in the order they were applied."""
    return [name for name in (part.strip().lower() for part in (content_encoding or "").split(",")) if name]


def decode_all(data: bytes, content_encoding: str | None, limit: int) -> bytes:
    """Return the content with all its codings decoded, each step giving at most `limit` bytes.

    Raise TooLarge if it would be more, ValueError if a coding is unknown, the data is invalid, or there are too many
    codings.
    """
    names = codings_of(content_encoding)
    if len(names) > MAX_CODINGS:
        raise ValueError(f"{len(names)} codings, more than {MAX_CODINGS}")
    for name in reversed(names):
        data = decode(data, name, limit) if data else data
    return data


def decode(data: bytes, coding: str, limit: int) -> bytes:
    """Return data with one coding decoded, at most `limit` bytes. Raise TooLarge or ValueError."""
    try:
        decoder = DECODERS[coding]
    except KeyError:
        raise ValueError(f"unknown coding {coding!r}") from None
    try:
        content = decoder(data, limit)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise ValueError(f"invalid {coding}: {error}") from error
    if len(content) > limit:
        raise TooLarge(f"more than {limit} bytes once {coding} is decoded")
    return content


def _inflate(data: bytes, limit: int) -> bytes:
    """Decode deflate with or without its zlib wrapper: both are in use (RFC 9110, section 8.4.1.2)."""
    try:
        return _members(data, limit, lambda: zlib.decompressobj(), 1)
    except zlib.error:
        return _members(data, limit, lambda: zlib.decompressobj(-zlib.MAX_WBITS), 1)


def _gunzip(data: bytes, limit: int) -> bytes:
    """Decode one member, or several concatenated (RFC 1952, section 2.2)."""
    return _members(data, limit, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), MAX_MEMBERS)


def _unzstd(data: bytes, limit: int) -> bytes:
    """Decode one frame, or several concatenated (RFC 8878, section 3)."""
    return _members(data, limit, _ZstdFrame, MAX_MEMBERS)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _ZstdFrame:
    """A zstd decoder that is fed small chunks, so that the output of each is bounded."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
        self.eof, self.unused_data = False, b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        output, at = bytearray(), 0
        while at < len(data) and not self._frame.eof and len(output) < max_length:
            output += self._frame.decompress(data[at : at + ZSTD_CHUNK])
            at += ZSTD_CHUNK
        self.eof = self._frame.eof
        self.unused_data = self._frame.unused_data + data[at:]
        return bytes(output)


def _members(data: bytes, limit: int, make_decompressor: Callable[[], _Decompressor], max_members: int) -> bytes:
    """Decode concatenated members, in chunks because each decompressor copies its unused data."""
    output, at = bytearray(), 0
    for _ in range(max_members):
        member = make_decompressor()
        while not member.eof:
            chunk = data[at : at + CHUNK]
            at += len(chunk)
            output += member.decompress(chunk, limit + 1 - len(output))
            if len(output) > limit:
                return bytes(output)
            if not chunk:
                raise ValueError("incomplete data")
        at -= len(member.unused_data)
        if at == len(data):
            return bytes(output)
    raise ValueError(f"more than {max_members} members")


def _unbrotli(data: bytes, limit: int) -> bytes:
    decompressor = brotli.Decompressor()
    output, rest = bytearray(), data
    while len(output) <= limit:
        output += decompressor.process(rest, output_buffer_limit=limit + 1 - len(output))
        rest = b""
        if decompressor.is_finished() or decompressor.can_accept_more_data():
            break
    if len(output) <= limit and not decompressor.is_finished():
        raise ValueError("incomplete data")
    return bytes(output)


def _identity(data: bytes, limit: int) -> bytes:
    return data


DECODERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "identity": _identity,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
