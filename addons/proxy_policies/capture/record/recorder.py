"""Writes recorded entries in order, redacted, and syncs them to the disk once a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from proxy_policies.capture.bodies.content_coding import decode_bodies, is_encoded
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import NO_BODY, Entry
from proxy_policies.capture.record.entry_lines import EntryLines, PartKey, Repeatable
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.streams.arrivals import Arrival, with_frame_times

SYNC_SECONDS = 1.0
MAX_INLINE = 128 * 1024  # bytes: a larger exchange, or one with content codings, is written in a thread
MAX_GATHERED = 16  # small entries that are written together
GATHERED_SECONDS = 0.05  # how long they wait for more; what a process that is killed may lose
MAX_QUEUED = 16  # entries that may wait for the thread; beyond them, new requests go at its pace

type Arrivals = Mapping[str, Sequence[Arrival]]
type Recorded = tuple[Entry, Arrivals]
"""An entry, its bodies as sent, and when bytes of `request` and `response` arrived, if they may be streams."""


type _Gathered = tuple[Callable[[], Recorded], Callable[[], Repeatable | None]]


def _new() -> None:
    """Return nothing: the entry is new."""


class CaptureRecorder:
    """An open capture; for the event loop's thread. Large entries are written in a thread.

    If writing fails, `failed` is called, from either thread, and nothing more is written.
    """

    def __init__(self, path: Path, redactor: Redactor, max_body: int, failed: Callable[[OSError], None]) -> None:
        """Open the capture, and repair it if it is truncated. Raise OSError and CaptureError."""
        self._max_body = max_body
        self._lines = EntryLines(redactor)
        self._failed = failed
        self._writer = writer.resume(path, writer.new_log(redactor.key_id))
        self._thread = ThreadPoolExecutor(1, "capture")
        self._queued: deque[Future[None]] = deque()
        self._next_sync: asyncio.TimerHandle | None = None
        self._gathered: list[_Gathered] = []
        self._room = MAX_INLINE  # bytes that may still be gathered
        self._next_write: asyncio.TimerHandle | None = None
        self._is_broken = False

    def write(self, make: Callable[[], Recorded], size: int = 0, find: Callable[[], Repeatable | None] = _new) -> None:
        """Write what `make` will return, decoded and redacted, after earlier ones and at most 50 ms later.

        `size` is that of its bodies, in bytes. Several small entries take less time if written one after the other.
        `make` is not called if an entry was written that is the same by what `find` returns.
        """
        self._forget_written()
        if len(self._gathered) >= MAX_GATHERED or self._room <= 0:
            self._write_gathered()
        self._gathered.append((make, find))
        self._room -= size
        if self._next_write is None:
            self._next_write = asyncio.get_running_loop().call_later(GATHERED_SECONDS, self._write_in_time)
        if self._next_sync is None:
            self._next_sync = asyncio.get_running_loop().call_later(SYNC_SECONDS, self._sync)

    def _write_in_time(self) -> None:
        self._next_write = None
        self._write_gathered()

    def _write_gathered(self) -> None:
        gathered, self._gathered, self._room = self._gathered, [], MAX_INLINE
        if gathered:
            self._attempt(lambda: self._put_all(gathered))

    @property
    def is_full(self) -> bool:
        """Return whether the queue is full, so that new requests should wait."""
        self._forget_written()
        return len(self._queued) >= MAX_QUEUED

    async def has_room(self) -> None:
        """Wait until the queue is no longer full."""
        while self.is_full:
            await asyncio.wait({asyncio.wrap_future(self._queued[0])})

    def _forget_written(self) -> None:
        while self._queued and self._queued[0].done():
            self._queued.popleft().result()

    def _put_all(self, gathered: Sequence[_Gathered]) -> None:
        """Write small entries together, and what follows a large one in the thread. An error takes no other along."""
        self._forget_written()
        small: list[bytes] = []
        others: list[tuple[Entry, Arrivals, PartKey | None]] = []
        errors = []
        for make, find in gathered:
            try:
                same = find()
                if same is not None and not (others or self._queued) and (lines := self._lines.again(*same)):
                    small.append(lines)
                    continue
                recorded, key = make(), same.key if same is not None else None
                if others or self._queued or _takes_long(recorded):
                    others.append((*recorded, key))
                else:
                    small.append(self._lines.of(recorded[0], key))
            except Exception as error:
                errors.append(error)
        self._writer.write_lines(small)
        self._queued += [self._thread.submit(self._attempt, partial(self._put, *recorded)) for recorded in others]
        if errors:
            raise errors[0]

    def _put(self, entry: Entry, arrivals: Arrivals, key: PartKey | None) -> None:
        decoded = with_frame_times(decode_bodies(entry, self._max_body), arrivals)
        self._writer.write_lines([self._lines.of(decoded, key)])

    def _sync(self) -> None:
        self._next_sync = None
        self._thread.submit(self._attempt, self._writer.sync)

    def close(self) -> None:
        """Write the queued entries, and complete the capture."""
        for timer in (self._next_sync, self._next_write):
            if timer is not None:
                timer.cancel()
        try:
            self._write_gathered()
        finally:
            self._thread.shutdown()
            self._attempt(self._writer.close)
            with contextlib.suppress(OSError):
                self._writer.close()  # what has failed before is made as whole as there is room for

    def _attempt(self, action: Callable[[], None]) -> None:
        """Run an action on the file, unless one has failed before. The file stays open for the other thread."""
        if self._is_broken:
            return
        try:
            action()
        except OSError as error:
            self._is_broken = True
            self._failed(error)


def _takes_long(recorded: Recorded) -> bool:
    entry, arrivals = recorded
    if arrivals:
        return True
    size = 0
    for message in (entry.request, entry.response, entry.origin):
        if message is not None and message.body is not NO_BODY:
            size += len(message.body.content)
            if is_encoded(message):
                return True
    return size > MAX_INLINE
