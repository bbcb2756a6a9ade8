"""Which flows go when there are too many, and which columns there are. Pure: flows and names in, the same out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

COMMENT = "comment"
"""mitmweb's name of the column."""
BEFORE = "method"
"""The column that it stands before, beside the path: what was decided is looked for more than what follows."""


class Listed(Protocol):
    """What is asked of a flow."""

    @property
    def marked(self) -> str:
        """The user's mark; "" for none."""

    @property
    def live(self) -> bool:
        """True while it is under way."""


def oldest[F: Listed](flows: Iterable[F], count: int) -> list[F]:
    """Return the first flows that may go, at most so many: neither marked by the user nor under way."""
    return list(islice((flow for flow in flows if not flow.marked and not flow.live), count))


def with_comments(columns: Sequence[str]) -> list[str]:
    """Return mitmweb's columns with that of the comments, in which what was decided stands."""
    if COMMENT in columns:
        return list(columns)
    at = columns.index(BEFORE) if BEFORE in columns else len(columns)
    return [*columns[:at], COMMENT, *columns[at:]]
