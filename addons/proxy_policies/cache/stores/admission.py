"""Which entries stay when there is no room for all.

`Lru` keeps the most recently used. `TinyLfu` also considers frequency: a newcomer replaces an old entry only if it was
requested more often recently, so that a scan of URLs requested only once does not evict the rest (Einziger, Friedman
and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017). The disk's index keeps its own order of use, and
uses `Sketch`, `Window` and `choose_victims`.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

WINDOW_SHARE = 0.01
"""The window's share of the limit, for newcomers (the paper's W-TinyLFU)."""
PROTECTED_SHARE = 0.8
"""The protected share of the main part, for entries used again."""


class EvictionPolicy(Protocol):
    """Tracks entries by id, with the name under which uses are counted, and their cost in bytes."""

    total: int

    @property
    def certain_room(self) -> int:
        """The bytes up to which a newcomer stays at first, however unpopular it is."""

    def add(self, id: str, name: str, cost: int) -> Sequence[str]:
        """Add an entry; return the ids to evict, which may include its own."""

    def used(self, id: str) -> None:
        """Count a use of an entry."""

    def grown(self, id: str, cost: int) -> Sequence[str]:
        """Set an entry's new cost; return the ids to evict."""

    def gone(self, id: str) -> None:
        """Forget an entry."""


class Lru:
    """Keeps the most recently used entries."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._costs: OrderedDict[str, int] = OrderedDict()

    @property
    def certain_room(self) -> int:
        """The limit: a newcomer is the last to go."""
        return self.limit

    def add(self, id: str, name: str, cost: int) -> Sequence[str]:
        """Take in a newcomer."""
        return self.grown(id, cost)

    def used(self, id: str) -> None:
        """Move to the young end."""
        if id in self._costs:
            self._costs.move_to_end(id)

    def grown(self, id: str, cost: int) -> Sequence[str]:
        """Make room, oldest first."""
        self.total += cost - self._costs.pop(id, 0)
        self._costs[id] = cost
        gone, excess = [], self.total - self.limit
        for old, size in self._costs.items():
            if excess <= 0:
                break
            gone.append(old)
            excess -= size
        return gone

    def gone(self, id: str) -> None:
        """Forget an entry."""
        self.total -= self._costs.pop(id, 0)


class Sketch:
    """Small, approximate counts of recent uses: a count-min sketch of four rows, halved periodically."""

    ROWS = 4
    MOST = 15

    def __init__(self, width: int = 1 << 14) -> None:
        self._mask = width - 1
        self._rows = [bytearray(width) for _ in range(self.ROWS)]
        self._added = 0
        self._sample = width * 8

    def _places(self, name: str) -> list[int]:
        spread = hash(name)
        return [(spread >> (16 * row)) & self._mask for row in range(self.ROWS)]

    def add(self, name: str) -> None:
        """Count one use."""
        for row, place in zip(self._rows, self._places(name), strict=True):
            if row[place] < self.MOST:
                row[place] += 1
        self._added += 1
        if self._added >= self._sample:
            self._age()

    def count(self, name: str) -> int:
        """Estimate the number of recent uses."""
        return min(row[place] for row, place in zip(self._rows, self._places(name), strict=True))

    def _age(self) -> None:
        half = bytes(value >> 1 for value in range(256))
        self._rows = [bytearray(row.translate(half)) for row in self._rows]
        self._added //= 2


class Window:
    """New entries, in a small share of the limit, which they leave oldest first."""

    def __init__(self, limit: int) -> None:
        self.limit = max(int(limit * WINDOW_SHARE), 1)
        self._costs: OrderedDict[str, int] = OrderedDict()
        self._total = 0

    def __contains__(self, id: str) -> bool:
        return id in self._costs

    def __iter__(self) -> Iterator[str]:
        return iter(self._costs)

    def cost(self, id: str) -> int:
        """Return an entry's cost if it is in the window, else 0."""
        return self._costs.get(id, 0)

    def put(self, id: str, cost: int) -> None:
        """Add a newcomer, or update its cost."""
        self._total += cost - self._costs.get(id, 0)
        self._costs[id] = cost

    def used(self, id: str) -> None:
        """Move to the young end."""
        self._costs.move_to_end(id)

    def drop(self, id: str) -> int:
        """Remove an entry, and return its cost."""
        cost = self._costs.pop(id, 0)
        self._total -= cost
        return cost

    def leave(self) -> list[tuple[str, int]]:
        """Remove the entries for which there is no room; return their ids and costs."""
        gone = []
        while self._total > self.limit and self._costs:
            id, cost = self._costs.popitem(last=False)
            self._total -= cost
            gone.append((id, cost))
        return gone


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry considered for eviction: its cost in bytes, and its recent uses."""

    id: str
    cost: int
    popularity: int


def choose_victims(candidates: Iterable[Candidate], victims: Iterable[Candidate], excess: int) -> list[str]:
    """Return the ids to evict for `excess` bytes: the less popular of each pair, the candidate if equal."""
    coming, staying = iter(candidates), iter(victims)
    candidate, victim = next(coming, None), next(staying, None)
    gone: list[str] = []
    while excess > 0 and (candidate or victim):
        if candidate and (victim is None or candidate.popularity <= victim.popularity):
            loser, candidate = candidate, next(coming, None)
        elif victim:
            loser, victim = victim, next(staying, None)
        gone.append(loser.id)
        excess -= loser.cost
    return gone


class TinyLfu:
    """A small LRU window, and a main part in two segments, entered by popularity."""

    def __init__(self, limit: int, sketch: Sketch | None = None) -> None:
        self.limit = limit
        self.total = 0
        self._sketch = sketch or Sketch()
        self._names: dict[str, str] = {}
        self._window = Window(limit)
        self._probation: OrderedDict[str, int] = OrderedDict()
        self._protected: OrderedDict[str, int] = OrderedDict()
        self._protected_cost = 0

    @property
    def certain_room(self) -> int:
        """What is left, or the window: beyond both, a newcomer competes at once."""
        return max(self.limit - self.total, self._window.limit)

    def add(self, id: str, name: str, cost: int) -> Sequence[str]:
        """Take in a newcomer, by the window."""
        self._sketch.add(name)
        self._names[id] = name
        self._window.put(id, cost)
        self.total += cost
        return self._make_room()

    def used(self, id: str) -> None:
        """Count the use, and move to the young end of its segment or from probation to protection."""
        name = self._names.get(id)
        if name is None:
            return
        self._sketch.add(name)
        if id in self._window:
            self._window.used(id)
        elif id in self._protected:
            self._protected.move_to_end(id)
        else:
            self._protect(id)

    def _protect(self, id: str) -> None:
        cost = self._probation.pop(id)
        self._protected[id] = cost
        self._protected_cost += cost
        while self._protected_cost > self.limit * PROTECTED_SHARE and len(self._protected) > 1:
            old, size = self._protected.popitem(last=False)
            self._protected_cost -= size
            self._probation[old] = size

    def grown(self, id: str, cost: int) -> Sequence[str]:
        """Set an entry's new cost."""
        if id not in self._names:
            return ()
        self.total += cost - self._cost(id)
        if id in self._window:
            self._window.put(id, cost)
        elif id in self._protected:
            self._protected_cost += cost - self._protected[id]
            self._protected[id] = cost
        else:
            self._probation[id] = cost
        return self._make_room()

    def gone(self, id: str) -> None:
        """Forget an entry."""
        self._names.pop(id, None)
        self.total -= self._cost(id)
        self._window.drop(id)
        self._protected_cost -= self._protected.pop(id, 0)
        self._probation.pop(id, None)

    def _make_room(self) -> Sequence[str]:
        """Let newcomers leave the window; while the total is too large, they compete with the other entries."""
        candidates = self._window.leave()
        self._probation.update(candidates)
        excess = self.total - self.limit
        if excess <= 0:
            return ()
        new = {id for id, _ in candidates}
        everybody = chain(self._probation, self._protected, self._window)
        victims = (self._candidate(id) for id in everybody if id not in new)
        return choose_victims((self._candidate(id) for id, _ in candidates), victims, excess)

    def _candidate(self, id: str) -> Candidate:
        return Candidate(id, self._cost(id), self._sketch.count(self._names[id]))

    def _cost(self, id: str) -> int:
        return self._window.cost(id) or self._probation.get(id, 0) or self._protected.get(id, 0)
