"""Stored responses in this process's memory, bounded in bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from proxy_policies.cache.admission import Keeper, TinyLfu
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.purge import Purges, Selector
from proxy_policies.cache.store import BytesBody, Counts, supersedes
from proxy_policies.fields import Fields

OVERHEAD = 700
"""Bytes of bookkeeping an entry costs besides what is counted exactly (measured: objects, dictionaries, Facts)."""
LINE = 97
"""Bytes that a pair of a field line costs besides its text."""
SHARED_LONGEST = 40
"""Bytes of a value that is looked for among the common ones."""
VARIANTS_MOST = 32
"""Responses kept under one key: beyond, Vary names something that never repeats."""


@dataclass(slots=True, eq=False)
class _Kept:
    entry: Stored
    body: bytes
    coded: dict[str, bytes] = field(default_factory=dict)

    @property
    def cost(self) -> int:
        return cost_of(self.entry) + len(self.body) + sum(map(len, self.coded.values()))


def cost_of(entry: Stored) -> int:
    """Count the bytes a stored head takes; names are shared, values are counted as if none were."""
    fields = sum(len(value) + LINE for _, value in entry.fields.raw)
    selecting = sum(len(name) + len(value) + 2 * LINE for name, value in entry.selecting)
    return OVERHEAD + fields + selecting + len(entry.key) + LINE + sum(len(tag) + LINE for tag in entry.tags)


def _compact(entry: Stored) -> Stored:
    """Copy an entry so that it shares with others what is the same in most: names, and common values."""
    lines = (
        (_shared(name), _shared(value) if len(value) <= SHARED_LONGEST else value) for name, value in entry.fields.raw
    )
    return entry.changed(fields=Fields(lines))


@lru_cache(maxsize=4096)
def _shared(data: bytes) -> bytes:
    return data


class MemoryStore:
    """Keeps responses up to `limit` bytes; which go when there are more is the keeper's to say."""

    def __init__(self, limit: int, keeper: Keeper | None = None) -> None:
        self._keys: dict[str, list[_Kept]] = {}
        self._ids: dict[str, _Kept] = {}
        self._keeper = keeper or TinyLfu(limit)
        self._purges = Purges()
        self.limit = limit

    @property
    def at_hand(self) -> "MemoryStore":
        """All of it is."""
        return self

    def peek(self, key: str) -> Sequence[Stored]:
        """Give all responses stored under a key."""
        kept = self._keys.get(key)
        return [one.entry for one in kept] if kept else ()

    async def lookup(self, key: str) -> Sequence[Stored]:
        """Give all responses stored under a key."""
        return self.peek(key)

    def held(self, entry: Stored, coding: str = "") -> bytes | None:
        """Give a body, and count the use."""
        kept = self._ids.get(entry.id)
        if kept is None:
            return None
        self._keeper.used(entry.id)
        return kept.coded.get(coding) if coding else kept.body

    async def body(self, entry: Stored, coding: str = "") -> BytesBody | None:
        """Open a response's body."""
        data = self.held(entry, coding)
        return None if data is None else BytesBody(data)

    def write(self, entry: Stored, since: float, coding: str = "") -> "_Writing":
        """Begin to store."""
        return _Writing(self, since, coding)

    def put(self, entry: Stored, body: bytes, since: float) -> None:
        """Store at once, unless it was purged meanwhile."""
        if self._purges.beat(entry.key, entry.tags, since):
            return
        for old in [one for one in self._keys.get(entry.key, ()) if supersedes(entry, one.entry)]:
            self._drop(old)
        kept = _Kept(_compact(entry), body)
        self._keys.setdefault(entry.key, []).append(kept)
        self._ids[entry.id] = kept
        if len(self._keys[entry.key]) > VARIANTS_MOST:
            self._drop(self._keys[entry.key][0])
        self._evict(self._keeper.add(entry.id, entry.key, kept.cost))

    def put_coded(self, entry: Stored, coding: str, body: bytes) -> None:
        """Keep an encoded form beside an entry that is still there."""
        kept = self._ids.get(entry.id)
        if kept is not None:
            kept.coded[coding] = body
            self._evict(self._keeper.grown(entry.id, kept.cost))

    def _evict(self, ids: Sequence[str]) -> None:
        for gone in ids:
            if (kept := self._ids.get(gone)) is not None:
                self._drop(kept)

    def _drop(self, kept: _Kept) -> None:
        self._ids.pop(kept.entry.id, None)
        self._keeper.gone(kept.entry.id)
        siblings = self._keys.get(kept.entry.key, [])
        if kept in siblings:
            siblings.remove(kept)
        if not siblings:
            self._keys.pop(kept.entry.key, None)

    async def update(self, old: Stored, new: Stored) -> None:
        """Put a new head to a body that stays."""
        kept = self._ids.get(old.id)
        if kept is not None:
            kept.entry = new
            self._evict(self._keeper.grown(old.id, kept.cost))

    async def remove(self, entry: Stored) -> None:
        """Remove one response."""
        if (kept := self._ids.get(entry.id)) is not None:
            self._drop(kept)

    async def purge(self, selector: Selector, now: float, soft: bool = False) -> int:
        """Remove what is meant, or make it stale."""
        self._purges.record(selector, now)
        keys = [selector.value] if selector.kind == "key" else list(self._keys)
        meant = [
            one for key in keys for one in self._keys.get(key, ()) if selector.matches(one.entry.key, one.entry.tags)
        ]
        for one in meant:
            if soft:
                one.entry = one.entry.made_stale()
            else:
                self._drop(one)
        return len(meant)

    async def entries(self) -> Sequence[Stored]:
        """List what is stored."""
        return [kept.entry for kept in self._ids.values()]

    async def counts(self) -> Counts:
        """Say how much is stored."""
        return Counts(len(self._ids), self._keeper.total, self.limit)

    async def close(self) -> None:
        """Nothing is under way."""


class _Writing:
    __slots__ = ("_coding", "_data", "_since", "_store")

    def __init__(self, store: MemoryStore, since: float, coding: str) -> None:
        self._store, self._since, self._coding = store, since, coding
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._data.append(data)

    def commit(self, entry: Stored) -> None:
        body, self._data = b"".join(self._data), []
        if self._coding:
            self._store.put_coded(entry, self._coding, body)
        else:
            self._store.put(entry, body, self._since)

    def abort(self) -> None:
        self._data = []
