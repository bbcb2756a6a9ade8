"""Creates and sends spans in a thread, so that the event loop never waits for a collector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from proxy_policies.background.queued_thread import QueuedThread
from proxy_policies.finished.reporting import Item, Mask
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.traces.spans import span_of

with lazy_imports():
    from proxy_policies.traces import otlp

MAX_QUEUED = 8192
"""Spans waiting to be sent: four times the limit of OpenTelemetry's SDK, as there may be many hits at once."""
BATCH_SIZE = 512
"""Spans sent in one request, as in the SDK."""
BATCH_DELAY = 1.0
"""Seconds for which a batch is collected; the SDK's five would be more hits than MAX_QUEUED."""


class SpanSender(QueuedThread[Item]):
    """Sends a span for each item to the collector at a URL."""

    def __init__(self, url: str, mask: Mask, warn: Callable[[str], None]) -> None:
        super().__init__("traces", "span", warn, max_queued=MAX_QUEUED, batch_size=BATCH_SIZE, batch_delay=BATCH_DELAY)
        self._url, self._mask = url, mask
        self._collector: otlp.CollectorConnection | None = None

    def _process(self, items: Sequence[Item]) -> tuple[int, str]:
        if self._collector is None:
            self._collector = otlp.CollectorConnection(self._url)  # imported here: it takes a second
        lost = self._collector.send([span_of(item, self._mask) for item in items])
        return len(items) - lost, f"the collector at {urlsplit(self._url).netloc} does not accept them"

    def _release(self) -> None:
        if self._collector is not None:
            self._collector.close()
