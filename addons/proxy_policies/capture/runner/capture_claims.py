"""Captures of a test run: which test owns each, and which were recorded, known to all its processes (pytest-xdist).

One process at a time records into a file; the next one adds to it.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proxy_policies.capture.errors import CaptureError


class CaptureClaims:
    """Claims on captures, in a folder that all processes of a run share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def claim(self, path: Path, test: str, is_named: bool) -> None:
        """Raise CaptureError if another test owns the capture, unless it `is_named` by the test.

        Names may clash if the file system ignores their case.
        """
        with self._locked(path, "owner") as file:
            owner = os.pread(file, 1 << 16, 0).decode()
            if not owner:
                os.pwrite(file, test.encode(), 0)
            elif owner != test and not is_named:
                raise CaptureError(f"{path.name} is the capture of {owner}, too: give one of them a path of its own")

    @contextmanager
    def recording_lock(self, path: Path) -> Iterator[None]:
        """Hold the lock of a capture, for which other processes wait before they record into it."""
        with self._locked(path, "lock"):
            yield

    def was_recorded(self, path: Path) -> bool:
        """Return whether a test of this run has recorded a capture."""
        return self._file(path, "recorded").exists()

    def mark_recorded(self, path: Path) -> None:
        """Note that a test of this run has recorded a capture."""
        self._file(path, "recorded").touch()

    def _file(self, path: Path, kind: str) -> Path:
        name = hashlib.sha256(str(path.absolute()).casefold().encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / f"{name}.{kind}"

    @contextmanager
    def _locked(self, path: Path, kind: str) -> Iterator[int]:
        file = os.open(self._file(path, kind), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)
