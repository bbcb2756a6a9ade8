"""When the frames of a body came: from when its octets did, its content codings undone."""

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import brotli
import zstandard

from proxy_policies.capture.model import Entry, Request, Response, header
from proxy_policies.capture.streams.frames import ends, framing_of
from proxy_policies.decoding import ZSTD_WINDOW, codings_of

PIECE = 64
"""Octets of an incomplete body decoded at once, so that little can come of each (see `proxy_policies.decoding`)."""

type Arrival = tuple[int, float]
"""How many octets of a body had come, and when, seconds since the epoch."""

MARKS_MOST = 1 << 16
"""Arrivals kept of one body, 8 MiB of memory: what comes later counts as come with the last one."""


def frame_times(content: bytes, content_type: str, arrivals: Sequence[Arrival]) -> tuple[float, ...]:
    """Return when the last octet of each frame came, seconds since the epoch; () for what is no stream.

    `arrivals` count the octets of the content, or are of as many octets of it as there are.
    """
    framing = framing_of(content, content_type)
    if framing is None or not arrivals:
        return ()
    offsets = [offset for offset, _ in arrivals]
    last = len(arrivals) - 1
    return tuple(arrivals[min(bisect_left(offsets, end), last)][1] for end in ends(content, framing))


def decoded_arrivals(wire: bytes, content_encoding: str | None, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Return the arrivals counted in octets of the content instead of those on the wire."""
    decoder = StreamDecoder(content_encoding)
    found, length, start = [], 0, 0
    for offset, moment in arrivals:
        length += len(decoder.feed(wire[start:offset]))
        start = offset
        found.append((length, moment))
    return found


def with_frame_times(entry: Entry, arrivals: Mapping[str, Sequence[Arrival]]) -> Entry:
    """Return an entry with the times of its frames, its bodies decoded: by when what was sent came, by message."""
    if not arrivals:
        return entry
    timed = {name: _timed(getattr(entry, name), marks) for name, marks in arrivals.items()}
    return replace(entry, **timed)


def _timed[Message: (Request, Response)](message: Message, arrivals: Sequence[Arrival]) -> Message:
    body = message.body
    if body.wire is not None:
        arrivals = decoded_arrivals(body.wire, header(message.headers, "content-encoding"), arrivals)
    times = frame_times(body.content, header(message.headers, "content-type") or "", arrivals)
    return replace(message, body=replace(body, frame_times=times))


class StreamDecoder:
    """Undoes content codings as octets come, as far as they can be undone: a body that is cut, or not over yet.

    Not for what a peer may have packed a million times: its caller bounds what is fed.
    """

    def __init__(self, content_encoding: str | None) -> None:
        names = codings_of(content_encoding)
        self._steps = [DECODERS[name]() for name in reversed(names) if name in DECODERS]
        self.is_known = all(name in DECODERS or name == "identity" for name in names)
        self.is_broken = False

    def feed(self, data: bytes) -> bytes:
        """Take octets from the wire, return what can be read by now."""
        try:
            for step in self._steps if not self.is_broken else ():
                data = step(data)
        except (zlib.error, brotli.error, zstandard.ZstdError):
            self.is_broken = True
        return b"" if self.is_broken else data


def decode_partly(wire: bytes, content_encoding: str | None, limit: int) -> bytes:
    """Return what can be read of a body that was cut, at most about `limit` octets of it.

    Raises ValueError when a coding is unknown, or the octets do not fit it.
    """
    decoder, made = StreamDecoder(content_encoding), bytearray()
    if not decoder.is_known:
        raise ValueError(f"unknown coding in {content_encoding!r}")
    for at in range(0, len(wire), PIECE):
        made += decoder.feed(wire[at : at + PIECE])
        if decoder.is_broken:
            raise ValueError(f"no {content_encoding}")
        if len(made) > limit:
            break
    return bytes(made[:limit])


def _inflate() -> Callable[[bytes], bytes]:
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress  # gzip's or zlib's wrapper, whichever it has


def _unbrotli() -> Callable[[bytes], bytes]:
    return brotli.Decompressor().process  # type: ignore[no-any-return]


def _unzstd() -> Callable[[bytes], bytes]:
    return zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj().decompress


DECODERS: Mapping[str, Callable[[], Callable[[bytes], bytes]]] = {
    "gzip": _inflate,
    "x-gzip": _inflate,
    "deflate": _inflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}


def pieces(content: bytes, content_type: str) -> Iterator[bytes]:
    """Yield content as it is to be sent: each frame, and what is left over."""
    start = 0
    framing = framing_of(content, content_type)
    for end in ends(content, framing) if framing is not None else ():
        yield content[start:end]
        start = end
    if start < len(content):
        yield content[start:]
