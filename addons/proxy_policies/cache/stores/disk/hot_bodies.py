"""A disk store's sync view: recently read bodies in bounded memory; heads are read from the index each time.

A body never changes under its id, and the index is shared by all processes, so nothing needs invalidation. Looking up
a key takes five microseconds on a separate connection that never waits for a writer.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.disk.index import HEADS, HeadRows, read_heads
from proxy_policies.cache.stores.disk.shared_memory import SharedMemoryFile

MAX_BYTES = 64 * 1024 * 1024
"""Bytes of bodies in memory."""
MAX_FRACTION = 4
"""At most this fraction of the store's limit on disk."""
OVERHEAD = 2048
"""Bytes that a body's head costs in addition, serialized and parsed."""


@dataclass(slots=True)
class _AtHand:
    """What is in memory under one key."""

    rows: HeadRows = ()
    entries: Sequence[StoredResponse] = ()
    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)


class HotBodies:
    """Answers without waiting for keys whose bodies were recently read. Used by one thread at a time."""

    def __init__(self, index: Path, limit: int, used: Callable[[StoredResponse], None]) -> None:
        uri = f"{index.absolute().as_uri()}?mode=rw"  # do not create a removed index
        self._db = sqlite3.connect(uri, timeout=0, isolation_level=None, check_same_thread=False, uri=True)
        self._db.execute("pragma query_only = 1")
        self._shared_memory = SharedMemoryFile(index)
        self._used = used
        self._by_key: OrderedDict[str, _AtHand] = OrderedDict()
        self._left = min(MAX_BYTES, limit // MAX_FRACTION)
        self._committing: dict[Future[None], str] = {}

    def keep(self, entry: StoredResponse, coding: str, body: bytes) -> None:
        """Keep a body that was read."""
        at_hand = self._by_key.setdefault(entry.key, _AtHand())
        if (entry.id, coding) not in at_hand.bodies:
            at_hand.bodies[entry.id, coding] = body
            self._left -= len(body) + OVERHEAD
        self._by_key.move_to_end(entry.key)
        while self._left < 0:
            self._clear_out(next(iter(self._by_key)), frozenset())

    def _clear_out(self, key: str, kept: Set[str]) -> None:
        """Drop the bodies under a key except those of some ids."""
        bodies = self._by_key[key].bodies
        for name in [name for name in bodies if name[0] not in kept]:
            self._left += len(bodies.pop(name)) + OVERHEAD
        if not bodies:
            del self._by_key[key]

    def commits(self, key: str, commit: Future[None]) -> None:
        """Hide a key while a commit to it is pending."""
        self._committing[commit] = key
        commit.add_done_callback(lambda done: self._committing.pop(done, None))

    def get_all(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key; none if their bodies are not in memory."""
        at_hand = self._by_key.get(key)
        if at_hand is None or key in self._committing.values():
            return ()
        self._shared_memory.ensure_size()
        try:
            rows = self._db.execute(HEADS, (key,)).fetchall()
        except sqlite3.Error:
            return ()
        if rows != at_hand.rows:
            at_hand.rows, at_hand.entries = rows, read_heads(rows, key)
            self._clear_out(key, {entry.id for entry in at_hand.entries})
        return at_hand.entries

    def get_body(self, entry: StoredResponse, coding: str = "") -> bytes | None:
        """Return a body, and count the use."""
        at_hand = self._by_key.get(entry.key)
        body = at_hand.bodies.get((entry.id, coding)) if at_hand else None
        if body is not None:
            self._by_key.move_to_end(entry.key)
            self._used(entry)
        return body

    def close(self) -> None:
        """Close the index."""
        self._shared_memory.ensure_size()
        self._db.close()
