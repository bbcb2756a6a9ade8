"""Content codings of recorded bodies (RFC 9110 section 8.4.1): decoded for reading, encoded again for replay."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import brotli
import zstandard

from proxy_policies import decoding
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, header
from proxy_policies.capture.streams.arrivals import decode_partly
from proxy_policies.decoding import codings_of

MAX_CONTENT = 64 << 20
"""Maximum size of a body's content in bytes, unless an option sets another one."""


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _identity(data: bytes) -> bytes:
    return data


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "identity": _identity,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "zstd": _zstd,
}


def encode(content: bytes, content_encoding: str | None) -> bytes | None:
    """Return the content encoded; None if a coding is unknown."""
    if not content:
        return content
    for name in codings_of(content_encoding):
        encoder = ENCODERS.get(name)
        if encoder is None:
            return None
        content = encoder(content)
    return content


def from_wire(raw: bytes, headers: Headers, limit: int = MAX_CONTENT) -> Body:
    """Return the body that was sent as `raw` with these fields; content of more than `limit` bytes is dropped.

    If it cannot be decoded, its content is the body as sent, which is sent again unchanged.
    """
    try:
        content = decoding.decode_all(raw, header(headers, "content-encoding"), limit)
    except decoding.TooLarge:
        return Body(dropped=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    except ValueError:
        return _undecoded(raw, headers)
    return Body(raw) if content == raw else Body(content, wire=raw)


def _undecoded(raw: bytes, headers: Headers) -> Body:
    """Return a body that cannot be decoded; without `wire`, known codings would be applied again."""
    names = codings_of(header(headers, "content-encoding"))
    return Body(raw, wire=raw if ENCODERS.keys() >= set(names) else None)


def is_encoded(message: Request | Response) -> bool:
    """Return whether a message has an encoded body, whose decoding may take long even if it is short."""
    if not message.body.content:
        return False
    # header() would group all fields, which are new with almost every response: a twentieth of the time to record it
    return any([value for name, value in message.headers if name.lower() == "content-encoding"])


def decode_bodies(entry: Entry, limit: int) -> Entry:
    """Return an entry with its bodies, which are as sent, decoded."""
    if not any(is_encoded(message) for message in (entry.request, entry.response, entry.origin) if message is not None):
        return entry
    origin = decode_body(entry.origin, limit) if entry.origin is not None else None
    request, response = decode_body(entry.request, limit), decode_body(entry.response, limit)
    return replace(entry, request=request, response=response, origin=origin)


def decode_body[Head: (Request, Response)](message: Head, limit: int) -> Head:
    """Return a message with its body, which is as sent, decoded; as far as possible if it is incomplete."""
    body = message.body
    if body.dropped or not is_encoded(message):
        return message
    decoded = from_wire(body.content, message.headers, limit)
    if body.cut and decoded.content == body.content:
        decoded = _partly_decoded(decoded, header(message.headers, "content-encoding"), limit)
    return replace(message, body=replace(decoded, cut=body.cut))


def _partly_decoded(undecoded: Body, content_encoding: str | None, limit: int) -> Body:
    """Return an incomplete body decoded as far as possible."""
    try:
        return Body(decode_partly(undecoded.content, content_encoding, limit), wire=undecoded.content)
    except ValueError:
        return undecoded


def to_wire(body: Body, headers: Headers) -> bytes:
    """Return the bytes to send: those recorded, or the content encoded again."""
    if body.wire is not None:
        return body.wire
    encoded = encode(body.content, header(headers, "content-encoding"))
    return body.content if encoded is None else encoded
