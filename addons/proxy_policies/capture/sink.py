"""Where the recorder's entries go: redacted, written, and synced to the disk once a second."""

import threading
from pathlib import Path

from proxy_policies.capture import writer
from proxy_policies.capture.model import Entry
from proxy_policies.capture.redact import Redactor

SYNC_SECONDS = 1.0


class Sink:
    """An open capture behind a lock, so that large entries may be written from a thread."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        """Open the capture, mending it when it is torn. Raises OSError and CaptureError."""
        self.path = path
        self.redactor = redactor
        self._writer = writer.resume(path, writer.new_log(redactor.key_id))
        self._lock = threading.Lock()
        self._dirty = False
        self._stop = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="capture-sync", daemon=True)
        self._syncer.start()

    @property
    def count(self) -> int:
        """How many entries the capture has."""
        return self._writer.count

    def write(self, entry: Entry) -> None:
        """Redact and write an entry. Raises OSError."""
        with self._lock:
            if not self._stop.is_set():
                self._writer.write(self.redactor.entry(entry))
                self._dirty = True

    def _sync(self) -> None:
        while not self._stop.wait(SYNC_SECONDS):
            if self._dirty:
                self._dirty = False
                self._writer.sync()

    def close(self) -> None:
        """Make the capture whole. Again is harmless."""
        self._stop.set()
        self._syncer.join()
        with self._lock:
            self._writer.close()
