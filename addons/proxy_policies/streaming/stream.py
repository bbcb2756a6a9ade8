"""The stream of a message that is sent as it arrives: its body goes through a pipeline, piece by piece.

When the sender of a streamed body pauses, data already received is sent on, even if a transform would wait for more.
"""

import time
from collections.abc import Iterable, Iterator

from proxy_policies.body import Pipeline, Preview

PAUSE = 0.05
"""Seconds without more data after which held-back data is sent (Apache: 10 ms; HAProxy: none)."""
HELD_BACK = 0.25
"""The most seconds that data is held back, even if a little more keeps arriving."""


class Stream:
    """Called by mitmproxy with each chunk, and with b"" at the end. An eager stream holds nothing back."""

    __slots__ = ("_is_asked_for", "_is_eager", "_received_at", "_sent_at", "pipeline", "preview")

    def __init__(self, pipeline: Pipeline, preview: Preview, is_eager: bool = False, is_asked_for: bool = True) -> None:
        self.pipeline = pipeline
        self.preview = preview
        self._is_eager, self._is_asked_for = is_eager, is_asked_for
        self._received_at = self._sent_at = 0.0
        """In seconds of `time.monotonic`."""

    def __call__(self, data: bytes) -> Iterable[bytes]:
        """Send a chunk through the pipeline; a script's output is generated lazily."""
        chunks = self._send(data)
        return chunks if self.pipeline.is_scripted else list(chunks)

    def _send(self, data: bytes) -> Iterator[bytes]:
        now = self._received_at = time.monotonic()
        if not self.pipeline.holds_back:
            self._sent_at = now
        for chunk in self.pipeline.stream(data):
            self._sent_at = now
            yield chunk
        if self._is_eager:
            yield from self.flush()

    def flush(self) -> Iterator[bytes]:
        """Send held-back data."""
        self._sent_at = time.monotonic()
        yield from self.pipeline.flush()

    def exceeds(self, limit: int, more: int) -> bool:
        """Return whether more bytes would exceed the limit, if the body is streamed only by our decision."""
        return not self._is_asked_for and self.preview.size + more > limit

    @property
    def passed_size(self) -> int | None:
        """The bytes that have passed, if they are more than those kept for viewing; else None."""
        return self.preview.size if self.preview.size > len(self.preview.kept) else None

    def seconds_to_flush(self) -> float | None:
        """Return the seconds until a flush is due if no more data arrives; None if nothing is held back."""
        if not self.pipeline.holds_back:
            return None
        return min(self._received_at + PAUSE, self._sent_at + HELD_BACK) - time.monotonic()
