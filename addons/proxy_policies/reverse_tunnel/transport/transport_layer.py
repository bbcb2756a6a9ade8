"""A layer of a connection: the protocol of the transport below, the transport of the protocol above."""

from __future__ import annotations

import asyncio
from typing import Any


class TransportLayer(asyncio.Transport, asyncio.BufferedProtocol):
    """The methods that every layer forwards to the transport below: its write buffer, and its end."""

    lower: Any = None

    def eof_received(self) -> bool:
        """Let the transport below close at its end of file."""
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
