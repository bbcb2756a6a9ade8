"""The decisions about the last flows, and counts of all verdicts. Pure: notes in, plain data out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy_policies.explain import formatting
from proxy_policies.log_lines import printable

if TYPE_CHECKING:
    from proxy_policies.explain.formatting import Verdicts
    from proxy_policies.trace import Note

KEPT = 200
"""Flows kept: the most that a terminal shows."""
LONGEST_TITLE = 2048
"""Characters of a URL: a former limit of browsers, and enough to recognise it."""
MAX_VERDICTS = 256
"""Different verdicts to count; policies have some fifty."""
OTHERS = ("others", "")


class Decided(NamedTuple):
    """A flow, and the decisions about it."""

    ended: float
    """POSIX time in seconds."""
    title: str
    outcome: str
    notes: Sequence[Note]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "ended": round(self.ended, 3),
            "flow": printable(self.title),
            "outcome": printable(self.outcome),
            "decisions": list(self.notes),
            "lines": formatting.format_notes(self.notes),
        }


class Recent:
    """Keeps the last flows, and counts verdicts."""

    def __init__(self) -> None:
        self._last: deque[Decided] = deque(maxlen=KEPT)
        self._flows = 0
        self._decisions: Counter[Verdicts] = Counter()
        """Of flows that are not in `_verdicts` yet."""
        self._verdicts: Counter[tuple[str, str]] = Counter()

    def add(self, decided: Decided) -> None:
        """Add a flow that has ended."""
        self._flows += 1
        if len(decided.title) > LONGEST_TITLE:
            decided = decided._replace(title=decided.title[:LONGEST_TITLE])
        self._last.append(decided)
        self._decisions[formatting.verdicts_of(decided.notes)] += 1
        if len(self._decisions) > MAX_VERDICTS:
            self._count()

    def _count(self) -> None:
        """Count each policy's last verdict; most flows have the same ones."""
        for verdicts, flows in self._decisions.items():
            for key in dict(verdicts).items():
                self._verdicts[key if key in self._verdicts or len(self._verdicts) < MAX_VERDICTS else OTHERS] += flows
        self._decisions.clear()

    def find(self, text: str, last: int) -> list[Decided]:
        """Return the last flows whose title contains a text, or whose cache key does, oldest first.

        In reverse mode the key has the URL that the client asked for, and the title that of the origin.
        """
        found = [
            decided
            for decided in self._last
            if text in decided.title or any(text in note.get("key", "") for note in decided.notes)
        ]
        return found[-last:] if last > 0 else []

    def counts(self) -> Mapping[str, int]:
        """Return the number of ended flows, and of each policy's last verdicts."""
        self._count()
        by_name = {": ".join(filter(None, key)): count for key, count in sorted(self._verdicts.items())}
        return {"flows": self._flows, **by_name}
