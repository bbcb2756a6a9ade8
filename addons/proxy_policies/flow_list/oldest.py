"""Which flows are removed if there are too many, and which columns are shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

COMMENT = "comment"
"""mitmweb's name of the column."""
NEXT_COLUMN = "method"
"""The column before which it is shown, beside the path."""


class ListedFlow(Protocol):
    """The attributes of a flow that are needed here."""

    @property
    def marked(self) -> str:
        """The user's mark; "" for none."""

    @property
    def live(self) -> bool:
        """True while it is in progress."""


def oldest[F: ListedFlow](flows: Iterable[F], count: int) -> list[F]:
    """Return the first flows that may be removed, at most `count`: not marked by the user, and not in progress."""
    return list(islice((flow for flow in flows if not flow.marked and not flow.live), count))


def with_comments(columns: Sequence[str]) -> list[str]:
    """Return mitmweb's columns with that of the comments, which show the decisions."""
    if COMMENT in columns:
        return list(columns)
    at = columns.index(NEXT_COLUMN) if NEXT_COLUMN in columns else len(columns)
    return [*columns[:at], COMMENT, *columns[at:]]
