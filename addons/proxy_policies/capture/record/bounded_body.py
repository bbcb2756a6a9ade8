"""Collects a body as it passes, up to a bound: what is beyond is counted and hashed, not kept."""

import hashlib


class BoundedBody:
    """A tap that keeps the first `limit` octets of a body."""

    __slots__ = ("_hash", "_kept", "_limit", "dropped", "finished")

    def __init__(self, limit: int) -> None:
        self._kept = bytearray()
        self._limit = limit
        self._hash = hashlib.sha256()
        self.dropped = 0
        self.finished = False

    def feed(self, data: bytes) -> None:
        """Take a chunk."""
        room = max(0, self._limit - len(self._kept))
        if self.dropped or len(data) > room:
            self._overflow(data, room)
        else:
            self._kept += data

    def _overflow(self, data: bytes, room: int) -> None:
        if not self.dropped:
            self._hash.update(self._kept)
        self._hash.update(data)
        self._kept += data[:room]
        self.dropped += len(data) - min(room, len(data))

    def finish(self) -> None:
        """Learn that the body came whole."""
        self.finished = True

    def abort(self) -> None:
        """Learn that the rest will never come."""
        self.finished = True

    @property
    def data(self) -> bytes:
        """What was kept."""
        return bytes(self._kept)

    @property
    def sha256(self) -> str:
        """The hash of the whole body when not all of it was kept, else empty."""
        return self._hash.hexdigest() if self.dropped else ""
