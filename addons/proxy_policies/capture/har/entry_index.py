"""A capture's entries by number, without holding them all in memory."""

import json
from array import array
from pathlib import Path

from proxy_policies.capture.har import line_framing
from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.reader import Capture
from proxy_policies.capture.model import Entry


class EntryIndex:
    """Entries by number: read from the file again when it is framed by lines, kept when it is not."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._ends = _ends(capture.path) if capture.framed else array("Q", [0])
        self._kept = [] if capture.framed else list(capture)

    def __len__(self) -> int:
        return len(self._ends) - 1 or len(self._kept)

    def __getitem__(self, number: int) -> Entry:
        """Return one entry. Raises OSError and CaptureError when the file has changed meanwhile."""
        if self._kept:
            return self._kept[number]
        start, end = self._ends[number], self._ends[number + 1]
        with self._capture.path.open("rb") as file:
            file.seek(start)
            text = file.read(end - start)
        return read_entry(json.loads(text.removeprefix(b",")), f"entry {number + 1}", self._capture.fetch)


def _ends(path: Path) -> array[int]:
    """Return where the head of a file ends, and each entry."""
    with path.open("rb") as file:
        head = len(file.readline())
        return array("Q", [head, *(head + after for _, after in line_framing.entries(file))])
