"""Checksums of bodies stored outside this process, so that damaged bytes are not served.

ZFS and Btrfs have checksums, most disks and servers do not. A body is followed by its trailer: a CRC-32 of each block,
so that any part can be verified by itself, and one of these and the body's name, so that bodies cannot be confused.
Pure.
"""

from collections.abc import Iterator
from zlib import crc32

BLOCK = 64 * 1024
"""Bytes of a block; the last one may have fewer."""
CHECKSUM = 4
"""Bytes of a checksum."""
DAMAGED = "the stored body was damaged"


class DamagedBodyError(OSError):
    """A body differs from what was written."""


def body_size(stored_size: int) -> int:
    """Return the size of the body in stored data of a size. Raise DamagedBodyError if no body has that size."""
    rest = max(stored_size - CHECKSUM, 0)
    size = max(rest - CHECKSUM * -(-rest // (BLOCK + CHECKSUM)), 0)
    if size + trailer_size(size) != stored_size:
        raise DamagedBodyError(DAMAGED)
    return size


def trailer_size(size: int) -> int:
    """Return the bytes of the trailer of a body of `size` bytes."""
    return CHECKSUM * (-(-size // BLOCK) + 1)


def _signed(checksums: bytes | bytearray, name: str) -> bytes:
    return crc32(checksums, crc32(name.encode())).to_bytes(CHECKSUM)


class Checksums:
    """The checksums of a body being written."""

    def __init__(self) -> None:
        self._done = bytearray()
        self._last = self._size = 0

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the body."""
        view = memoryview(data)
        while view:
            piece = view[: BLOCK - self._size]
            self._last, self._size = crc32(piece, self._last), self._size + len(piece)
            if self._size == BLOCK:
                self._close()
            view = view[len(piece) :]

    def _close(self) -> None:
        self._done += self._last.to_bytes(CHECKSUM)
        self._last = self._size = 0

    def finish(self, name: str) -> bytes:
        """Return the trailer for the body, stored under `name`."""
        if self._size:
            self._close()
        return bytes(self._done) + _signed(self._done, name)


def blocks_of(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the blocks, as (start, stop), that contain positions `start` to `stop` of a body."""
    for at in range(start - start % BLOCK, stop, BLOCK):
        yield at, min(at + BLOCK, size)


class Trailer:
    """The trailer of a body being read. Raise DamagedBodyError if it does not match the name."""

    def __init__(self, stored: bytes, name: str) -> None:
        self._checksums = stored[:-CHECKSUM]
        if stored[-CHECKSUM:] != _signed(self._checksums, name):
            raise DamagedBodyError(DAMAGED)

    def verify(self, piece: bytes, at: int) -> None:
        """Raise DamagedBodyError unless the blocks in `piece`, which starts at position `at`, are intact."""
        for start in range(0, len(piece), BLOCK):
            first = (at + start) // BLOCK * CHECKSUM
            if crc32(piece[start : start + BLOCK]).to_bytes(CHECKSUM) != self._checksums[first : first + CHECKSUM]:
                raise DamagedBodyError(DAMAGED)


def verified(stored: bytes, name: str) -> bytes:
    """Return the body in data stored under a name. Raise DamagedBodyError if it was damaged."""
    size = body_size(len(stored))
    body = stored[:size]
    Trailer(stored[size:], name).verify(body, 0)
    return body
