"""Browsers that read mitmweb's messages too slowly: their queues are dropped, and their pages load the lists again.

mitmweb itself queues messages without limit while a browser is connected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

MAX_QUEUED = 1000
"""Queued messages: those of some 300 flows."""
MAX_QUEUED_BYTES = 8 << 20
ALWAYS_QUEUED = 16
"""Messages allowed whatever their size, which is bounded by that of heads, 64 KiB."""
MAX_OTHERS = 100
"""Messages about options and listeners that are kept, the last ones: pages do not load those again."""
_LISTS = ("flows", "events")
_LIST_PREFIXES = tuple(f'{{"type": "{name}/'.encode() for name in _LISTS)
RESETS = tuple(json.dumps({"type": f"{name}/reset"}).encode() for name in _LISTS)
"""The messages on which mitmweb's page loads both lists again."""


class BrowserConnection(Protocol):
    """mitmweb's connection to a browser."""

    _send_queue: asyncio.Queue[bytes]

    @property
    def filters(self) -> Mapping[str, Any]:
        """The filters of its page, by name."""

    def send(self, message: bytes) -> None:
        """Queue a message."""

    def update_filter(self, name: str, expr: str) -> None:
        """Queue a message with the flows that a filter matches."""


def is_too_much(sizes: Sequence[int]) -> bool:
    """Return whether queued messages of these sizes, in bytes, exceed a limit."""
    return len(sizes) > MAX_QUEUED or sum(sizes) > MAX_QUEUED_BYTES


def others(messages: Iterable[bytes]) -> list[bytes]:
    """Return the last MAX_OTHERS messages that are not about a list."""
    return [message for message in messages if not message.startswith(_LIST_PREFIXES)][-MAX_OTHERS:]


def drop_queued(connections: Iterable[BrowserConnection]) -> int:
    """Drop the queues that exceed a limit; return the number of these connections."""
    return sum([_drop_queued(connection) for connection in list(connections)])


def _drop_queued(connection: BrowserConnection) -> bool:
    queue = connection._send_queue
    if queue.qsize() < ALWAYS_QUEUED:
        return False
    waiting = [queue.get_nowait() for _ in range(queue.qsize())]
    is_slow = is_too_much([len(message) for message in waiting])
    for message in (*others(waiting), *RESETS) if is_slow else waiting:
        connection.send(message)
    if is_slow:
        for name, expression in dict(connection.filters).items():
            connection.update_filter(name, expression.pattern)
    return is_slow
