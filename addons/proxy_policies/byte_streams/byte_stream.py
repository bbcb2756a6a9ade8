"""The bytes of one connection, whatever carries them: what came, and who waits for more."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

READ_SIZE = 65536
"""Bytes read at once, as mitmproxy does."""
READ_AHEAD = 2 * 65536
"""Bytes kept for whoever has not asked for them, more than a request's head may have; the rest waits in the kernel."""
HIGH_WATER = 65536
"""Bytes waiting to be sent beyond which a writer waits: asyncio's mark."""


def ignore() -> None:
    """Do nothing."""


class ByteStream(ABC):
    """One connection. `on_readable` is called when bytes or the end have come and nobody waits for them."""

    on_sent: Callable[[], None]
    """Called when all that waited to be sent has been."""
    high_water: int

    def __init__(self, on_readable: Callable[[], None] = ignore) -> None:
        self.on_readable = on_readable
        self.received = bytearray()
        self.total_received = 0
        self.is_at_end = False
        """No more will come."""
        self.error: OSError | None = None
        """Why not, unless the peer ended it properly."""
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[bool | None] | None = None

    @property
    @abstractmethod
    def sock(self) -> Any:
        """The socket under it."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Return whether it was closed here."""

    # Receiving

    def start_reading(self) -> None:
        """Read whatever comes, up to READ_AHEAD bytes."""
        if len(self.received) < READ_AHEAD:
            self._read_on()

    @abstractmethod
    def _read_on(self) -> None:
        """Read whatever comes next."""

    @abstractmethod
    def stop_reading(self) -> None:
        """Leave in the kernel what comes."""

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self.received += data
        self.total_received += len(data)
        if len(self.received) >= READ_AHEAD:
            self.stop_reading()

    def notify(self) -> None:
        """Tell whoever waits that something has come, or that nothing will."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(not self.is_at_end)
        else:
            self.on_readable()

    def wait(self, seconds: float | None = None) -> asyncio.Future[bool | None]:
        """Return a future of what comes next: True for bytes, False for the end, None if neither within `seconds`.

        However much is there already, some more is read.
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
        """Return all that was received, and read on."""
        data = bytes(self.received)
        self.received.clear()
        return data

    # Sending

    @property
    @abstractmethod
    def unsent(self) -> int:
        """The bytes that the kernel has not taken yet."""

    @abstractmethod
    def write(self, *pieces: bytes) -> None:
        """Send, or keep what the kernel has no room for. A connection that has failed takes nothing more."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait while more than `high_water` bytes wait to be sent."""

    # Ending

    @abstractmethod
    def end_sending(self) -> None:
        """Send the end of our half, once everything is sent; what the peer still says can be read."""

    @abstractmethod
    def close(self, *, says_end: bool = True) -> None:
        """Close the connection, once everything is sent; not `says_end` in the middle of a message."""

    @abstractmethod
    def reset(self) -> None:
        """Break the connection off at once: what its peer has of a message is no whole one."""

    @abstractmethod
    def fail_silently(self) -> None:
        """Close at once, whatever is still to be sent."""


def _set_none(waiting: asyncio.Future[bool | None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
