"""Stored responses in this process's memory, bounded in bytes."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import OWN, without_own
from proxy_policies.cache.rfc9111.selectors import Purges, Selector
from proxy_policies.cache.stores.admission import EvictionPolicy, TinyLfu
from proxy_policies.cache.stores.store import MAX_VARIANTS, BytesBody, Checkpoint, StoreStats, is_late, supersedes
from proxy_policies.fields import Fields

OVERHEAD = 1100
"""Bytes of bookkeeping per entry, in addition to what is counted exactly.

Measured: its objects, and its share of dictionaries that have just grown.
"""
LINE_COST = 113
"""Bytes that a field line costs in addition to its value's text."""
SLOT_COST = 8
"""Bytes that a shared line costs."""
SHARED_LONGEST = 40
"""The longest value, in bytes, for which sharing is tried."""
NO_TAGS: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class _Record:
    entry: StoredResponse
    shared: int
    """Bytes of its head that are shared with other entries."""
    body: bytes
    coded: dict[str, bytes] | None = None
    used: int = 0
    """The number of the last use of it, counting all uses of the store."""

    @property
    def cost(self) -> int:
        coded = sum(len(body) + 2 * LINE_COST for body in self.coded.values()) if self.coded else 0
        return cost_of(self.entry) - self.shared + len(self.body) + coded


def cost_of(entry: StoredResponse) -> int:
    """Return the bytes that a stored head takes if it shares only names."""
    fields = sum(len(value) + LINE_COST for _, value in entry.fields.raw)
    selecting = sum(len(name) + len(value) + 2 * LINE_COST for name, value in entry.vary_key)
    return OVERHEAD + fields + selecting + len(entry.key) + LINE_COST + sum(len(tag) + LINE_COST for tag in entry.tags)


def _compact(entry: StoredResponse) -> tuple[StoredResponse, int]:
    """Return a copy that shares common values with other entries, and the bytes saved."""
    given = entry.fields.raw
    lines = [
        _shared_line(line) if len(line[1]) <= SHARED_LONGEST else (_shared_name(line[0]), line[1]) for line in given
    ]
    repeated = [own for (_, own), (_, common) in zip(given, lines, strict=True) if common is not own]
    saved = sum([LINE_COST - SLOT_COST + len(value) for value in repeated])
    fields = Fields(lines)
    return entry.replace(fields=fields, reason=sys.intern(entry.reason), tags=entry.tags or NO_TAGS), saved


@lru_cache(maxsize=4096)
def _shared_line(line: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return _shared_name(line[0]), line[1]


@lru_cache(maxsize=4096)
def _shared_name(name: bytes) -> bytes:
    return name


class MemoryStore:
    """Keeps responses up to `limit` bytes; the eviction policy decides which are evicted."""

    is_timed_by_us = True

    def __init__(self, limit: int, eviction: EvictionPolicy | None = None) -> None:
        self._keys: dict[str, tuple[_Record, ...]] = {}  # most hold one, and a tuple is half a list
        self._ids: dict[str, _Record] = {}
        self._own: dict[str, set[str]] = {}
        """Keys with fields added by the proxy itself, by the key without them."""
        self._eviction = eviction or TinyLfu(limit)
        self._purges = Purges()
        self._uses = 0
        self.limit = limit

    @property
    def sync_view(self) -> "MemoryStore":
        """The store itself."""
        return self

    def get_all(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key."""
        kept = self._keys.get(key)
        return [one.entry for one in kept] if kept else ()

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        """Return all responses stored under a key."""
        return self.get_all(key)

    def get_body(self, entry: StoredResponse, coding: str = "") -> bytes | None:
        """Return a body, and count the use."""
        kept = self._ids.get(entry.id)
        if kept is None:
            return None
        self._eviction.used(entry.id)
        self._uses = kept.used = self._uses + 1
        return (kept.coded or {}).get(coding) if coding else kept.body

    async def body(self, entry: StoredResponse, coding: str = "") -> BytesBody | None:
        """Open a response's body."""
        data = self.get_body(entry, coding)
        return None if data is None else BytesBody(data)

    @property
    def checkpoint(self) -> int:
        """The number of the last purge."""
        return self._purges.count

    async def read_checkpoint(self) -> None:
        """Do nothing: it is always current."""

    def _is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        return not isinstance(since, int) or self._purges.supersedes(key, tags, since)

    async def is_purged(self, key: str, tags: Collection[str] | None, since: Checkpoint) -> bool:
        """Return whether a purge after `since` selects a response, or may."""
        return self._is_purged(key, tags, since)

    def write(self, since: Checkpoint, coding: str = "") -> "_Writing":
        """Start storing a body."""
        return _Writing(self, since, coding)

    def takes(self, size: int | None) -> bool:
        """Return whether a body will be stored."""
        return size is None or size + OVERHEAD <= self._eviction.certain_room

    def put(self, entry: StoredResponse, body: bytes, since: Checkpoint) -> None:
        """Store a response at once, unless it was purged or replaced meanwhile."""
        if self._is_purged(entry.key, entry.tags, since) or is_late(entry, self.get_all(entry.key)):
            return
        for old in [one for one in self._keys.get(entry.key, ()) if supersedes(entry, one.entry)]:
            self._drop(old)
        self._uses += 1
        kept = _Record(*_compact(entry), body, used=self._uses)
        self._keys[entry.key] = (*self._keys.get(entry.key, ()), kept)
        if OWN in entry.key:
            self._own.setdefault(without_own(entry.key), set()).add(entry.key)
        self._ids[entry.id] = kept
        if len(self._keys[entry.key]) > MAX_VARIANTS:
            self._drop(min(self._keys[entry.key], key=lambda one: one.used))
        self._evict(self._eviction.add(entry.id, entry.key, kept.cost))

    def put_coded(self, entry: StoredResponse, coding: str, body: bytes) -> None:
        """Keep an encoded form beside an entry that is still there."""
        kept = self._ids.get(entry.id)
        if kept is not None:
            kept.coded = {**(kept.coded or {}), coding: body}
            self._evict(self._eviction.grown(entry.id, kept.cost))

    def _evict(self, ids: Sequence[str]) -> None:
        for gone in ids:
            if (kept := self._ids.get(gone)) is not None:
                self._drop(kept)

    def _drop(self, kept: _Record) -> None:
        self._ids.pop(kept.entry.id, None)
        self._eviction.gone(kept.entry.id)
        siblings = tuple(one for one in self._keys.get(kept.entry.key, ()) if one is not kept)
        if siblings:
            self._keys[kept.entry.key] = siblings
        elif self._keys.pop(kept.entry.key, None) and OWN in kept.entry.key:
            self._forget_own(kept.entry.key)

    def _forget_own(self, key: str) -> None:
        keys = self._own[without_own(key)]
        keys.discard(key)
        if not keys:
            del self._own[without_own(key)]

    async def update(self, old: StoredResponse, new: StoredResponse, since: Checkpoint) -> None:
        """Replace the head of a body."""
        kept = self._ids.get(old.id)
        if kept is not None:
            is_purged = self._is_purged(new.key, new.tags, since)
            kept.entry, kept.shared = _compact(new.as_stale() if is_purged else new)
            self._evict(self._eviction.grown(old.id, kept.cost))

    async def remove(self, entry: StoredResponse) -> None:
        """Remove one response."""
        if (kept := self._ids.get(entry.id)) is not None:
            self._drop(kept)

    async def purge(self, selector: Selector, soft: bool = False) -> int:
        """Remove the selected responses, or mark them stale."""
        self._purges.record(selector)
        keys = [selector.value, *self._own.get(selector.value, ())] if selector.kind == "key" else list(self._keys)
        meant = [
            one for key in keys for one in self._keys.get(key, ()) if selector.matches(one.entry.key, one.entry.tags)
        ]
        for one in meant:
            if soft:
                one.entry = one.entry.as_stale()
            else:
                self._drop(one)
        return len(meant)

    async def entries(self) -> Sequence[StoredResponse]:
        """List what is stored."""
        return [kept.entry for kept in self._ids.values()]

    async def counts(self) -> StoreStats:
        """Return how much is stored."""
        return StoreStats(len(self._ids), self._eviction.total, self.limit)

    async def close(self) -> None:
        """Do nothing: no work is pending."""


class _Writing:
    __slots__ = ("_coding", "_data", "_since", "_store")

    def __init__(self, store: MemoryStore, since: Checkpoint, coding: str) -> None:
        self._store, self._since, self._coding = store, since, coding
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._data.append(data)

    def commit(self, entry: StoredResponse) -> None:
        body, self._data = b"".join(self._data), []
        if self._coding:
            self._store.put_coded(entry, self._coding, body)
        else:
            self._store.put(entry, body, self._since)

    def abort(self) -> None:
        self._data = []
