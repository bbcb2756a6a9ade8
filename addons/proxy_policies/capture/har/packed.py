"""Compressed HAR files: `.har.gz`, and Playwright's `.zip`, which has bodies as files beside the HAR."""

import zipfile
import zlib
from pathlib import Path

from proxy_policies.capture.errors import CaptureError

ZIP = b"PK\x03\x04"
GZIP = b"\x1f\x8b"
LARGEST = 1 << 30
"""Maximum decompressed size in bytes, against decompression bombs. 8 700 entries are 59 MiB."""


def read(path: Path) -> bytes:
    """Return the decompressed content of a HAR file. Raise OSError and CaptureError."""
    data = path.read_bytes()
    if data.startswith(GZIP):
        return _gunzip(path, data)
    return _har_in(path) if data.startswith(ZIP) else data


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip archive."""
    with path.open("rb") as file:
        return file.read(len(ZIP)) == ZIP


def is_packed(path: Path) -> bool:
    """Return whether a file is a zip archive, or compressed."""
    with path.open("rb") as file:
        return file.read(len(ZIP)).startswith((ZIP, GZIP))


def member(path: Path, name: str) -> bytes:
    """Return a file of a zip archive. Raise ValueError if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _bounded(archive, name)
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error).strip("'\"")) from None


def _gunzip(path: Path, data: bytes) -> bytes:
    """Return all members of a gzip file, decompressed (RFC 1952 section 2.2)."""
    pieces, size = [], 0
    while data:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            pieces.append(unpacker.decompress(data, LARGEST - size + 1))
        except zlib.error as error:
            raise CaptureError(f"{path}: damaged gzip: {error}") from None
        size += len(pieces[-1])
        if size > LARGEST:
            raise CaptureError(f"{path}: unpacks to more than {LARGEST >> 20} MiB")
        if not unpacker.eof:
            raise CaptureError(f"{path}: gzip that was cut off")
        data = unpacker.unused_data if unpacker.unused_data.startswith(GZIP) else b""
    return b"".join(pieces)


def _har_in(path: Path) -> bytes:
    """Return the one HAR file of an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".har")]
            if len(names) != 1:
                raise CaptureError(f"{path}: a zip archive with {len(names)} .har files in it; there must be one")
            return _bounded(archive, names[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
        raise CaptureError(f"{path}: not a whole zip archive: {error}") from None


def _bounded(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{name} unpacks to more than {LARGEST >> 20} MiB")
    return data
