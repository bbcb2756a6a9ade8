"""Checksums of bodies in files: bytes that a disk changed are not served (ZFS and Btrfs have them, most disks do not).

A file is the body, then a CRC-32 of each block of it, so that any part can be read and tried by itself. Pure.
"""

from collections.abc import Iterator
from zlib import crc32

BLOCK = 64 * 1024
"""Bytes of a block; the last one may have fewer."""
CHECKSUM = 4
"""Bytes of a checksum."""
DAMAGED = "the body's file was damaged"


class DamagedBodyError(OSError):
    """A body is not what was written."""


def body_size(file_size: int) -> int:
    """Return the bytes of body in a file; raises DamagedBodyError when there is none of that size."""
    size = max(file_size - CHECKSUM * -(-file_size // (BLOCK + CHECKSUM)), 0)
    if size + CHECKSUM * -(-size // BLOCK) != file_size:
        raise DamagedBodyError(DAMAGED)
    return size


class Checksums:
    """Of a body as it is written."""

    def __init__(self) -> None:
        self._done = bytearray()
        self._last = self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
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

    def finish(self) -> bytes:
        """Return what follows the body in its file."""
        if self._size:
            self._close()
        return bytes(self._done)


def blocks_of(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Return the blocks, as (start, stop), that positions `start` to `stop` of a body lie in."""
    for at in range(start - start % BLOCK, stop, BLOCK):
        yield at, min(at + BLOCK, size)


def verify(block: bytes, at: int, checksums: bytes) -> None:
    """Raise DamagedBodyError unless the block at a position of the body is what was written."""
    first = at // BLOCK * CHECKSUM
    if crc32(block).to_bytes(CHECKSUM) != checksums[first : first + CHECKSUM]:
        raise DamagedBodyError(DAMAGED)


def verified(file: bytes) -> bytes:
    """Return the body in a file; raises DamagedBodyError when it is not what was written."""
    size = body_size(len(file))
    checksums = file[size:]
    for start, stop in blocks_of(0, size, size):
        verify(file[start:stop], start, checksums)
    return file[:size]
