"""Compressed HAR files: `.har.gz`, mitmproxy's `.zhar`, and Playwright's `.zip`.

The zip file has bodies as files beside the HAR.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from proxy_policies.capture.errors import CaptureError

ZIP = b"PK\x03\x04"
GZIP = b"\x1f\x8b"
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""Window of 32 KiB, at each of the four levels (RFC 1950 section 2.2)."""
PIECE = 1 << 18  # bytes
LARGEST = 1 << 30
"""Maximum decompressed size in bytes, against decompression bombs. 8 700 entries are 59 MiB."""


def read(path: Path) -> bytes:
    """Return the decompressed content of a HAR file. Raise OSError and CaptureError."""
    return b"".join(pieces(path))


def pieces(path: Path) -> Iterator[bytes]:
    """Yield the decompressed content of a HAR file in pieces. Raise OSError and CaptureError."""
    with path.open("rb") as file:
        start = file.read(len(ZIP))
        file.seek(0)
        if start == ZIP:
            yield from _har_in(path)
        elif start.startswith((GZIP, *ZLIB)):
            yield from _decompressed(path, file)
        else:
            yield from iter(lambda: file.read(PIECE), b"")


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip archive."""
    with path.open("rb") as file:
        return file.read(len(ZIP)) == ZIP


def is_packed(path: Path) -> bool:
    """Return whether a file is a zip archive, or compressed."""
    with path.open("rb") as file:
        return file.read(len(ZIP)).startswith((ZIP, GZIP, *ZLIB))


def member(path: Path, name: str) -> bytes:
    """Return a file of a zip archive. Raise ValueError if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return b"".join(_bounded(archive, name))
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error).strip("'\"")) from None


def _decompressed(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Yield what is in a zlib file, or in all members of a gzip file (RFC 1952 section 2.2)."""
    unpacker, size, data = _new_unpacker(), 0, file.read(PIECE)
    while data:
        if unpacker.eof:
            if not data.startswith(GZIP):
                return
            unpacker = _new_unpacker()
        try:
            piece = unpacker.decompress(data, PIECE)
        except zlib.error as error:
            raise CaptureError(f"{path}: damaged gzip: {error}") from None
        if (size := size + len(piece)) > LARGEST:
            raise CaptureError(f"{path}: unpacks to more than {LARGEST >> 20} MiB")
        yield piece
        data = (unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail) or file.read(PIECE)
    if not unpacker.eof:
        raise CaptureError(f"{path}: gzip that was cut off")


def _new_unpacker() -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS | 32)  # zlib or gzip


def _har_in(path: Path) -> Iterator[bytes]:
    """Yield the one HAR file of an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".har")]
            if len(names) != 1:
                raise CaptureError(f"{path}: a zip archive with {len(names)} .har files in it; there must be one")
            yield from _bounded(archive, names[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise CaptureError(f"{path}: not a whole zip archive: {error}") from None


def _bounded(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    size = 0
    with archive.open(name) as file:
        while piece := file.read(PIECE):
            if (size := size + len(piece)) > LARGEST:
                raise ValueError(f"{name} unpacks to more than {LARGEST >> 20} MiB")
            yield piece
