"""Reading captures an entry at a time: ours, which are framed by lines, and HAR files of other programs."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import foreign_entries, line_framing, packed
from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.entry_writer import FORMAT
from proxy_policies.capture.har.json_cursor import JsonCursor
from proxy_policies.capture.har.other_formats import what_it_is
from proxy_policies.capture.model import Entry
from proxy_policies.script_paths import own_command


class TruncatedCapture(CaptureError):
    """A capture that was truncated after a complete entry, or inside one."""


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A capture on disk: its log object without the entries, and an iterable of its entries."""

    path: Path
    log: dict[str, Any]
    framed: bool
    problems: list[str] = field(default_factory=list, compare=False)
    """Errors in entries of a foreign file, from its last complete iteration."""
    read: Callable[[list[str]], Iterator[Entry]] | None = field(default=None, compare=False, repr=False)
    """Yields the entries of a file of another format, and appends errors to a list."""
    is_unusual: bool = field(default=False, compare=False, repr=False)
    """Whether a foreign file must be parsed as a whole."""

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries in order. Raise CaptureError at the first invalid entry of a capture that we wrote.

        Invalid entries of foreign files are read as far as possible, and skipped if they are not HTTP.
        """
        if not self.framed:
            self.problems.clear()
            yield from self.read(self.problems) if self.read else self._foreign()
            return
        for number, value in enumerate(framed_values(self.path), 1):
            yield read_entry(value, f"{self.path.name}: entry {number}", self.fetch)

    def _foreign(self) -> Iterator[Entry]:
        values = _whole(self.path) if self.is_unusual else foreign_entries.entries_of(packed.pieces(self.path), {})
        for number, value in enumerate(values, 1):
            try:
                yield read_entry(value, f"entry {number}", self.fetch, self.problems)
            except CaptureError as error:
                self.problems.append(f"{error}: left out")

    @property
    def key_id(self) -> str:
        """The name of the key of its placeholders; empty if it has none."""
        own = self.log.get("_capture")
        return str(own.get("key", "")) if isinstance(own, dict) else ""

    def fetch(self, name: str) -> bytes:
        """Return a body beside the capture, or in its archive. Raise OSError, and ValueError outside the folder."""
        if packed.is_zip(self.path):
            return packed.member(self.path, name)
        folder = self.path.parent.resolve()
        target = (folder / name).resolve()
        if not target.is_relative_to(folder):
            raise ValueError("outside the capture's folder")
        return target.read_bytes()


def open_capture(path: Path) -> CaptureFile:
    """Open a HAR capture. Raise CaptureError with a line that names the file, and OSError."""
    with path.open("rb") as file:
        log = line_framing.read_head(file.readline(1 << 20))
        if log is not None:
            _require_complete(path, file)
            return CaptureFile(path, _checked(path, log), framed=True)
    return _open_foreign(path)


def _open_foreign(path: Path) -> CaptureFile:
    """Open a HAR file of another program, and parse it once, so that its entries are known to be whole."""
    log: dict[str, Any] = {}
    try:
        for _ in foreign_entries.entries_of(packed.pieces(path), log):
            pass
    except (ValueError, RecursionError):
        log = _load(path)
        log.pop("entries", None)
        return CaptureFile(path, _checked(path, log), framed=False, is_unusual=True)
    return CaptureFile(path, _checked(path, log), framed=False)


def _require_complete(path: Path, file: BinaryIO) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - len(line_framing.TAIL)))
    if not file.read().rstrip().endswith(line_framing.TAIL.rstrip()):
        raise TruncatedCapture(
            f"{path}: the recording was cut off; repair it with: {own_command()} capture show --repair {path}"
        )


def _checked(path: Path, log: dict[str, Any]) -> dict[str, Any]:
    """Return the log. Raise CaptureError if its format is newer than ours."""
    own = JsonCursor(log, str(path))["_capture"]
    if own.value is not None and own["format"].number() > FORMAT:
        raise own["format"].wrong(f"made by a newer proxy-policies (format {own['format'].value}, we read {FORMAT})")
    return log


def _load(path: Path) -> dict[str, Any]:
    data = packed.read(path)
    value = _parsed(path, data)
    if isinstance(value, dict) and "log" not in value and (kind := what_it_is(path, data)):
        raise CaptureError(f"{path}: {kind}")
    log = JsonCursor(value, str(path))["log"]
    for _ in log["entries"]:  # raises when it is no list
        break
    return log.mapping()


def _parsed(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        raise CaptureError(f"{path}: not a HAR file: not text") from None
    except RecursionError:
        raise CaptureError(f"{path}: not a HAR file: nested too deeply") from None
    except ValueError as error:
        raise CaptureError(f"{path}: {what_it_is(path, data) or f'not a HAR file, or cut off: {error}'}") from None


def _whole(path: Path) -> Iterator[Any]:
    yield from _load(path).get("entries") or ()


def framed_values(path: Path) -> Iterator[Any]:
    """Yield the entry objects of a file that is framed by lines. Raise CaptureError."""
    with path.open("rb") as file:
        end = len(file.readline())
        head = end
        for number, (text, after) in enumerate(line_framing.entries(file), 1):
            end = head + after
            try:
                yield json.loads(text)
            except ValueError as error:
                raise CaptureError(f"{path.name}: entry {number}: not JSON: {error}") from None
        require_tail(path, file, end)


def require_tail(path: Path, file: BinaryIO, end: int) -> None:
    """Raise TruncatedCapture unless the tail is at this offset, the end of the last complete entry."""
    file.seek(end)
    if file.readline().rstrip() != line_framing.TAIL.rstrip():
        raise TruncatedCapture(f"{path}: damaged after its last whole entry")


def count_entries(path: Path) -> int:
    """Return the number of entries of a capture; 0 if it cannot be read."""
    try:
        capture = open_capture(path)
        if not capture.framed:
            return sum(1 for _ in capture)
        with path.open("rb") as file:
            file.readline()
            return sum(1 for _ in line_framing.entries(file))
    except (OSError, CaptureError):
        return 0
