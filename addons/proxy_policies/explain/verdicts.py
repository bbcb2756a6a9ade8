"""The verdicts about flows: one line for each, the last flows, and counts. Pure: notes in, plain data out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import printable

with lazy_imports():
    from proxy_policies.explain import formatting

if TYPE_CHECKING:
    from proxy_policies.trace import Note

VERDICT_LIMIT = 160
"""Characters: a verdict is one line in a table."""
KEPT = 200
"""Flows kept: the most that a terminal shows."""
LONGEST_TITLE = 2048
"""Characters of a URL: a former limit of browsers, and enough to recognise it."""
MAX_VERDICTS = 256
"""Different verdicts to count; policies have some fifty."""
OTHERS = ("others", "")

REFUSED = "refused"
TELLING = ("proxy", "passthrough", "replay", "cache")
"""The policies whose verdict may be the outcome, most informative first."""
OUTCOMES: Mapping[tuple[str, str], str] = {
    ("cache", "stored"): "miss",
    ("cache", "not stored"): "miss",
    ("cache", "updated"): "miss",
    ("cache", "goes on"): "miss",
    ("passthrough", "closed"): "untouched",
}
"""The outcome of a flow for verdicts that are not the outcome themselves."""

Verdicts = tuple[tuple[str, str], ...]
"""Policies and their verdicts, in order."""


def verdicts_of(notes: Sequence[Note]) -> Verdicts:
    """Return the verdicts of decisions."""
    return tuple([(note["policy"], note["verdict"]) for note in notes])


def summary(notes: Sequence[Note]) -> str:
    """Return one short line with the outcome and every verdict: `miss · cache: stored · encoding: zstd`.

    The outcome comes first, because columns are narrow: hit, stale, miss, refused, untouched, failed and so on. If a
    policy decided more than once, its last verdict counts. "" if no policy decided anything.
    """
    return _summary(verdicts_of(notes))


@lru_cache(maxsize=256)
def _summary(verdicts: Verdicts) -> str:
    last = dict(verdicts)
    told = [f"{policy}: {verdict}" for policy, verdict in last.items()]
    line = printable(" · ".join(filter(None, [outcome(last), *told])))
    return line if len(line) <= VERDICT_LIMIT else line[: VERDICT_LIMIT - 1] + "…"


def outcome(verdicts: Mapping[str, str]) -> str:
    """Return a flow's outcome in one word, from each policy's last verdict; "" if they do not tell."""
    if REFUSED in verdicts.values():
        return REFUSED
    said = [(policy, verdicts[policy]) for policy in TELLING if policy in verdicts]
    return OUTCOMES.get(said[0], said[0][1]) if said else ""


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
        self._decisions[verdicts_of(decided.notes)] += 1
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
