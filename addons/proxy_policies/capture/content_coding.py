"""Content codings of recorded bodies (RFC 9110 section 8.4.1): decoded for reading, encoded again for replay."""

import gzip
import zlib
from collections.abc import Callable, Mapping

import brotli
import zstandard

from proxy_policies.capture.model import Body, Headers, header

LIMIT = 256 << 20  # a body that unpacks to more is kept packed: a guard against bombs


def _inflate(data: bytes) -> bytes:
    """Deflate with or without its zlib wrapper: RFC 9110 section 8.4.1.2 notes that both are sent."""
    try:
        return _bounded(zlib.decompressobj(), data)
    except zlib.error:
        return _bounded(zlib.decompressobj(-zlib.MAX_WBITS), data)


def _gunzip(data: bytes) -> bytes:
    return _bounded(zlib.decompressobj(16 + zlib.MAX_WBITS), data)


def _bounded(decompressor: "zlib._Decompress", data: bytes) -> bytes:
    content = decompressor.decompress(data, LIMIT)
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("not one whole stream")
    return content


def _unzstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _same(data: bytes) -> bytes:
    return data


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "identity": _same,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "br": brotli.decompress,
    "zstd": _unzstd,
}
ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "identity": _same,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "zstd": _zstd,
}


def names(content_encoding: str | None) -> list[str]:
    """Return the codings of a Content-Encoding value, in the order they were applied."""
    return [name for name in (part.strip().lower() for part in (content_encoding or "").split(",")) if name]


def decode(data: bytes, content_encoding: str | None) -> bytes | None:
    """Return the content without its codings, or None when one is unknown or the octets do not fit it."""
    try:
        for name in reversed(names(content_encoding)):
            data = DECODERS[name](data) if data else data
    except (KeyError, ValueError, zlib.error, brotli.error, zstandard.ZstdError):
        return None
    return data


def encode(content: bytes, content_encoding: str | None) -> bytes | None:
    """Return the content with its codings applied, or None when one is unknown."""
    if not content:
        return content
    for name in names(content_encoding):
        encoder = ENCODERS.get(name)
        if encoder is None:
            return None
        content = encoder(content)
    return content


def from_wire(raw: bytes, headers: Headers) -> Body:
    """Return the body that was sent as `raw` with these fields."""
    content = decode(raw, header(headers, "content-encoding"))
    if content is None or content == raw:
        return Body(raw)
    return Body(content, wire=raw)


def to_wire(body: Body, headers: Headers) -> bytes:
    """Return the octets to send: those recorded, or the content with its codings applied again."""
    if body.wire is not None:
        return body.wire
    encoded = encode(body.content, header(headers, "content-encoding"))
    return body.content if encoded is None else encoded
