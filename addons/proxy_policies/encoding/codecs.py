"""Our content codings, as body transforms (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).

The levels are the highest that compress a chunk of 64 KiB in under 2 ms, as this happens in the event loop. Measured
maximum time per chunk and ratio on source text: zstd 3: 0.7 ms, 3.9; brotli 5 with a 64 KiB window: 1.5 ms, 4.2 (with
the usual 4 MiB window it collects input and then takes 5 ms); gzip by isal 3: 0.4 ms, 3.6; by zlib-ng 6: 1.1 ms, 4.0;
by zlib 4: 1.9 ms, 3.9 (6 takes 2.5 ms).
"""

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import brotli
import zstandard


def _optional(name: str) -> Any:
    """Import a module of the extra `fast`; None if not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


isal_zlib, zlib_ng = _optional("isal.isal_zlib"), _optional("zlib_ng.zlib_ng")
GZIP, ZLIB = 31, 15
"""zlib's `wbits`: a window of 32 KiB in gzip's or zlib's format."""
BROTLI_WINDOW = 16
"""Bytes, as a power of two."""

type _Step = Callable[[bytes], bytes]
type Flush = Callable[[], bytes]


class Encoder:
    """A transform that compresses and can be flushed."""

    __slots__ = ("_compress", "_finish", "_flush", "holds_back")

    def __init__(self, compress: _Step, flush: Flush, finish: Flush) -> None:
        self._compress = compress
        self._flush = flush
        self._finish = finish
        self.holds_back = False

    def feed(self, data: bytes) -> bytes:
        """Compress a chunk."""
        self.holds_back = True
        return self._compress(data)

    def flush(self) -> bytes:
        """Return all input so far, in a form that can be decoded at once."""
        self.holds_back = False
        return self._flush()

    def finish(self) -> bytes:
        """Return the end of the compressed body."""
        return self._finish()


def _zstd() -> Encoder:
    made = zstandard.ZstdCompressor(level=3).compressobj()
    return Encoder(made.compress, lambda: made.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), made.flush)


def _brotli() -> Encoder:
    made = brotli.Compressor(quality=5, lgwin=BROTLI_WINDOW)
    return Encoder(made.process, made.flush, made.finish)


def _zlib(wbits: int) -> Callable[[], Encoder]:
    def make() -> Encoder:
        made, sync = _fastest(wbits)
        return Encoder(made.compress, lambda: made.flush(sync), made.flush)

    return make


def _fastest(wbits: int) -> tuple[Any, int]:
    """Return the fastest installed zlib, and its constant for a flush that does not end the stream."""
    if isal_zlib is not None:
        return isal_zlib.compressobj(3, isal_zlib.DEFLATED, wbits), isal_zlib.Z_SYNC_FLUSH
    if zlib_ng is not None:
        return zlib_ng.compressobj(6, zlib_ng.DEFLATED, wbits), zlib_ng.Z_SYNC_FLUSH
    return zlib.compressobj(4, zlib.DEFLATED, wbits), zlib.Z_SYNC_FLUSH


CODECS: dict[str, Callable[[], Encoder]] = {
    "zstd": _zstd,
    "br": _brotli,
    "gzip": _zlib(GZIP),
    "deflate": _zlib(ZLIB),
}
"""The supported codings, by their names in Content-Encoding."""


def encoder(coding: str) -> Encoder:
    """Return a new transform for a coding of `CODECS`."""
    return CODECS[coding]()
