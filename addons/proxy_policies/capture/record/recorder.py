"""Writes recorded entries in order, redacted, and syncs them to the disk once a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from proxy_policies.capture.content_coding import decode_bodies, is_encoded
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Entry, Request, Response
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.streams.arrivals import Arrival, with_frame_times

SYNC_SECONDS = 1.0
MAX_INLINE = 128 * 1024  # bytes: a larger exchange, or one with content codings, is written in a thread
MAX_GATHERED = 16  # small entries that are written together
GATHERED_SECONDS = 0.05  # how long they wait for more; what a process that is killed may lose
MAX_QUEUED = 16  # entries that may wait for the thread; beyond them, new requests go at its pace


class CaptureRecorder:
    """An open capture; for the event loop's thread. Large entries are written in a thread.

    If writing fails, `failed` is called, from either thread, and nothing more is written.
    """

    def __init__(self, path: Path, redactor: Redactor, max_body: int, failed: Callable[[OSError], None]) -> None:
        """Open the capture, and repair it if it is truncated. Raise OSError and CaptureError."""
        self._max_body = max_body
        self._redactor = redactor
        self._failed = failed
        self._writer = writer.resume(path, writer.new_log(redactor.key_id))
        self._thread = ThreadPoolExecutor(1, "capture")
        self._queued: deque[Future[None]] = deque()
        self._next_sync: asyncio.TimerHandle | None = None
        self._gathered: list[Entry] = []
        self._room = MAX_INLINE  # bytes that may still be gathered
        self._next_write: asyncio.TimerHandle | None = None
        self._is_broken = False

    def write(self, entry: Entry, arrivals: Mapping[str, Sequence[Arrival]] | None = None) -> None:
        """Decode, redact and write an entry, whose bodies are as sent, after earlier ones.

        `arrivals` has the times at which bytes of `request` and `response` arrived, if they may be streams.
        """
        self._forget_written()
        arrivals = arrivals or {}
        if self._queued or arrivals or _takes_long(entry):
            self._write_gathered()
            self._queued.append(self._thread.submit(self._attempt, lambda: self._put(entry, arrivals)))
        else:
            self._gather(entry)
        if self._next_sync is None:
            self._next_sync = asyncio.get_running_loop().call_later(SYNC_SECONDS, self._sync)

    def _gather(self, entry: Entry) -> None:
        """Keep a small entry until there are some: written one after the other, they take less time."""
        if not self._gathered:
            self._next_write = asyncio.get_running_loop().call_later(GATHERED_SECONDS, self._write_gathered)
        self._gathered.append(entry)
        self._room -= _size(entry)
        if len(self._gathered) >= MAX_GATHERED or self._room <= 0:
            self._write_gathered()

    def _write_gathered(self) -> None:
        entries, self._gathered, self._room = self._gathered, [], MAX_INLINE
        if self._next_write is not None:
            self._next_write.cancel()
            self._next_write = None
        if entries:
            self._attempt(lambda: self._put_small(entries))

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

    def _put(self, entry: Entry, arrivals: Mapping[str, Sequence[Arrival]]) -> None:
        decoded = with_frame_times(decode_bodies(entry, self._max_body), arrivals)
        self._writer.write(self._redactor.entry(decoded))

    def _put_small(self, entries: Sequence[Entry]) -> None:
        """Write entries together. One that cannot be redacted takes no other along."""
        clean, errors = [], []
        for entry in entries:
            try:
                clean.append(self._redactor.entry(entry))
            except Exception as error:
                errors.append(error)
        self._writer.write(*clean)
        if errors:
            raise errors[0]

    def _sync(self) -> None:
        self._next_sync = None
        self._thread.submit(self._attempt, self._writer.sync)

    def close(self) -> None:
        """Write the queued entries, and complete the capture."""
        if self._next_sync is not None:
            self._next_sync.cancel()
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


def _takes_long(entry: Entry) -> bool:
    return any(map(is_encoded, _messages(entry))) or _size(entry) > MAX_INLINE


def _size(entry: Entry) -> int:
    return sum([len(message.body.content) for message in _messages(entry)])


def _messages(entry: Entry) -> list[Request | Response]:
    return [message for message in (entry.request, entry.response, entry.origin) if message is not None]
