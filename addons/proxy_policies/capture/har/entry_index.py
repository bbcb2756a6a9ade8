"""Random access to a capture's entries, without all of them in memory."""

import json
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.files.pickled_items import PickledItems
from proxy_policies.capture.har import line_framing
from proxy_policies.capture.har.entry_reader import read_entry, read_request, read_times
from proxy_policies.capture.har.reader import CaptureFile, require_tail
from proxy_policies.capture.model import Entry, Request


class EntryIndex:
    """Entries by number: read from the file again if it is framed by lines, else from a temporary file."""

    def __init__(self, capture: CaptureFile) -> None:
        self._capture = capture
        self._ends = _ends(capture.path) if capture.framed else array("Q", [0])
        self._kept = PickledItems(() if capture.framed else capture)

    def __len__(self) -> int:
        return len(self._ends) - 1 or len(self._kept)

    def requests(self) -> Iterator[Request]:
        """Return the requests in order, without building the rest of the entries. Raise CaptureError."""
        if self._kept:
            return (entry.request for entry in self._kept)
        return (read_request(value, name, self._capture.fetch) for value, name in self._values())

    def by_time(self) -> array[int]:
        """Return the entries' numbers by the start of their requests; files have them by end. Raise CaptureError."""
        if self._kept:
            starts = array("d", (entry.times.request_start for entry in self._kept))
        else:
            starts = array("d", (read_times(value, name).request_start for value, name in self._values()))
        return array("Q", sorted(range(len(starts)), key=starts.__getitem__))

    def _values(self) -> Iterator[tuple[Any, str]]:
        """Yield the JSON value of each entry of a file that is framed by lines, with its name for errors."""
        with self._capture.path.open("rb") as file:
            file.seek(self._ends[0])
            for number, (start, end) in enumerate(pairwise(self._ends), 1):
                yield self._parsed(file.read(end - start), number), self._name(number)

    def __getitem__(self, number: int) -> Entry:
        """Return an entry. Raise OSError, and CaptureError if the file has changed."""
        if self._kept:
            return self._kept[number]
        start, end = self._ends[number], self._ends[number + 1]
        with self._capture.path.open("rb") as file:
            file.seek(start)
            text = file.read(end - start)
        return read_entry(self._parsed(text, number + 1), self._name(number + 1), self._capture.fetch)

    def _parsed(self, text: bytes, number: int) -> Any:
        try:
            return json.loads(text.removeprefix(b","))
        except ValueError as error:
            raise CaptureError(f"{self._name(number)}: not JSON: {error}") from None

    def _name(self, number: int) -> str:
        return f"{self._capture.path.name}: entry {number}"


def _ends(path: Path) -> array[int]:
    """Return the ends of the head and of each entry. Raise CaptureError unless the tail follows."""
    with path.open("rb") as file:
        head = len(file.readline())
        ends = array("Q", [head, *(head + after for _, after in line_framing.entries(file))])
        require_tail(path, file, ends[-1])
    return ends
