"""Collects a body as it passes, up to a limit; the rest is counted and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from proxy_policies.capture.streams.arrivals import MAX_ARRIVALS, Arrival


class BoundedBody:
    """A tap that keeps the first `limit` bytes of a body and, once `time_arrivals` was called, when they arrived."""

    __slots__ = ("_clock", "_hash", "_limit", "arrivals", "at_end", "dropped", "is_whole", "kept")

    def __init__(self, limit: int) -> None:
        self.kept: bytes | bytearray = b""
        """The first `limit` bytes of the body."""
        self._limit = limit
        self._hash: hashlib._Hash | None = None
        self._clock: Callable[[], float] | None = None
        self.at_end: Callable[[], None] | None = None
        """Called at the end of the body."""
        self.arrivals: list[Arrival] = []
        self.dropped = 0
        self.is_whole = False

    def time_arrivals(self, clock: Callable[[], float]) -> None:
        """Record from now on when bytes arrive; `clock` returns seconds since the epoch."""
        self._clock = clock

    def feed(self, data: bytes) -> None:
        """Add a chunk."""
        if not self.kept and len(data) <= self._limit and not self.dropped:
            self.kept = data  # most bodies come in one piece, which need not be copied
        else:
            self._keep(data)
        if self._clock is not None and len(self.arrivals) < MAX_ARRIVALS:
            self.arrivals.append((len(self.kept), self._clock()))

    def _keep(self, data: bytes) -> None:
        room = max(0, self._limit - len(self.kept))
        if self.dropped or len(data) > room:
            self._overflow(data, room)
        else:
            self._add(data)

    def _add(self, data: bytes) -> None:
        if isinstance(self.kept, bytes):
            self.kept = bytearray(self.kept)
        self.kept += data

    def _overflow(self, data: bytes, room: int) -> None:
        if self._hash is None:
            self._hash = hashlib.sha256(self.kept)
        self._hash.update(data)
        self._add(data[:room])
        self.dropped += len(data) - min(room, len(data))

    def finish(self) -> None:
        """Note the end of the body."""
        self.is_whole = True
        if self.at_end is not None:
            self.at_end()

    def abort(self) -> None:
        """Do nothing: the body was broken off."""

    @property
    def sha256(self) -> str:
        """The hash of the complete body if not all of it was kept, else empty."""
        return self._hash.hexdigest() if self._hash is not None else ""
