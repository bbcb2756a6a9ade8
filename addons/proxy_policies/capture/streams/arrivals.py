"""The times at which the frames of a body arrived, from those of its bytes, also for encoded bodies."""

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import brotli
import zstandard

from proxy_policies.capture.model import Entry, Request, Response, header
from proxy_policies.capture.streams.frames import ends, framing_of
from proxy_policies.decoding import ZSTD_WINDOW, codings_of

CHUNK_SIZE = 64
"""Bytes of an incomplete body decoded at once, so that each can expand to little (see `proxy_policies.decoding`)."""

type Arrival = tuple[int, float]
"""The number of bytes of a body that had arrived, and the time, in seconds since the epoch."""

MAX_ARRIVALS = 1 << 16
"""Arrivals kept of one body, 8 MiB of memory; later bytes are counted to the last one."""


def frame_times(content: bytes, content_type: str, arrivals: Sequence[Arrival]) -> tuple[float, ...]:
    """Return when the last byte of each frame arrived, in seconds since the epoch; () if content is not a stream.

    `arrivals` count bytes of the content, of which there may be fewer.
    """
    framing = framing_of(content, content_type)
    if framing is None or not arrivals:
        return ()
    offsets = [offset for offset, _ in arrivals]
    last = len(arrivals) - 1
    return tuple(arrivals[min(bisect_left(offsets, end), last)][1] for end in ends(content, framing))


def decoded_arrivals(wire: bytes, content_encoding: str | None, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Return arrivals that count bytes of the encoded body as arrivals that count bytes of the content."""
    decoder = StreamDecoder(content_encoding)
    found, length, start = [], 0, 0
    for offset, moment in arrivals:
        length += len(decoder.feed(wire[start:offset]))
        start = offset
        found.append((length, moment))
    return found


def with_frame_times(entry: Entry, arrivals: Mapping[str, Sequence[Arrival]]) -> Entry:
    """Return an entry, whose bodies are decoded, with the times of its frames; `arrivals` are by field of the entry."""
    if not arrivals:
        return entry
    timed = {name: _timed(getattr(entry, name), arrived) for name, arrived in arrivals.items()}
    return replace(entry, **timed)


def _timed[Message: (Request, Response)](message: Message, arrivals: Sequence[Arrival]) -> Message:
    body = message.body
    if body.wire is not None:
        arrivals = decoded_arrivals(body.wire, header(message.headers, "content-encoding"), arrivals)
    times = frame_times(body.content, header(message.headers, "content-type") or "", arrivals)
    return replace(message, body=replace(body, frame_times=times))


class StreamDecoder:
    """Decodes a body as it arrives, as far as possible if it is incomplete.

    The size of its output is not limited; the caller must feed it little at once.
    """

    def __init__(self, content_encoding: str | None) -> None:
        names = codings_of(content_encoding)
        self._steps = [DECODERS[name]() for name in reversed(names) if name in DECODERS]
        self.is_known = all(name in DECODERS or name == "identity" for name in names)
        self.is_broken = False

    def feed(self, data: bytes) -> bytes:
        """Return the content decoded from these bytes; nothing after an error."""
        try:
            for step in self._steps if not self.is_broken else ():
                data = step(data)
        except (zlib.error, brotli.error, zstandard.ZstdError):
            self.is_broken = True
        return b"" if self.is_broken else data


def decode_partly(wire: bytes, content_encoding: str | None, limit: int) -> bytes:
    """Return the content of an incomplete body, as far as it can be decoded, at most `limit` bytes.

    Raise ValueError if a coding is unknown, or the body is not encoded so.
    """
    decoder, content = StreamDecoder(content_encoding), bytearray()
    if not decoder.is_known:
        raise ValueError(f"unknown coding in {content_encoding!r}")
    for at in range(0, len(wire), CHUNK_SIZE):
        content += decoder.feed(wire[at : at + CHUNK_SIZE])
        if decoder.is_broken:
            raise ValueError(f"no {content_encoding}")
        if len(content) > limit:
            break
    return bytes(content[:limit])


def _zlib_decoder() -> Callable[[bytes], bytes]:
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress  # either with gzip's or with zlib's header


def _brotli_decoder() -> Callable[[bytes], bytes]:
    return brotli.Decompressor().process  # type: ignore[no-any-return]


def _zstd_decoder() -> Callable[[bytes], bytes]:
    return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj().decompress


DECODERS: Mapping[str, Callable[[], Callable[[bytes], bytes]]] = {
    "gzip": _zlib_decoder,
    "x-gzip": _zlib_decoder,
    "deflate": _zlib_decoder,
    "br": _brotli_decoder,
    "zstd": _zstd_decoder,
}


def pieces(content: bytes, content_type: str) -> Iterator[bytes]:
    """Yield each frame of content, and the rest."""
    start = 0
    framing = framing_of(content, content_type)
    for end in ends(content, framing) if framing is not None else ():
        yield content[start:end]
        start = end
    if start < len(content):
        yield content[start:]
