"""Stored responses on disk: an index in SQLite and one file per body, shared by the processes of one machine.

Nothing here blocks the event loop: one thread writes and reads the index, in order; bodies are read in others. (The
`sync_view` is read in the event loop, in microseconds.) A body is written to its own file, renamed when complete, and
only then added to the index: a process killed in between leaves an unused file, which the next start deletes.
"""

import asyncio
import contextlib
import errno
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from proxy_policies.cache.clock import TOLERATED
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.checksums import DamagedBodyError, body_size, verified
from proxy_policies.cache.stores.disk import usage_marker
from proxy_policies.cache.stores.disk.body_files import BodyFile, BodyFileWriter
from proxy_policies.cache.stores.disk.hot_bodies import HotBodies
from proxy_policies.cache.stores.disk.index import OVERHEAD, DamagedError, Evicted, Index, is_damage
from proxy_policies.cache.stores.store import (
    MAX_WHOLE,
    BodyWriter,
    BytesBody,
    Checkpoint,
    OnWrite,
    StoreStats,
    name_of,
    unheard,
)
from proxy_policies.log_lines import Throttle, error_text

try:
    import resource
except ImportError:  # pragma: no cover -- Windows
    resource = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

NOTED_EVERY = 1.0
"""Seconds between updates of use times in the index, where writers of all processes wait for each other."""
PURGED_TOGETHER = 32
"""Entries purged in one transaction, which bounds how long others wait."""
MIN_LEFT = 1024 * 1024
"""Bytes of free space required to store anything: the index and its log grow, too."""
ABANDONED = 3600.0
"""Seconds after which a file missing from the index is abandoned."""


class DiskStore:
    """Keeps responses in a folder, up to `limit` bytes; the index decides which are evicted.

    As it is a cache, damaged data are discarded, and removed files are created again.
    """

    is_timed_by_us = True

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.bodies = folder / "bodies"
        self.is_closed = False
        self._index_path = folder / "index.sqlite"
        self.on_write: OnWrite = unheard
        self._limit = limit
        self._hot_bodies: HotBodies | None = None
        self._room = self._certain_room = sys.maxsize
        """Bytes of free space, and those that a newcomer may cost to be certain of a place."""
        self._is_failing = False
        """The last attempt to store failed."""
        self._index = self._open_index()
        self._checkpoint = self._index.checkpoint()
        self._thread = ThreadPoolExecutor(1, "cache")
        self._damage = Throttle()
        self._used: dict[str, float] = {}
        self._noted = 0.0
        doubt = self._doubt()
        if doubt:
            logger.warning(f"cache: {doubt}; what is in {folder} is fetched anew")
            self._delete(self._index.clear())
        self._thread.submit(self._sweep)

    def _doubt(self) -> str:
        """Return why previously stored data are unreliable; "" if they are not."""
        if usage_marker.acquire(self.folder):
            return "the machine stopped while its folder was in use"
        return "the clock was put back" if self._index.last_use() > time.time() + TOLERATED else ""

    @property
    def sync_view(self) -> HotBodies:
        """The sync view: bodies read from now on, while memory for them is left."""
        if self._hot_bodies is None:
            self._hot_bodies = HotBodies(self._index_path, self._limit, self._note_use)
        return self._hot_bodies

    def path(self, id: str, coding: str = "") -> Path:
        """Return the path of a body's file."""
        return self.bodies / name_of(id, coding)

    # In the thread, with repairs

    def _open_index(self) -> Index:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # an existing one may be shared with others
        self.bodies.mkdir(mode=0o700, exist_ok=True)
        try:
            return Index(self._index_path, self._limit)
        except DamagedError as error:
            self._discard(error)
            return Index(self._index_path, self._limit)

    def _discard(self, error: Exception) -> None:
        """Remove a damaged index, and the bodies that only it names."""
        path = self._index_path
        logger.warning(f"cache: {path} is damaged, starting with an empty cache: {error}")
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
            file.unlink(missing_ok=True)
        self._delete([Evicted(file.name) for file in self.bodies.iterdir()])

    def _renew(self, damage: Exception | None = None) -> None:
        hot_bodies, self._hot_bodies = self._hot_bodies, None
        for part in (hot_bodies, self._index):
            if part is not None:
                part.close()
        if damage is not None:
            self._discard(damage)
        self._index = self._open_index()
        usage_marker.mark(self.folder)

    def mended[T](self, work: Callable[[], T]) -> T:
        """Run work on the index, creating it again first if it was removed; if damaged, create it again and retry."""
        if not (self._index.is_there and self.bodies.is_dir()):
            logger.warning(f"cache: {self.folder} was removed; creating it again")
            self._renew()
        self._index.ensure_readable()
        try:
            return work()
        except (sqlite3.Error, DamagedError) as error:
            if not is_damage(error):
                raise
            self._renew(error if self._index.is_there else None)  # another process may have renewed it
            return work()

    async def _do[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.mended, work)

    def _look_up(self, key: str) -> Sequence[StoredResponse]:
        self._room, self._certain_room = room_in(self.bodies), self._index.certain_room()
        self._read_checkpoint()
        return self._index.lookup(key)

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key, including pending commits, as one thread works in order."""
        return await self._do(lambda: self._look_up(key))

    async def body(self, entry: StoredResponse, coding: str = "") -> BodyFile | BytesBody | None:
        """Open a body; a damaged one is not used, and its entry removed."""
        self._note_use(entry)
        opened = await asyncio.to_thread(self._open, entry, coding)
        if opened is None and not coding:
            await self.remove(entry)
        if self._hot_bodies is not None and isinstance(opened, BytesBody) and opened.in_memory is not None:
            self._hot_bodies.keep(entry, coding, opened.in_memory)
        return opened

    def _open(self, entry: StoredResponse, coding: str) -> BodyFile | BytesBody | None:
        try:
            handle = os.open(self.path(entry.id, coding), os.O_RDONLY | os.O_NONBLOCK)  # in case it is a FIFO
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise  # it is there
            return None
        try:
            return self._read(handle, entry, coding)
        except OSError as error:
            self._tell_damage(entry, error)
            return None

    def _read(self, handle: int, entry: StoredResponse, coding: str) -> BodyFile | BytesBody:
        with os.fdopen(handle, "rb") as file:
            name, size = name_of(entry.id, coding), body_size(os.fstat(handle).st_size)
            if not coding and size != entry.size:
                raise DamagedBodyError(f"{size} bytes where {entry.size} were")
            if size > MAX_WHOLE:
                return BodyFile(os.dup(handle), name, size, lambda error: self._damaged(entry, error))
            return BytesBody(verified(file.read(), name))

    def _damaged(self, entry: StoredResponse, error: Exception) -> None:
        """Remove an entry whose body turned out to be damaged while being read."""
        self._tell_damage(entry, error)
        self._thread.submit(self.mended, lambda: self._delete(self._index.remove(entry.id)))

    def _tell_damage(self, entry: StoredResponse, error: Exception) -> None:
        line = self._damage.admit(
            f"cache: {self.path(entry.id)} is fetched anew: {error_text(error)}", time.monotonic()
        )
        if line:
            logger.warning(line)

    def _note_use(self, entry: StoredResponse) -> None:
        self._index.sketch.add(entry.key)
        self._used[entry.id] = now = time.time()
        if not 0 <= now - self._noted < NOTED_EVERY:
            self._noted = now
            self.run(self._flush_uses)

    def _flush_uses(self) -> None:
        uses, self._used = self._used, {}
        with contextlib.suppress(sqlite3.Error, OSError):  # the next look-up reports it
            self.mended(lambda: self._index.used(list(uses.items())))

    def takes(self, size: int | None) -> bool:
        """Return whether there is room, and the last attempt to store succeeded."""
        if self._is_failing or (size or 0) + MIN_LEFT > self._room:
            return False
        return size is None or size + OVERHEAD <= self._certain_room

    def ended(self, error: Exception | None) -> None:
        """Report the outcome of an attempt to store."""
        self._is_failing = error is not None
        self.on_write(error)

    @property
    def checkpoint(self) -> int:
        """The number of the last purge at the last look-up."""
        return self._checkpoint

    async def read_checkpoint(self) -> None:
        """Do nothing: the look-up right before has read it."""

    async def is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` selects a response, or may."""
        return await self._do(lambda: self._index.is_purged(key, tags, since))

    def write(self, since: Checkpoint, coding: str = "") -> BodyWriter:
        """Start storing a body."""
        return BodyFileWriter(self, since, coding)

    def run(self, work: Callable[..., None], *arguments: object) -> Future[None]:
        """Run work in the thread, at once if the store is closed: then nothing is written, only discarded."""
        if not self.is_closed:
            return self._thread.submit(work, *arguments)
        work(*arguments)
        done = Future[None]()
        done.set_result(None)
        return done

    def commits(self, key: str, commit: Future[None]) -> None:
        """Note a pending commit."""
        if self._hot_bodies is not None:
            self._hot_bodies.commits(key, commit)

    def finish(self, temporary: Path, entry: StoredResponse, since: Checkpoint, coding: str) -> None:
        """Make a complete body visible; runs in the thread."""
        path = self.path(entry.id, coding)
        os.replace(temporary, path)
        kept, gone = False, list[Evicted]()
        try:
            if coding:
                size = path.stat().st_size
                kept, gone = self._index.put_coded(entry.id, coding, size)
            else:
                kept, gone = self._index.put(entry, since, time.time())
        finally:
            self._delete(gone)
            if not kept:
                path.unlink(missing_ok=True)

    def _delete(self, gone: Sequence[Evicted]) -> None:
        for one in gone:
            for coding in ("", *one.codings):
                with contextlib.suppress(IsADirectoryError):  # not a body of ours
                    self.path(one.id, coding).unlink(missing_ok=True)

    async def update(self, old: StoredResponse, new: StoredResponse, since: Checkpoint) -> None:
        """Replace the head of a body."""
        await self._do(lambda: self._index.update(old.id, new, since))

    async def remove(self, entry: StoredResponse) -> None:
        """Remove one response."""
        await self._do(lambda: self._delete(self._index.remove(entry.id)))

    async def purge(self, selector: Selector, soft: bool = False) -> int:
        """Remove the selected responses, or mark them stale."""
        meant = await self._do(lambda: self._index.begin_purge(selector))
        for at in range(0, len(meant), PURGED_TOGETHER):  # others get their turn in between
            some = meant[at : at + PURGED_TOGETHER]
            await self._do(lambda some=some: self._delete(self._index.purge(some, soft)))  # type: ignore[misc]
        if meant:  # again, because meanwhile responses may have been derived from entries not yet removed
            await self._do(lambda: self._index.note_purge(selector))
        await self._do(self._read_checkpoint)
        return len(meant)

    def _read_checkpoint(self) -> None:
        self._checkpoint = self._index.checkpoint()

    async def entries(self) -> Sequence[StoredResponse]:
        """List what is stored."""
        return await self._do(self._index.entries)

    async def counts(self) -> StoreStats:
        """Return how much is stored."""
        return await self._do(self._index.counts)

    async def close(self) -> None:
        """Finish pending work; bodies that still arrive are not stored."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        self.is_closed = True
        if self._index.is_there:
            self._flush_uses()
        self._index.close()
        if self._hot_bodies is not None:
            self._hot_bodies.close()
        usage_marker.release(self.folder)

    def _sweep(self) -> None:
        """Delete unused files, left by killed processes."""
        with contextlib.suppress(OSError, sqlite3.Error):
            self._sweep_bodies(self.mended(lambda: self._index.known_ids()), time.time())

    def _sweep_bodies(self, known: set[str], now: float) -> None:
        for file in self.bodies.iterdir():
            with contextlib.suppress(OSError):
                id, _, rest = file.name.partition(".")
                is_dead = rest.startswith("part-") and not usage_marker.is_alive(rest.removeprefix("part-"))
                is_orphan = id not in known and now - file.stat().st_mtime > ABANDONED
                if is_dead or is_orphan:
                    file.unlink()


def room_in(folder: Path) -> int:
    """Return how large a file in a folder may become, given free space and this process's limit."""
    try:
        free = os.statvfs(folder)
    except OSError:
        return 0
    left = 0 if free.f_flag & os.ST_RDONLY else free.f_bavail * free.f_frsize
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)[0] if resource is not None else -1
    return min(left, allowed) if allowed >= 0 else left
