"""What was decided about the last flows, and how often each thing was. Pure: notes in, plain data out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy_policies.explain import formatting
from proxy_policies.log_lines import printable

if TYPE_CHECKING:
    from proxy_policies.trace import Note

KEPT = 200
"""Flows: what a terminal shows at most."""
LONGEST_TITLE = 2048
"""Characters of a URL: what was long for a browser once, and enough to know it again."""
MOST_VERDICTS = 256
"""Different things to count; policies have some fifty."""
OTHERS = ("others", "")


class Decided(NamedTuple):
    """A flow, and what was decided about it."""

    ended: float
    """POSIX time in seconds."""
    title: str
    outcome: str
    notes: Sequence[Note]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "ended": round(self.ended, 3),
            "flow": printable(self.title),
            "outcome": printable(self.outcome),
            "decisions": list(self.notes),
            "lines": formatting.format_notes(self.notes),
        }


class Recent:
    """Keeps the last flows, and counts."""

    def __init__(self) -> None:
        self._last: deque[Decided] = deque(maxlen=KEPT)
        self._flows = 0
        self._verdicts: Counter[tuple[str, str]] = Counter()

    def add(self, decided: Decided) -> None:
        """Take a flow that has ended."""
        self._flows += 1
        self._last.append(decided._replace(title=decided.title[:LONGEST_TITLE]))
        for key in {note["policy"]: (note["policy"], note["verdict"]) for note in decided.notes}.values():
            self._verdicts[key if key in self._verdicts or len(self._verdicts) < MOST_VERDICTS else OTHERS] += 1

    def find(self, text: str, last: int) -> list[Decided]:
        """Return the last flows whose title has a text in it, oldest first."""
        found = [decided for decided in self._last if text in decided.title]
        return found[-last:] if last > 0 else []

    def counts(self) -> Mapping[str, int]:
        """Return how many flows ended, and how often each verdict was a policy's last about one."""
        by_name = {": ".join(filter(None, key)): count for key, count in sorted(self._verdicts.items())}
        return {"flows": self._flows, **by_name}
