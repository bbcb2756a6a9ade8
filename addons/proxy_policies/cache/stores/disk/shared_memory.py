"""The file `-shm` of a SQLite database in WAL mode, which all its processes map into memory."""

import os
from pathlib import Path

SMALLEST = 32 * 1024
"""Bytes of it that SQLite maps at least (`WALINDEX_PGSZ`)."""


class SharedMemoryFile:
    """Keeps it as large as it was: if it were truncated, reading it would kill the process (SIGBUS)."""

    def __init__(self, database: Path) -> None:
        self._path = f"{database}-shm"
        self._size = SMALLEST

    def ensure_size(self) -> None:
        """Extend the file with zeros if another program has truncated it: SQLite then reads its log again."""
        try:
            size = os.stat(self._path).st_size
            if size < self._size:
                os.truncate(self._path, self._size)
        except OSError:
            return
        self._size = max(size, self._size)
