"""The report of a replay: what was played, missed and not used."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy_policies.capture.replay.replay_session import ReplaySession

logger = logging.getLogger(__name__)


def log_miss(requested: str, reason: str) -> None:
    """Log why a request was not answered from a recording."""
    logger.warning(f"replay: {requested}: {reason}")


class ReplayReport:
    """Notes what happens while a capture is replayed."""

    def __init__(self) -> None:
        self._misses: list[dict[str, Any]] = []
        self._inexact: list[dict[str, Any]] = []

    def add_miss(self, requested: str, reason: object) -> dict[str, Any]:
        """Note a request that was not answered; return its item, whose `why` may be made more precise."""
        miss = {"url": requested, "why": reason}
        self._misses.append(miss)
        return miss

    def add_and_log_miss(self, requested: str, reason: str) -> None:
        """Note such a request, and log it."""
        self.add_miss(requested, reason)
        log_miss(requested, reason)

    def add_inexact(self, requested: str, number: int, differences: Iterable[object]) -> None:
        """Note a request that was answered by an entry, though ids, times or random values differ."""
        self._inexact.append({"url": requested, "entry": number + 1, "why": "; ".join(map(str, differences))})

    def document(self, session: ReplaySession, is_strict: bool) -> dict[str, Any]:
        """Return the report as JSON; recordings that were not used are listed if `is_strict`.

        Finding their requests reads the capture again.
        """
        numbers = session.cassette.unused() if is_strict else ()
        unused = ((number + 1, session.entries[number].request) for number in numbers)
        return {
            "played": session.cassette.used_count,
            "problems": session.problems,
            "alike": self._inexact,
            "misses": self._misses,
            "unused": [f"entry {number}: {request.method} {request.url}" for number, request in unused],
        }
