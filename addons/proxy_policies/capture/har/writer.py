"""Writing a capture as it grows: entries are passed to the kernel before the next ones.

A process that is killed loses at most the entries that it was writing; `resume` repairs the truncated file. The file is
locked, so that only one process writes to it.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.files import private_files
from proxy_policies.capture.har import line_framing
from proxy_policies.capture.har.entry_writer import FORMAT, ExternalBodies, write_entry
from proxy_policies.capture.model import Entry
from proxy_policies.script_paths import own_command


def new_log(key_id: str = "") -> dict[str, Any]:
    """Return the log object of a new capture, without entries."""
    own: dict[str, Any] = {"format": FORMAT} | ({"key": key_id} if key_id else {})
    return {"version": "1.2", "creator": {"name": "proxy-policies", "version": "1"}, "_capture": own}


@dataclass(slots=True)
class CaptureWriter:
    """An open capture. Not for two threads at once."""

    path: Path
    count: int
    _fd: int = field(repr=False)
    beside: ExternalBodies | None = None

    def write(self, *entries: Entry) -> None:
        """Append entries, and pass them to the kernel. Raise OSError without adding anything."""
        self.write_lines([line_framing.entry_lines(write_entry(entry, self.beside)) for entry in entries])

    def write_lines(self, entries: Sequence[bytes]) -> None:
        """Append entries that are laid out, and pass them to the kernel. Raise OSError without adding anything."""
        _append(self._fd, line_framing.joined(entries, first=self.count == 0))
        self.count += len(entries)

    def sync(self) -> None:
        """Write the file's data to the disk. Raise OSError, also if the file was removed or replaced."""
        os.fdatasync(self._fd)
        self._require_file()

    def _require_file(self) -> None:
        if not self.path.exists() or not os.path.samestat(self.path.stat(), os.fstat(self._fd)):
            raise FileNotFoundError(errno.ENOENT, "the file was removed or replaced")

    def close(self) -> None:
        """Write the tail, which completes the capture; do nothing if it is closed."""
        if self._fd < 0:
            return
        try:
            _append(self._fd, line_framing.TAIL)
            self._require_file()
        finally:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def create(path: Path, log: dict[str, Any], bodies_over: int | None = None) -> CaptureWriter:
    """Start a capture in a new file. Raise OSError, FileExistsError if it exists."""
    return _begin(path, os.O_EXCL, log, bodies_over)


def _begin(path: Path, flags: int, log: dict[str, Any], bodies_over: int | None) -> CaptureWriter:
    private_files.require_file(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, private_files.FILE)
    _lock(fd, path)
    private_files.close_to_others(fd)
    _write_all(fd, line_framing.head_line(log))
    return CaptureWriter(path, 0, fd, external_bodies(path, bodies_over))


def resume(path: Path, log: dict[str, Any], bodies_over: int | None = None) -> CaptureWriter:
    """Continue a capture at its end, and repair it if it is truncated; start one if there is no file, or it is empty.

    Raise OSError, and CaptureError for a file that is not framed by lines (a foreign HAR is never appended to).
    """
    if not path.exists() or path.stat().st_size == 0:
        return _begin(path, 0, log, bodies_over)
    fd = os.open(path, os.O_RDWR)
    try:
        _lock(fd, path)
        count, end = _whole_part(path)
    except (OSError, CaptureError):
        os.close(fd)
        raise
    private_files.close_to_others(fd)
    os.ftruncate(fd, end)
    os.lseek(fd, end, os.SEEK_SET)
    return CaptureWriter(path, count, fd, external_bodies(path, bodies_over))


def _whole_part(path: Path) -> tuple[int, int]:
    """Return the number of complete entries in the file, and the offset after the last one."""
    with path.open("rb") as file:
        head = file.readline(1 << 20)
        if line_framing.read_head(head) is None:
            raise CaptureError(
                f"{path}: not written by this program; {own_command()} capture merge makes one that can be added to"
            )
        offsets = [after for _, after in line_framing.entries(file)]
        return len(offsets), len(head) + (offsets[-1] if offsets else 0)


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CaptureError(f"{path}: another process is recording into it") from None


def _append(fd: int, data: bytes) -> None:
    """Write at the end of the file; after an error, remove what was written. Raise OSError."""
    end = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        _write_all(fd, data)
    except OSError:
        os.ftruncate(fd, end)
        os.lseek(fd, end, os.SEEK_SET)
        raise


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def external_bodies(path: Path, over: int | None) -> ExternalBodies | None:
    """Return the writer of bodies of more than `over` bytes to files in `NAME.bodies`, named by their hash."""
    if over is None:
        return None
    if path == private_files.STANDARD_OUTPUT:
        raise CaptureError("bodies in files beside the capture need a capture that is a file")
    folder = path.with_name(f"{path.name}.bodies")

    def attach(content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        private_files.make_folder(folder, is_ours=True)
        target = folder / name
        if not target.exists():
            part = folder / f".{name}.{os.getpid()}"
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, private_files.FILE), "wb") as file:
                file.write(content)
            part.replace(target)
        private_files.close_to_others(target)
        return f"{folder.name}/{name}"

    return ExternalBodies(over, attach)


def rewrite(path: Path, log: dict[str, Any], entries: Iterable[Entry], bodies_over: int | None = None) -> int:
    """Write a capture to a temporary file, rename it to `path`, and return the number of entries.

    The entries may be read from `path` itself. After an error nothing is changed.
    """
    with private_files.draft_of(path) as draft, create(draft, log, None) as writer:
        writer.beside = external_bodies(path, bodies_over)
        for entry in entries:
            writer.write(entry)
        writer.sync()
    return writer.count
