"""A body arriving from its origin, read meanwhile by several readers, each at its own pace.

The pieces form a chain in which each reader holds its current one, so that pieces no longer needed are freed. Pieces
that a slow reader still needs are kept in memory up to a bound, then in a temporary file.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable
from typing import IO

MAX_HELD = 16 * 1024 * 1024
"""Bytes of one body in memory (cache_max_object's default, which a memory store holds anyway)."""
HELD_TOGETHER = 64 * 1024 * 1024
"""Bytes held of all bodies for future readers; beyond that, new readers cannot join."""
MAX_SPOOLED = 1024 * 1024 * 1024
"""Bytes of one body in its temporary file (nginx's proxy_max_temp_file_size)."""


class Room:
    """The bytes left for holding all bodies for future readers."""

    def __init__(self, limit: int = HELD_TOGETHER) -> None:
        self.left = limit


class _Piece:
    """A piece, in memory or in the file; lost when it is in neither."""

    __slots__ = ("at", "data", "is_lost", "next", "size")

    def __init__(self, at: int, data: bytes) -> None:
        self.at = at
        self.data: bytes | None = data
        self.size = len(data)
        self.is_lost = False
        self.next: _Piece | None = None


def _ignore() -> None:
    """Do nothing."""


class IncomingBody:
    """The tap that receives a body, and passes it to readers."""

    def __init__(self, room: Room, changed: Callable[[], None]) -> None:
        self._room = room
        self._changed = changed
        self._last = _Piece(0, b"")
        self._first: _Piece | None = self._last
        """Where new readers start; None if that is no longer held."""
        self._kept = self._last
        """The last piece beyond the bound: later ones stay in memory."""
        self._reserved = self._spooled = 0
        self._overflow: IO[bytes] | None = None
        self._readers: set[IncomingReader] = set()
        self._news: asyncio.Event | None = None
        """Set at the next change; created when a reader waits."""
        self.size = 0
        self.is_finished = False
        self.is_broken = False

    def __del__(self) -> None:
        if self._overflow is not None:
            self._overflow.close()

    def feed(self, data: bytes) -> None:
        """Add a piece."""
        piece = _Piece(self.size, data)
        self._last.next = self._last = piece
        self.size += len(data)
        self._reserve(len(data))
        if not self._readers and (self.size > MAX_HELD or self._room.left < 0):
            self._forget_beginning()
        self._bound()
        self._tell()

    def finish(self) -> None:
        """Finish: the body is complete."""
        self._end()

    def abort(self) -> None:
        """Abort: the body was cut off."""
        self.is_broken = True
        self._end()

    def _end(self) -> None:
        self.is_finished = True
        self._release_room()
        self._tell()
        self._changed = _ignore  # in a cycle with its leader, a body would be held until garbage is collected

    def _reserve(self, size: int) -> None:
        if self._first is not None and self._reserved < MAX_HELD:
            self._reserved += size
            self._room.left -= size

    def _release_room(self) -> None:
        self._room.left += self._reserved
        self._reserved = 0

    def _forget_beginning(self) -> None:
        self._first = None
        self._release_room()

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.set()
        self._changed()

    async def news(self) -> None:
        """Wait for a change."""
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    @property
    def is_read(self) -> bool:
        """Return whether it has readers."""
        return bool(self._readers)

    def open(self) -> "IncomingReader | None":
        """Return a new reader; None if the beginning is gone."""
        if self._first is None or self.is_broken:
            return None
        reader = IncomingReader(self, self._first)
        self._readers.add(reader)
        return reader

    def open_alone(self) -> "IncomingReader":
        """Return the only reader that there will be: nothing is held for others."""
        reader = IncomingReader(self, self._last)
        self._readers.add(reader)
        self._forget_beginning()
        return reader

    def closed(self, reader: "IncomingReader") -> None:
        """Remove a reader that has left."""
        self._readers.discard(reader)
        self._changed()

    # Data for slow readers

    def _bound(self) -> None:
        """Move pieces beyond the bound to the file, if a reader still needs them."""
        while (piece := self._kept.next) is not None and self.size - piece.at - piece.size > MAX_HELD:
            self._kept = piece
            slowest = min((reader.position for reader in self._readers), default=self.size)
            if self._first is not None or slowest <= piece.at:
                self._to_file(piece)

    def _to_file(self, piece: _Piece) -> None:
        data, piece.data = piece.data, None
        if data is None or (self._spooled + piece.size <= MAX_SPOOLED and self._write(data, piece.at)):
            self._spooled += piece.size
        else:  # readers that need it are too slow
            piece.is_lost = True
            self._forget_beginning()

    def _write(self, data: bytes, at: int) -> bool:
        try:
            self._overflow = self._overflow or tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- it goes with the body
            return os.pwrite(self._overflow.fileno(), data, at) == len(data)
        except OSError:
            return False

    def load(self, piece: _Piece) -> bytes:
        """Read a piece from the file. Raise OSError if it is not there."""
        if self._overflow is None or piece.is_lost:
            raise OSError("read the body too slowly: it is no longer kept")
        return os.pread(self._overflow.fileno(), piece.size, piece.at)


class IncomingReader:
    """One reader of an arriving body (`flow_state.Source`)."""

    def __init__(self, body: IncomingBody, piece: _Piece) -> None:
        self._body, self._piece = body, piece

    @property
    def position(self) -> int:
        """Return how many bytes were read."""
        return self._piece.at + self._piece.size

    async def read(self) -> bytes:
        """Return the next piece, b"" at the end. Raise OSError if the body broke off, or this reader is too slow."""
        body = self._body
        while self._piece.next is None and not body.is_finished:
            await body.news()
        piece = self._piece.next
        if piece is None:
            if body.is_broken:
                raise OSError("the origin broke off")
            return b""
        data = piece.data if piece.data is not None else await asyncio.to_thread(body.load, piece)
        self._piece = piece
        return data

    async def close(self) -> None:
        """Stop reading."""
        self._body.closed(self)


class IncomingPart:
    """Positions `start` to `stop` of an arriving body (`flow_state.Source`)."""

    def __init__(self, reader: IncomingReader, start: int, stop: int) -> None:
        self._reader, self._start, self._stop = reader, start, stop

    async def read(self) -> bytes:
        """Return the next piece, b"" at the end. Raise OSError as the reader does."""
        while (at := self._reader.position) < self._stop and (data := await self._reader.read()):
            if part := data[max(self._start - at, 0) : self._stop - at]:
                return part
        return b""

    async def close(self) -> None:
        """Stop reading."""
        await self._reader.close()
