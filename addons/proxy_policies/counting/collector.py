"""Counts finished requests and tunnels, and keeps the busiest hosts and slowest requests. Pure.

Clients cannot make the number of counters grow: their words are mapped to a few known ones, and hosts are kept for
minutes only, up to a limit.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from proxy_policies.counting import ranking
from proxy_policies.counting.histogram import Histogram
from proxy_policies.counting.ranking import HostTotals, RecentSpans, Slowest
from proxy_policies.finished.reporting import CLIENT_CLOSED, Item, Record

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})
OTHER = "other"
NONE = "none"
CACHE_WORDS = frozenset({"hit", "bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"})
"""Words of Cache-Status (RFC 9211, sections 2.1 and 2.2)."""
CODINGS = frozenset({"zstd", "br", "gzip", "deflate"})
_RECORD = itemgetter(0)

Labels = tuple[str, str, str]
"""Method, class of status, and word of Cache-Status."""


@dataclass(slots=True)
class Counts:
    """What is counted of requests with the same labels."""

    seconds: Histogram
    """Durations of these and of others with the same source."""
    requests: int = 0
    sent: int = 0
    """Bytes of bodies sent to clients."""


class Collector:
    """Counts records."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._counts: dict[Labels, Counts] = {}
        self.seconds: dict[str, Histogram] = {source: Histogram() for source in ("hit", "miss", NONE)}
        """Durations of requests, by `hit`, `miss`, or `none` if the cache was not involved."""
        self.upstream_seconds = Histogram()
        """From the end of a request to the head of its origin's response."""
        self.received = 0
        """Bytes of bodies received from clients."""
        self.saved: Counter[str] = Counter()
        """Bytes saved by encoding, by content coding."""
        self.tunnels: Counter[str] = Counter()
        """By class of status."""
        self.tunnel_bytes: Counter[str] = Counter()
        """By direction: `sent` to clients, `received` from them."""
        self.errors: Counter[str] = Counter()
        """By the result of `error_of`, or `tunnel`."""
        self._hosts, self._slowest = RecentSpans(HostTotals), RecentSpans(Slowest)

    @property
    def requests(self) -> Counter[Labels]:
        """The number of requests."""
        return Counter({labels: counts.requests for labels, counts in self._counts.items()})

    @property
    def sent(self) -> Counter[str]:
        """Bytes of bodies sent to clients, by `hit`, `miss` or `none`."""
        sent: Counter[str] = Counter()
        for (_, _, cache), counts in self._counts.items():
            sent[_source(cache)] += counts.sent
        return sent

    def take(self, items: Sequence[Item]) -> None:
        """Count records; those of repeated responses, of which there may be thousands in a second, together."""
        now = self._clock()
        hosts, slowest = self._hosts.at(now), self._slowest.at(now)
        for record, times in Counter(map(_RECORD, items)).items():
            if record.is_tunnel:
                self._count_tunnel(record)
                continue
            self._count_request(record, times, hosts)
            if not record.is_repeated:
                slowest.add(record.seconds, record)
                if record.upstream_seconds is not None:
                    self.upstream_seconds.observe(record.upstream_seconds)

    def _count_request(self, record: Record, times: int, hosts: HostTotals) -> None:
        request, sent = record.request, (record.sent or 0) * times
        labels = labels_of(request.method, record.status, record.cache)
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = Counts(self.seconds[_source(labels[2])])
        counts.requests += times
        counts.sent += sent
        counts.seconds.observe(record.seconds, times)
        self.received += (record.received or 0) * times
        hosts.add(request.host, times, sent)
        if record.plain and (saved := saved_by(record)):
            coding = record.encoding.rpartition(",")[2].strip().lower()
            self.saved[coding if coding in CODINGS else OTHER] += saved * times
        if (record.error or not request.method or record.status == CLIENT_CLOSED) and (why := error_of(record)):
            self.errors[why] += times

    def _count_tunnel(self, record: Record) -> None:
        self.tunnels[status_of(record.status)] += 1
        self.tunnel_bytes["sent"] += record.sent or 0
        self.tunnel_bytes["received"] += record.received or 0
        if record.error:
            self.errors["tunnel"] += 1

    def totals(self) -> Mapping[str, int]:
        """Return the sums, by name."""
        by_cache: Counter[str] = Counter()
        for (_, _, cache), count in self.requests.items():
            by_cache[cache] += count
        sent = self.sent
        return {
            "requests": by_cache.total(),
            **{f"cache: {cache}": count for cache, count in sorted(by_cache.items()) if cache != NONE},
            "bytes sent": sent.total(),
            "bytes received": self.received,
            "bytes saved by the cache": sent["hit"],
            "bytes saved by encoding": self.saved.total(),
            "tunnels": self.tunnels.total(),
            "errors": self.errors.total(),
        }

    def times(self) -> list[int]:
        """Return the number of requests in each bucket of the histogram of durations."""
        return [sum(column) for column in zip(*(each.counts for each in self.seconds.values()), strict=True)]

    def top_hosts(self) -> list[tuple[bytes, int, int]]:
        """Return the hosts with the most requests recently, with requests and bytes."""
        return ranking.busiest(self._hosts.all(self._clock()))

    def slowest(self) -> list[Record]:
        """Return the slowest requests recently, the slowest first."""
        return ranking.slowest(self._slowest.all(self._clock()))


def _source(cache: str) -> str:
    """Return `hit`, `miss` or `none` from a label."""
    return cache if cache in ("hit", NONE) else "miss"


@lru_cache(512)
def labels_of(method: bytes, status: int, cache: str) -> Labels:
    """Return the method, class of status, and word of Cache-Status under which a request is counted."""
    text = method.decode("latin-1")
    label = text if text in METHODS else OTHER if method else NONE
    return label, status_of(status), cache if cache in CACHE_WORDS else OTHER if cache else NONE


def status_of(status: int) -> str:
    """Return the class of a status, such as `2xx`; `none` if none was sent."""
    return f"{status // 100}xx" if 100 <= status < 600 else NONE


def saved_by(record: Record) -> int:
    """Return the number of bytes by which encoding made a response's body shorter."""
    if not record.plain or not record.encoding or record.error or record.sent is None:
        return 0
    return max(0, record.plain - record.sent)


def error_of(record: Record) -> str:
    """Return the kind of error of a request; "" if there was none."""
    if record.status == CLIENT_CLOSED:
        return "client_left"
    if not record.request.method:
        return "no_request"
    return "origin" if record.error else ""
