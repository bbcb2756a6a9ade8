"""Collects a body as it passes, up to a bound: what is beyond is counted and hashed, not kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from proxy_policies.capture.streams.arrivals import MAX_ARRIVALS, Arrival


class BoundedBody:
    """A tap that keeps the first `limit` octets of a body and, once `time_arrivals` was called, when they came."""

    __slots__ = ("_clock", "_hash", "_kept", "_limit", "arrivals", "at_end", "dropped", "is_whole")

    def __init__(self, limit: int) -> None:
        self._kept: bytes | bytearray = b""
        self._limit = limit
        self._hash: hashlib._Hash | None = None
        self._clock: Callable[[], float] | None = None
        self.at_end: Callable[[], None] | None = None
        """Called when the body has come whole."""
        self.arrivals: list[Arrival] = []
        self.dropped = 0
        self.is_whole = False

    def time_arrivals(self, clock: Callable[[], float]) -> None:
        """Note from now on when octets come, in seconds since the epoch."""
        self._clock = clock

    def feed(self, data: bytes) -> None:
        """Take a chunk."""
        self._keep(data)
        if self._clock is not None and len(self.arrivals) < MAX_ARRIVALS:
            self.arrivals.append((len(self._kept), self._clock()))

    def _keep(self, data: bytes) -> None:
        room = max(0, self._limit - len(self._kept))
        if self.dropped or len(data) > room:
            self._overflow(data, room)
        else:
            self._add(data)

    def _add(self, data: bytes) -> None:
        if not self._kept:
            self._kept = data  # most bodies come in one piece, which need not be copied
            return
        if isinstance(self._kept, bytes):
            self._kept = bytearray(self._kept)
        self._kept += data

    def _overflow(self, data: bytes, room: int) -> None:
        if self._hash is None:
            self._hash = hashlib.sha256(self._kept)
        self._hash.update(data)
        self._add(data[:room])
        self.dropped += len(data) - min(room, len(data))

    def finish(self) -> None:
        """Learn that the body came whole."""
        self.is_whole = True
        if self.at_end is not None:
            self.at_end()

    def abort(self) -> None:
        """Learn that the rest will never come."""

    @property
    def data(self) -> bytes:
        """What was kept."""
        return bytes(self._kept)

    @property
    def sha256(self) -> str:
        """The hash of the whole body when not all of it was kept, else empty."""
        return self._hash.hexdigest() if self._hash is not None else ""
