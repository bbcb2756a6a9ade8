"""Makes spans of what has ended and sends them, in a thread: nobody waits for a collector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from proxy_policies.finished.reporting import Item
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.queued_thread import QueuedThread
from proxy_policies.traces.spans import Mask, span_of

with lazy_imports():
    from proxy_policies.traces import otlp

QUEUED = 8192
"""Spans that wait at most, four times as many as OpenTelemetry's SDK lets wait: of hits more come at once."""
AT_ONCE = 512
"""Spans that are sent together, as the SDK does."""
GATHERED = 1.0
"""Seconds for which spans are gathered: the SDK takes five, in which more hits would come than may wait."""


class Sender(QueuedThread[Item]):
    """Sends a span of each item to the collector at a URL."""

    def __init__(self, url: str, mask: Mask, say: Callable[[str], None]) -> None:
        super().__init__("traces", "span", say, most=QUEUED, at_once=AT_ONCE, gathered=GATHERED)
        self._url, self._mask = url, mask
        self._collector: otlp.Collector | None = None

    def _take(self, items: Sequence[Item]) -> tuple[int, str]:
        if self._collector is None:
            self._collector = otlp.Collector(self._url)  # imported here: it takes a second
        lost = self._collector.send([span_of(item, self._mask) for item in items])
        return len(items) - lost, f"the collector at {urlsplit(self._url).netloc} does not take them"

    def _release(self) -> None:
        if self._collector is not None:
            self._collector.close()
