"""The index of a disk store, in SQLite. Every method blocks; one thread uses it at a time.

The database is in WAL mode, so that several processes may share it and a killed one leaves it intact. An entry's row is
written after its body file is complete, and deleted before that file.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import OWN
from proxy_policies.cache.rfc9111.selectors import MAX_REMEMBERED, Selector
from proxy_policies.cache.stores import serialization
from proxy_policies.cache.stores.admission import Candidate, Sketch, Window, choose_victims
from proxy_policies.cache.stores.disk.shared_memory import SharedMemoryFile
from proxy_policies.cache.stores.store import MAX_VARIANTS, Checkpoint, StoreStats, is_late, supersedes

OPEN_TIMEOUT = 10.0
"""Seconds to wait for other processes while opening."""
BUSY_TIMEOUT = 2.0
"""Seconds to wait for another process's transaction, once: until one of our own succeeds, later ones do not wait."""
OVERHEAD = 4096
"""Bytes an entry costs in addition to its body: its row, and the unused part of its file's last block."""

_SCHEMA = """
create table if not exists entries (
    id text primary key, key text not null, head text not null, cost integer not null, used real not null
) without rowid;
create index if not exists by_key on entries (key);
create index if not exists by_use on entries (used, id, cost);
create table if not exists tags (tag text not null, id text not null, primary key (tag, id)) without rowid;
create index if not exists tags_of on tags (id);
create table if not exists coded (
    id text not null, coding text not null, size integer not null, primary key (id, coding)
) without rowid;
create table if not exists purge_log (number integer primary key, kind text not null, value text not null);
insert into purge_log select abs(random() % 1000000000000), '', '' where not exists (select 1 from purge_log);
create table if not exists totals (one integer primary key check (one = 1), entries integer, bytes integer);
insert or ignore into totals select 1, count(*), coalesce(sum(cost), 0) from entries;
create trigger if not exists added after insert on entries begin
    update totals set entries = entries + 1, bytes = bytes + new.cost;
end;
create trigger if not exists changed after update of cost on entries begin
    update totals set bytes = bytes + new.cost - old.cost;
end;
create trigger if not exists removed after delete on entries begin
    update totals set entries = entries - 1, bytes = bytes - old.cost;
    delete from tags where id = old.id;
    delete from coded where id = old.id;
end;
"""


HEADS = f"select head from entries where key = ? limit {MAX_VARIANTS}"  # noqa: S608 -- a number of ours
"""The heads under a key. More may exist only if stored before the bound was introduced."""
BEYOND = f"select id from entries where key = ? order by used desc limit -1 offset {MAX_VARIANTS}"  # noqa: S608
"""The ids of the least recently used ones beyond the bound."""
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""Errors of a damaged, missing or foreign database, since our own statements are correct."""

HeadRows = Sequence[tuple[str]]
"""Serialized heads from the index."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """An entry whose files must be deleted: its id and codings."""

    id: str
    codings: tuple[str, ...] = ()


class DamagedError(Exception):
    """The index cannot be read; its entries are lost."""


def is_damage(error: Exception) -> bool:
    """Return whether an error is caused by the database itself, and not its environment."""
    if isinstance(error, DamagedError):
        return True
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ  # of a truncated file


def _open(path: Path) -> sqlite3.Connection:
    """Open or create the database. Raise DamagedError, or OSError if it cannot be used."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives the files beside it the same mode
    db = sqlite3.connect(path, timeout=OPEN_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(db)
        db.execute("pragma synchronous = normal")
        db.executescript(_SCHEMA)
        db.execute("select id, key, head, cost, used from entries limit 1").fetchall()
    except sqlite3.Error as error:
        db.close()
        raise (DamagedError(str(error)) if is_damage(error) else OSError(f"{path}: {error}")) from error
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to WAL; if two processes do so at once, SQLite refuses one of them despite its time-out."""
    deadline = time.monotonic() + OPEN_TIMEOUT
    while True:
        try:
            db.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class Index:
    """The entries of one folder."""

    def __init__(self, path: Path, limit: int) -> None:
        self.limit = limit
        self.sketch = Sketch()
        """How often keys were recently requested in this process."""
        self._window = Window(limit)
        self._path = path
        try:
            self._db = _open(path)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        self._made = path.stat()
        self._shared_memory = SharedMemoryFile(path)
        self._waits = False
        self._set_waiting(True)

    @property
    def is_there(self) -> bool:
        """Return whether its file is still the one that was opened."""
        try:
            return os.path.samestat(self._path.stat(), self._made)
        except OSError:
            return False

    def ensure_readable(self) -> None:
        """Restore the file that SQLite maps into memory, before each use."""
        self._shared_memory.ensure_size()

    def _set_waiting(self, waits: bool) -> None:
        """Wait for other processes from now on, or not."""
        if waits != self._waits:
            self._waits = waits
            self._db.execute(f"pragma busy_timeout = {BUSY_TIMEOUT * 1000 * waits:.0f}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("begin immediate")
        except sqlite3.Error:
            self._set_waiting(False)
            raise
        self._set_waiting(True)
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("rollback")
            raise

    def close(self) -> None:
        """Close the database."""
        self.ensure_readable()
        self._db.close()

    def lookup(self, key: str) -> list[StoredResponse]:
        """Return all responses under a key."""
        return read_heads(self._db.execute(HEADS, (key,)).fetchall(), key)

    def entries(self) -> list[StoredResponse]:
        """Return all responses."""
        return read_heads(self._db.execute("select head from entries").fetchall())

    def codings(self, id: str) -> list[tuple[str, int]]:
        """Return the encoded forms kept of an entry, with their sizes."""
        return self._db.execute("select coding, size from coded where id = ?", (id,)).fetchall()

    def used(self, ids: Sequence[tuple[str, float]]) -> None:
        """Note when entries were last used."""
        with self._transaction():
            self._db.executemany("update entries set used = ? where id = ?", [(at, id) for id, at in ids])

    def last_use(self) -> float:
        """Return the time of the last use of any entry, in epoch seconds."""
        at: float = self._db.execute("select coalesce(max(used), 0) from entries").fetchone()[0]
        return at

    def put(self, entry: StoredResponse, since: Checkpoint, now: float) -> tuple[bool, list[Evicted]]:
        """Add an entry whose body file is complete, unless it was purged or replaced meanwhile.

        Return whether it was added, and the evicted ones.
        """
        with self._transaction():
            stored = self.lookup(entry.key)
            if self.is_purged(entry.key, entry.tags, since) or is_late(entry, stored):
                return False, []
            gone = [old for old in stored if supersedes(entry, old)]
            removed = [self._remove(old.id) for old in gone]
            cost = entry.size + OVERHEAD + len(entry.key)
            self.sketch.add(entry.key)
            self._window.put(entry.id, cost)
            row = (entry.id, entry.key, serialization.dump(entry), cost, now)
            self._db.execute("insert or replace into entries values (?, ?, ?, ?, ?)", row)
            self._tag(entry)
            removed += [self._remove(id) for (id,) in self._db.execute(BEYOND, (entry.key,)).fetchall()]
            return True, removed + self._evict()

    def put_coded(self, id: str, coding: str, size: int) -> tuple[bool, list[Evicted]]:
        """Add an encoded form, if its entry is still there."""
        with self._transaction():
            grown = self._db.execute("update entries set cost = cost + ? where id = ?", (size, id))
            if grown.rowcount == 0:
                return False, []
            self._db.execute("insert or replace into coded values (?, ?, ?)", (id, coding, size))
            return True, self._evict()

    def update(self, id: str, entry: StoredResponse, since: Checkpoint) -> None:
        """Replace the head of a body, if still there; mark it stale if it was purged."""
        with self._transaction():
            self._put_head(id, entry.as_stale() if self.is_purged(entry.key, entry.tags, since) else entry)

    def _put_head(self, id: str, entry: StoredResponse) -> None:
        row = (serialization.dump(entry), id)
        if self._db.execute("update entries set head = ? where id = ?", row).rowcount:
            self._db.execute("delete from tags where id = ?", (id,))
            self._tag(entry)

    def _tag(self, entry: StoredResponse) -> None:
        self._db.executemany("insert or ignore into tags values (?, ?)", [(tag, entry.id) for tag in entry.tags])

    def remove(self, id: str) -> list[Evicted]:
        """Remove an entry."""
        with self._transaction():
            return [self._remove(id)]

    def clear(self) -> list[Evicted]:
        """Remove everything."""
        with self._transaction():
            return [self._remove(id) for id in self.known_ids()]

    def checkpoint(self) -> int:
        """Return the number of the last purge. A new index starts at a random number, without a purge."""
        number: int | None = self._db.execute("select max(number) from purge_log").fetchone()[0]
        if number is None:
            raise DamagedError("its log of purges is empty")
        return number

    def is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` selects a response, or may if the log does not go back that far."""
        query = "select number, kind, value from purge_log where number >= ? order by number"
        rows = self._db.execute(query, (since,)).fetchall()
        is_known = bool(rows) and rows[0][0] == since
        return not is_known or any(Selector(kind, value).matches(key, tags) for _, kind, value in rows[1:])

    def note_purge(self, selector: Selector) -> None:
        """Log a purge, so that no response requested before it is stored."""
        self._db.execute("insert into purge_log (kind, value) values (?, ?)", (selector.kind, selector.value))
        self._db.execute("delete from purge_log where number < ?", (self.checkpoint() - MAX_REMEMBERED,))

    def begin_purge(self, selector: Selector) -> list[StoredResponse]:
        """Log a purge, and return the entries it selects."""
        with self._transaction():
            self.note_purge(selector)
            return [entry for entry in self._candidates(selector) if selector.matches(entry.key, entry.tags)]

    def purge(self, entries: Sequence[StoredResponse], soft: bool) -> list[Evicted]:
        """Remove entries, or make them stale."""
        with self._transaction():
            if not soft:
                return [self._remove(entry.id) for entry in entries]
            for entry in entries:
                self._put_head(entry.id, entry.as_stale())
            return []

    def _candidates(self, selector: Selector) -> list[StoredResponse]:
        match selector.kind:
            case "key":
                query = "select head from entries where key = ? or key glob ?"
                own = _quoted(selector.value + OWN) + "*"
                return read_heads(self._db.execute(query, (selector.value, own)).fetchall())
            case "tag":
                query = "select head from entries join tags using (id) where tag = ?"
                return read_heads(self._db.execute(query, (selector.value,)).fetchall())
            case "url":
                query = "select head from entries where key = ? or key glob ?"
                return read_heads(self._db.execute(query, (selector.value, _quoted(selector.value) + " *")).fetchall())
            case _:
                return self.entries()

    def _remove(self, id: str) -> Evicted:
        codings = tuple(coding for coding, _ in self.codings(id))
        self._db.execute("delete from entries where id = ?", (id,))
        self._window.drop(id)
        return Evicted(id, codings)

    def _evict(self) -> list[Evicted]:
        """Let newcomers leave the window; while the total is too large, they compete with the other entries.

        The least recently used are considered first, those in our window last.
        """
        candidates = dict(self._window.leave())
        excess = self.counts().bytes - self.limit
        if excess <= 0:
            return []
        oldest = self._candidates_of("select id, key, cost from entries order by used")
        victims = (old for old in oldest if old.id not in candidates and old.id not in self._window)
        losers = choose_victims(self._named(candidates), chain(victims, self._named(self._window)), excess)
        return [self._remove(id) for id in losers]

    def _named(self, ids: Iterable[str]) -> Iterator[Candidate]:
        return (one for id in ids for one in self._candidates_of("select id, key, cost from entries where id = ?", id))

    def _candidates_of(self, query: str, *values: str) -> Iterator[Candidate]:
        for id, key, cost in self._db.execute(query, values):
            yield Candidate(id, cost, self.sketch.count(key))

    def counts(self) -> StoreStats:
        """Return how much is stored."""
        totals = self._db.execute("select entries, bytes from totals").fetchone()
        if totals is None:
            raise DamagedError("its totals are missing")
        entries, size = totals
        return StoreStats(entries, size, self.limit)

    def certain_room(self) -> int:
        """Return the cost up to which a newcomer stays at first, however unpopular it is."""
        return max(self.limit - self.counts().bytes, self._window.limit)

    def known_ids(self) -> set[str]:
        """Return the ids of all entries."""
        return {id for (id,) in self._db.execute("select id from entries")}


def read_heads(rows: HeadRows, key: str | None = None) -> list[StoredResponse]:
    """Parse the heads in rows of the index, only those of a key if given."""
    return serialization.load_heads((text for (text,) in rows), key)


def _quoted(value: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in value)
