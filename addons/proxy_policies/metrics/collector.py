"""Counts what has ended. Pure.

Whatever a client says is one of a few words here: no client can make the number of counts grow.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import lru_cache

from proxy_policies.finished import CLIENT_CLOSED, Again, Finished
from proxy_policies.metrics.histogram import Histogram

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})
OTHER = "other"
NONE = "none"
CACHE_WORDS = frozenset({"hit", "bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"})
"""What Cache-Status says (RFC 9211, sections 2.1 and 2.2)."""
CODINGS = frozenset({"zstd", "br", "gzip", "deflate"})
MOST_AGAIN = 8192
"""Responses that were answered again, and are still to be counted; twice as many as are learned."""


class Collector:
    """Subscribes to what ends; what is counted is read after `fold`."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """By method, class of status, and word of Cache-Status."""
        self.seconds: defaultdict[str, Histogram] = defaultdict(Histogram)
        """How long requests took, by `hit`, `miss`, or `none` where the cache was not asked."""
        self.upstream_seconds = Histogram()
        """From the end of a request to the head of its origin's response."""
        self.sent: Counter[str] = Counter()
        """Bytes of bodies sent to clients, by the same."""
        self.received = 0
        """Bytes of bodies that clients sent."""
        self.saved: Counter[str] = Counter()
        """Bytes that need not be sent, by content coding."""
        self.tunnels: Counter[str] = Counter()
        """By class of status."""
        self.tunnel_bytes: Counter[str] = Counter()
        """By direction: `sent` to clients, `received` from them."""
        self.errors: Counter[str] = Counter()
        """By what went wrong."""
        self._again: defaultdict[Finished, int] = defaultdict(int)

    def finished(self, what: Finished) -> None:
        """Count what has ended."""
        if what.is_tunnel:
            self._count_tunnel(what)
        else:
            self._count_request(what, what.seconds, 1)
            if what.upstream_seconds is not None:
                self.upstream_seconds.observe(what.upstream_seconds)
        if len(self._again) > MOST_AGAIN:
            self.fold()

    def answered_again(self, again: Again) -> None:
        """Count a response that was learned: thousands may come in a second, so it is added up later."""
        self._again[again[0]] += 1

    def fold(self) -> None:
        """Add up what was answered again."""
        again, self._again = self._again, defaultdict(int)
        for what, times in again.items():
            self._count_request(what, 0.0, times)

    def _count_request(self, what: Finished, seconds: float, times: int) -> None:
        source, labels = source_of(what.cache), labels_of(what.asked.method, what.status, what.cache)
        self.requests[labels] += times
        self.seconds[source].observe(seconds, times)
        self.sent[source] += (what.sent or 0) * times
        self.received += (what.received or 0) * times
        if saved := saved_by(what):
            coding = what.encoding.rpartition(",")[2].strip().lower()
            self.saved[coding if coding in CODINGS else OTHER] += saved * times
        if why := error_of(what):
            self.errors[why] += times

    def _count_tunnel(self, what: Finished) -> None:
        self.tunnels[status_of(what.status)] += 1
        self.tunnel_bytes["sent"] += what.sent or 0
        self.tunnel_bytes["received"] += what.received or 0
        if what.error:
            self.errors["tunnel"] += 1

    def totals(self) -> Mapping[str, int]:
        """Return the counts in short."""
        self.fold()
        by_cache: Counter[str] = Counter()
        for (_, _, cache), count in self.requests.items():
            by_cache[cache] += count
        return {
            "requests": self.requests.total(),
            **{f"cache: {cache}": count for cache, count in sorted(by_cache.items()) if cache != NONE},
            "bytes sent": self.sent.total(),
            "bytes received": self.received,
            "bytes saved by the cache": self.sent["hit"],
            "bytes saved by encoding": self.saved.total(),
            "tunnels": self.tunnels.total(),
            "errors": self.errors.total(),
        }


@lru_cache(512)
def labels_of(method: bytes, status: int, cache: str) -> tuple[str, str, str]:
    """Return the words for a method, a status, and what Cache-Status says, that are counted under."""
    known = method.decode("latin-1")
    named = known if known in METHODS else OTHER if method else NONE
    return named, status_of(status), cache if cache in CACHE_WORDS else OTHER if cache else NONE


def status_of(status: int) -> str:
    """Return the class of a status: `2xx`; `none` where nothing was sent."""
    return f"{status // 100}xx" if 100 <= status < 600 else NONE


def source_of(cache: str) -> str:
    """Return where a response came from: `hit`, `miss`, or `none` where the cache was not asked."""
    return "hit" if cache == "hit" else "miss" if cache else NONE


def saved_by(what: Finished) -> int:
    """Return the bytes by which encoding has made a response shorter."""
    if not what.plain or not what.encoding or what.error or what.sent is None:
        return 0
    return max(0, what.plain - what.sent)


def error_of(what: Finished) -> str:
    """Return the word for what went wrong with a request; "" when nothing did."""
    if what.status == CLIENT_CLOSED:
        return "client_left"
    if not what.asked.method:
        return "no_request"
    return "origin" if what.error else ""
