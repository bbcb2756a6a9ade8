"""Bodies in files: read in verified pieces, and written as they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.checksums import DAMAGED, Checksums, DamagedBodyError, Trailer, blocks_of, trailer_size
from proxy_policies.cache.stores.store import Checkpoint, name_of

MAX_QUEUED = 32 * 1024 * 1024
"""Bytes of one body that may wait to be written; if the disk is even slower, the body is not stored."""
TOGETHER = 64
"""Chunks written at once: 4 MiB."""


class Folder(Protocol):
    """The store to which a body is written."""

    bodies: Path
    is_closed: bool

    def run(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        """Run work in the thread that writes, at once if the store is closed."""

    def mended[T](self, work: Callable[[], T]) -> T:
        """Run work in the folder, after creating it again if it was removed."""

    def commits(self, key: str, commit: Future[None]) -> None:
        """Note a pending commit."""

    def finish(self, temporary: Path, entry: StoredResponse, since: Checkpoint, coding: str) -> None:
        """Make a complete body visible."""

    def ended(self, error: Exception | None) -> None:
        """Report the outcome of an attempt to store."""


class BodyFile:
    """A body in an open file: readable even if it is deleted meanwhile."""

    in_memory = None

    def __init__(self, handle: int, name: str, size: int, damaged: Callable[[OSError], None]) -> None:
        self._handle, self._name = handle, name
        self._damaged = damaged
        self._trailer: Trailer | None = None
        self.size = size

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Read pieces in a thread. Raise OSError before a damaged piece."""
        for first, last in blocks_of(start, stop, self.size):
            try:
                block = await asyncio.to_thread(self._read, first, last)
            except OSError as error:
                self._damaged(error)
                raise
            yield block[max(start - first, 0) : stop - first]

    def _read(self, first: int, last: int) -> bytes:
        if self._trailer is None:
            self._trailer = Trailer(os.pread(self._handle, trailer_size(self.size), self.size), self._name)
        block = os.pread(self._handle, last - first, first)
        if len(block) != last - first:
            raise DamagedBodyError(DAMAGED)
        self._trailer.verify(block, first)
        return block

    def __del__(self) -> None:
        os.close(self._handle)


class BodyFileWriter:
    """Writes a body to its own file on disk.

    The thread takes everything queued at once, as a busy event loop lets it run only a few hundred times a second.
    """

    def __init__(self, store: Folder, since: Checkpoint, coding: str) -> None:
        self._store, self._since, self._coding = store, since, coding
        self._path = store.bodies / f"{os.urandom(16).hex()}.part-{os.getpid()}"
        self._queue: deque[bytes] = deque()
        self._fed = self._written = 0
        self._checksums = Checksums()
        self._handle: int | None = None
        self._error: Exception | None = None
        self._is_aborted = False

    @property
    def _failed(self) -> bool:
        return self._is_aborted or self._error is not None or self._store.is_closed

    def feed(self, data: bytes) -> None:
        """Queue a part of the body."""
        self._fed += len(data)
        if self._fed - self._written > MAX_QUEUED:
            self._error = OSError("slower than the origin")
        elif not self._failed:
            self._queue.append(data)
            if len(self._queue) == 1:
                self._store.run(self._drain)

    def _drain(self) -> None:
        try:
            while self._queue and not self._failed:
                pieces = [self._queue[at] for at in range(min(len(self._queue), TOGETHER))]
                data = b"".join(pieces)
                self._checksums.feed(data)
                self._write(data)
                for _ in pieces:
                    self._queue.popleft()
        except OSError as error:
            self._error = error

    def _write(self, data: bytes) -> None:
        if self._handle is None:
            self._handle = self._create()
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]
        self._written += len(data)

    def _create(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            return os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            return self._store.mended(lambda: os.open(self._path, flags, 0o600))

    def commit(self, entry: StoredResponse) -> None:
        """Store the body, without delaying the response."""
        self._store.commits(entry.key, self._store.run(self._finish, entry))

    def _finish(self, entry: StoredResponse) -> None:
        self._drain()
        if not self._failed:
            try:
                self._write(self._checksums.finish(name_of(entry.id, self._coding)))
                self._discard(keep=True)
                self._store.mended(lambda: self._store.finish(self._path, entry, self._since, self._coding))
            except (OSError, sqlite3.Error) as error:
                self._error = error
        if self._failed:
            self._discard()
        if not self._is_aborted:
            self._store.ended(self._error)

    def abort(self) -> None:
        """Store nothing."""
        self._is_aborted = True
        self._store.run(self._discard)

    def _discard(self, keep: bool = False) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if not keep:
            self._queue.clear()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
