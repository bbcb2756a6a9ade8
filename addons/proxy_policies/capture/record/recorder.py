"""Where the recorder's entries go: redacted, written in order, and synced to the disk once a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from proxy_policies.capture.content_coding import decode_bodies, is_encoded
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Entry
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.streams.arrivals import Arrival, with_frame_times

SYNC_SECONDS = 1.0
MAX_INLINE = 128 * 1024  # octets: a larger exchange, or one with content codings, is written in a thread
MAX_QUEUED = 16  # entries that may wait for the thread; beyond them, new requests go at its pace


class CaptureRecorder:
    """An open capture, for the event loop's thread; what is large goes to a thread of the recorder's own.

    When writing fails, `failed` is called, from either thread, and nothing more is written.
    """

    def __init__(self, path: Path, redactor: Redactor, max_body: int, failed: Callable[[OSError], None]) -> None:
        """Open the capture, mending it when it is torn. Raises OSError and CaptureError."""
        self._max_body = max_body
        self._redactor = redactor
        self._failed = failed
        self._writer = writer.resume(path, writer.new_log(redactor.key_id))
        self._thread = ThreadPoolExecutor(1, "capture")
        self._queued: deque[Future[None]] = deque()
        self._next_sync: asyncio.TimerHandle | None = None
        self._is_broken = False

    def write(self, entry: Entry, arrivals: Mapping[str, Sequence[Arrival]] | None = None) -> None:
        """Decode, redact and write an entry whose bodies are as they were sent, after those that came before it.

        `arrivals` say when the octets of `request` and `response` came, where they may be streams.
        """
        self._forget_written()
        arrivals = arrivals or {}
        if self._queued or arrivals or _takes_long(entry):
            self._queued.append(self._thread.submit(self._attempt, lambda: self._put(entry, arrivals)))
        else:
            self._attempt(lambda: self._put(entry, arrivals))
        if self._next_sync is None:
            self._next_sync = asyncio.get_running_loop().call_later(SYNC_SECONDS, self._sync)

    @property
    def is_full(self) -> bool:
        """Return whether no more is to be begun for now."""
        self._forget_written()
        return len(self._queued) >= MAX_QUEUED

    async def has_room(self) -> None:
        """Wait until more may be begun."""
        while self.is_full:
            await asyncio.wait({asyncio.wrap_future(self._queued[0])})

    def _forget_written(self) -> None:
        while self._queued and self._queued[0].done():
            self._queued.popleft().result()

    def _put(self, entry: Entry, arrivals: Mapping[str, Sequence[Arrival]]) -> None:
        decoded = with_frame_times(decode_bodies(entry, self._max_body), arrivals)
        self._writer.write(self._redactor.entry(decoded))

    def _sync(self) -> None:
        self._next_sync = None
        self._thread.submit(self._attempt, self._writer.sync)

    def close(self) -> None:
        """Write what waits, and make the capture whole."""
        if self._next_sync is not None:
            self._next_sync.cancel()
        self._thread.shutdown()
        self._attempt(self._writer.close)
        with contextlib.suppress(OSError):
            self._writer.close()  # what has failed before is made as whole as there is room for

    def _attempt(self, action: Callable[[], None]) -> None:
        """Do something to the file, unless that has failed before. It stays open: the other thread may be at it."""
        if self._is_broken:
            return
        try:
            action()
        except OSError as error:
            self._is_broken = True
            self._failed(error)


def _takes_long(entry: Entry) -> bool:
    messages = [message for message in (entry.request, entry.response, entry.origin) if message is not None]
    return any(map(is_encoded, messages)) or sum(len(message.body.content) for message in messages) > MAX_INLINE
