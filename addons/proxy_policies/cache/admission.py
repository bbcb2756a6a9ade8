"""Which entries stay when there is not room for all.

`Lru` keeps what was used last. `TinyLfu` also asks how often: a newcomer takes an old
entry's place only if it was asked for more often of late, so that a scan of URLs
that nobody asks for twice leaves the rest alone (Einziger, Friedman and Manes,
"TinyLFU: A Highly Efficient Cache Admission Policy", 2017).
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

WINDOW_SHARE = 0.01
"""Of the limit: where newcomers are kept while they prove themselves (the paper's W-TinyLFU)."""
PROTECTED_SHARE = 0.8
"""Of the main part: for what was used again."""


class Keeper(Protocol):
    """Knows the entries by id, the name their popularity is counted under, and cost in bytes."""

    total: int

    def add(self, id: str, name: str, cost: int) -> Sequence[str]:
        """Take in a newcomer and give the ids that have to go, itself perhaps among them."""

    def used(self, id: str) -> None:
        """Learn that an entry was used."""

    def grown(self, id: str, cost: int) -> Sequence[str]:
        """Learn an entry's new cost and give the ids that have to go."""

    def gone(self, id: str) -> None:
        """Forget an entry."""


class Lru:
    """Keeps what was used last."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._costs: OrderedDict[str, int] = OrderedDict()

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
    """Counts of late, small and approximate: a count-min sketch of four rows, halved now and then."""

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
        """Estimate the uses of late."""
        return min(row[place] for row, place in zip(self._rows, self._places(name), strict=True))

    def _age(self) -> None:
        half = bytes(value >> 1 for value in range(256))
        self._rows = [bytearray(row.translate(half)) for row in self._rows]
        self._added //= 2


class TinyLfu:
    """A small LRU window, and a main part in two segments, entered by popularity."""

    def __init__(self, limit: int, sketch: Sketch | None = None) -> None:
        self.limit = limit
        self.total = 0
        self._window_limit = max(int(limit * WINDOW_SHARE), 1)
        self._sketch = sketch or Sketch()
        self._names: dict[str, str] = {}
        self._window: OrderedDict[str, int] = OrderedDict()
        self._probation: OrderedDict[str, int] = OrderedDict()
        self._protected: OrderedDict[str, int] = OrderedDict()
        self._protected_cost = 0
        self._window_cost = 0

    def add(self, id: str, name: str, cost: int) -> Sequence[str]:
        """Take in a newcomer, by the window."""
        self._sketch.add(name)
        self._names[id] = name
        self._window[id] = cost
        self._window_cost += cost
        self.total += cost
        return self._make_room()

    def used(self, id: str) -> None:
        """Count the use, and move to the young end of its segment or from probation to protection."""
        name = self._names.get(id)
        if name is None:
            return
        self._sketch.add(name)
        if id in self._window:
            self._window.move_to_end(id)
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
        """Learn an entry's new cost."""
        name = self._names.get(id)
        if name is None:
            return ()
        for segment in (self._window, self._probation, self._protected):
            if id in segment:
                change = cost - segment[id]
                segment[id] = cost
                self.total += change
                self._window_cost += change if segment is self._window else 0
                self._protected_cost += change if segment is self._protected else 0
        return self._make_room()

    def gone(self, id: str) -> None:
        """Forget an entry."""
        self._names.pop(id, None)
        if (cost := self._window.pop(id, None)) is not None:
            self._window_cost -= cost
        elif (cost := self._protected.pop(id, None)) is not None:
            self._protected_cost -= cost
        else:
            cost = self._probation.pop(id, 0)
        self.total -= cost

    def _make_room(self) -> Sequence[str]:
        """Let candidates leave the window; while the whole is too large, the less popular of each pair goes."""
        candidates = self._leave_window()
        victims = self._victims(frozenset(candidates))
        gone: list[str] = []
        excess, victim = self.total - self.limit, next(victims, None)
        while excess > 0 and (victim is not None or candidates):
            if victim is None or (candidates and self._popularity(candidates[0]) <= self._popularity(victim)):
                loser = candidates.popleft()
            else:
                loser, victim = victim, next(victims, None)
            gone.append(loser)
            excess -= self._cost(loser)
        return gone

    def _leave_window(self) -> deque[str]:
        candidates: deque[str] = deque()
        while self._window_cost > self._window_limit and self._window:
            id, cost = self._window.popitem(last=False)
            self._window_cost -= cost
            self._probation[id] = cost
            candidates.append(id)
        return candidates

    def _victims(self, candidates: frozenset[str]) -> Iterator[str]:
        everybody = chain(self._probation, self._protected, self._window)
        return (id for id in everybody if id not in candidates)

    def _popularity(self, id: str) -> int:
        return self._sketch.count(self._names[id])

    def _cost(self, id: str) -> int:
        return self._window.get(id, 0) or self._probation.get(id, 0) or self._protected.get(id, 0)
