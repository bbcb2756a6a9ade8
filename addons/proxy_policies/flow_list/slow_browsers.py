"""A browser that does not read what mitmweb tells it: what waits for it is dropped, and it asks for everything anew.

mitmweb itself keeps whatever a browser does not take, for as long as it is connected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

QUEUED = 1000
"""Messages that may wait: those of some 300 flows."""
QUEUED_BYTES = 8 << 20
FEW = 16
"""Messages that are not too many whatever their size: mitmproxy's heads, which are in them, have 64 KiB at most."""
OTHERS = 100
"""Messages about options and listeners that are kept, the last ones: those are not asked for anew."""
_LISTS = ("flows", "events")
_OF_LISTS = tuple(f'{{"type": "{name}/'.encode() for name in _LISTS)
RESETS = tuple(json.dumps({"type": f"{name}/reset"}).encode() for name in _LISTS)
"""Has mitmweb's page ask for both lists."""


class Connection(Protocol):
    """mitmweb's to a browser."""

    _send_queue: asyncio.Queue[bytes]

    @property
    def filters(self) -> Mapping[str, Any]:
        """The filters of its page, by name."""

    def send(self, message: bytes) -> None:
        """Have a message wait."""

    def update_filter(self, name: str, expr: str) -> None:
        """Say which flows a filter finds."""


def is_too_much(sizes: Sequence[int]) -> bool:
    """Return whether so many messages, of these sizes in bytes, are too many to wait."""
    return len(sizes) > QUEUED or sum(sizes) > QUEUED_BYTES


def others(messages: Iterable[bytes]) -> list[bytes]:
    """Return the last messages that are about neither list."""
    return [message for message in messages if not message.startswith(_OF_LISTS)][-OTHERS:]


def relieve(connections: Iterable[Connection]) -> int:
    """Drop what waits for each browser for which too much does; return how many those were."""
    return sum([_relieve(connection) for connection in list(connections)])


def _relieve(connection: Connection) -> bool:
    queue = connection._send_queue
    if queue.qsize() < FEW:
        return False
    waiting = [queue.get_nowait() for _ in range(queue.qsize())]
    is_slow = is_too_much([len(message) for message in waiting])
    for message in (*others(waiting), *RESETS) if is_slow else waiting:
        connection.send(message)
    if is_slow:
        for name, expression in dict(connection.filters).items():
            connection.update_filter(name, expression.pattern)
    return is_slow
