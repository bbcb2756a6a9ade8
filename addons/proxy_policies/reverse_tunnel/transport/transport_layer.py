"""A layer of a connection: a protocol to the transport below, a transport to the protocol above."""

from __future__ import annotations

import asyncio
from typing import Any


class TransportLayer(asyncio.Transport, asyncio.BufferedProtocol):
    """What every layer hands on as it is: how much the transport below has still to send, and its end."""

    lower: Any = None

    def eof_received(self) -> bool:
        """Let the transport below close: an end there is the end."""
        return False

    def abort(self) -> None:
        """Drop the connection at once."""
        self.lower.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are waiting to be sent."""
        size: int = self.lower.get_write_buffer_size()
        return size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and high mark of the transport below."""
        limits: tuple[int, int] = self.lower.get_write_buffer_limits()
        return limits

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks at which writing is paused and resumed."""
        self.lower.set_write_buffer_limits(high=high, low=low)
