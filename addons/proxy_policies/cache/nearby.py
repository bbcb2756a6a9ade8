"""What a disk store has at hand: bodies read of late stay in memory, bounded; heads are asked of the index each time.

A body never changes under its id, and the index is what all processes agree on, so there is nothing to invalidate.
Asking it for one key takes five microseconds on a connection of its own that never waits for a writer.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from proxy_policies.cache.entry import Stored
from proxy_policies.cache.index import HEADS, Rows, read_heads

MOST = 64 * 1024 * 1024
"""Bytes of bodies in memory."""
SHARE = 4
"""At most this part of what the store may hold on disk."""
OVERHEAD = 2048
"""Bytes that a body costs besides: its head, as it is written and as it is read."""


@dataclass(slots=True)
class _Shelf:
    """What is at hand under one key."""

    rows: Rows = ()
    entries: Sequence[Stored] = ()
    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)


class Nearby:
    """Answers without waiting, for keys whose bodies were read of late. Used in one thread at a time."""

    def __init__(self, index: Path, limit: int, used: Callable[[Stored], None]) -> None:
        self._db = sqlite3.connect(index, timeout=0, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma query_only = 1")
        self._used = used
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()
        self._left = min(MOST, limit // SHARE)
        self._committing: dict[Future[None], str] = {}

    def keep(self, entry: Stored, coding: str, body: bytes) -> None:
        """Keep a body that was read."""
        shelf = self._shelves.setdefault(entry.key, _Shelf())
        if (entry.id, coding) not in shelf.bodies:
            shelf.bodies[entry.id, coding] = body
            self._left -= len(body) + OVERHEAD
        self._shelves.move_to_end(entry.key)
        while self._left < 0:
            self._clear_out(next(iter(self._shelves)), frozenset())

    def _clear_out(self, key: str, kept: Set[str]) -> None:
        """Let go of the bodies under a key but those of some ids."""
        bodies = self._shelves[key].bodies
        for name in [name for name in bodies if name[0] not in kept]:
            self._left += len(bodies.pop(name)) + OVERHEAD
        if not bodies:
            del self._shelves[key]

    def commits(self, key: str, commit: Future[None]) -> None:
        """Give no answers under a key until a commit is through that was begun: it comes before whoever asks now."""
        self._committing[commit] = key
        commit.add_done_callback(lambda done: self._committing.pop(done, None))

    def peek(self, key: str) -> Sequence[Stored]:
        """Give all responses stored under a key; none if they are not at hand."""
        shelf = self._shelves.get(key)
        if shelf is None or key in self._committing.values():
            return ()
        try:
            rows = self._db.execute(HEADS, (key,)).fetchall()
        except sqlite3.Error:
            return ()
        if rows != shelf.rows:
            shelf.rows, shelf.entries = rows, read_heads(rows)
            self._clear_out(key, {entry.id for entry in shelf.entries})
        return shelf.entries

    def held(self, entry: Stored, coding: str = "") -> bytes | None:
        """Give a body, and count the use."""
        shelf = self._shelves.get(entry.key)
        body = shelf.bodies.get((entry.id, coding)) if shelf else None
        if body is not None:
            self._shelves.move_to_end(entry.key)
            self._used(entry)
        return body

    def close(self) -> None:
        """Let go of the index."""
        self._db.close()
