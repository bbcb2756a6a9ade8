"""The byte stream of one connection, whatever carries it: received data, and the task that waits for more."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

READ_SIZE = 65536
"""Bytes read at once, as in mitmproxy."""
READ_AHEAD = 2 * 65536
"""Bytes read ahead of demand, more than a request's head may have; the rest waits in the kernel."""
HIGH_WATER = 65536
"""Unsent bytes beyond which a writer waits: asyncio's mark."""


def ignore() -> None:
    """Do nothing."""


class ByteStream(ABC):
    """One connection. `on_readable` is called when bytes or the end arrive and no task waits for them."""

    on_sent: Callable[[], None]
    """Called once all unsent bytes have been sent."""
    high_water: int

    def __init__(self, on_readable: Callable[[], None] = ignore) -> None:
        self.on_readable = on_readable
        self.received = bytearray()
        self.total_received = 0
        self.is_at_end = False
        """No more data will arrive."""
        self.error: OSError | None = None
        """Why not; None if the peer ended the connection properly."""
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[bool | None] | None = None

    @property
    @abstractmethod
    def sock(self) -> Any:
        """The underlying socket."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Return whether it was closed on our side."""

    # Receiving

    def start_reading(self) -> None:
        """Read incoming data, up to READ_AHEAD bytes."""
        if len(self.received) < READ_AHEAD:
            self._read_on()

    @abstractmethod
    def _read_on(self) -> None:
        """Read more data."""

    @abstractmethod
    def stop_reading(self) -> None:
        """Leave incoming data in the kernel."""

    def feed(self, data: bytes) -> None:
        """Add received data."""
        self.received += data
        self.total_received += len(data)
        if len(self.received) >= READ_AHEAD:
            self.stop_reading()

    def notify(self) -> None:
        """Wake the waiting task because data or the end has arrived."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(not self.is_at_end)
        else:
            self.on_readable()

    def wait(self, seconds: float | None = None) -> asyncio.Future[bool | None]:
        """Return a future of the next event: True for bytes, False for the end, None if neither within `seconds`.

        It reads more even if much is already buffered.
        """
        waiting = self._waiting = self._loop.create_future()
        if self.is_at_end:
            self._waiting = None
            waiting.set_result(False)
            return waiting
        self._read_on()
        if seconds is not None:
            timer = self._loop.call_later(max(seconds, 0.0), _set_none, waiting)
            waiting.add_done_callback(lambda _: timer.cancel())
        return waiting

    def take(self) -> bytes:
        """Return and remove everything received."""
        data = bytes(self.received)
        self.received.clear()
        return data

    # Sending

    @property
    @abstractmethod
    def unsent(self) -> int:
        """The bytes that the kernel has not accepted yet."""

    @abstractmethod
    def write(self, *pieces: bytes) -> None:
        """Send, or keep what the kernel has no room for. Does nothing on a failed connection."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait while more than `high_water` bytes are unsent."""

    # Ending

    @abstractmethod
    def end_sending(self) -> None:
        """End our half once everything is sent; the peer's data can still be read."""

    @abstractmethod
    def close(self, *, says_end: bool = True) -> None:
        """Close the connection once everything is sent; `says_end` is False in the middle of a message."""

    @abstractmethod
    def reset(self) -> None:
        """Reset the connection at once: the peer must not take an incomplete message as complete."""

    @abstractmethod
    def fail_silently(self) -> None:
        """Close at once, discarding unsent bytes."""


def _set_none(waiting: asyncio.Future[bool | None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
