"""Counts what has ended, and remembers what stands out of it. Pure.

Whatever a client says is one of a few words here, or one of few that are remembered for minutes: no client can make the
number of counts grow.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from proxy_policies.counting.histogram import Histogram
from proxy_policies.counting.ranking import Hosts, Recent, Slowest, longest, top
from proxy_policies.finished.reporting import CLIENT_CLOSED, Finished, Item

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})
OTHER = "other"
NONE = "none"
CACHE_WORDS = frozenset({"hit", "bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"})
"""What Cache-Status says (RFC 9211, sections 2.1 and 2.2)."""
CODINGS = frozenset({"zstd", "br", "gzip", "deflate"})
MOST_AGAIN = 8192
"""Responses that were answered again, and are still to be counted; twice as many as are learned."""


class Collector:
    """Subscribes to what has ended; what is counted is read after `fold`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """By method, class of status, and word of Cache-Status."""
        self.seconds: dict[str, Histogram] = {source: Histogram() for source in ("hit", "miss", NONE)}
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
        self._hosts, self._slowest = Recent(Hosts), Recent(Slowest)
        self._again: Counter[Finished] = Counter()

    def take(self, items: Sequence[Item]) -> None:
        """Count what has ended. Of what was learned thousands may come in a second: it is added up later."""
        again = [item[0] for item in items if type(item) is tuple]
        self._again.update(again)
        if len(again) < len(items):
            hosts, slowest = self._spans()
            for what in items:
                if type(what) is Finished:
                    self._count(what, hosts, slowest)
        if len(self._again) > MOST_AGAIN:
            self.fold()

    def fold(self) -> None:
        """Add up what was answered again."""
        again, self._again = self._again, Counter()
        hosts, _ = self._spans()
        for what, times in again.items():
            self._count_request(what, 0.0, times, hosts)

    def _spans(self) -> tuple[Hosts, Slowest]:
        now = self._clock()
        return self._hosts.at(now), self._slowest.at(now)

    def _count(self, what: Finished, hosts: Hosts, slowest: Slowest) -> None:
        if what.is_tunnel:
            self._count_tunnel(what)
            return
        self._count_request(what, what.seconds, 1, hosts)
        slowest.add(what.seconds, what)
        if what.upstream_seconds is not None:
            self.upstream_seconds.observe(what.upstream_seconds)

    def _count_request(self, what: Finished, seconds: float, times: int, hosts: Hosts) -> None:
        cache, asked, sent = what.cache, what.asked, (what.sent or 0) * times
        source = "hit" if cache == "hit" else "miss" if cache else NONE
        self.requests[labels_of(asked.method, what.status, cache)] += times
        self.seconds[source].observe(seconds, times)
        self.sent[source] += sent
        self.received += (what.received or 0) * times
        hosts.add(asked.host, times, sent)
        if what.plain and (saved := saved_by(what)):
            coding = what.encoding.rpartition(",")[2].strip().lower()
            self.saved[coding if coding in CODINGS else OTHER] += saved * times
        if (what.error or not asked.method or what.status == CLIENT_CLOSED) and (why := error_of(what)):
            self.errors[why] += times

    def _count_tunnel(self, what: Finished) -> None:
        self.tunnels[status_of(what.status)] += 1
        self.tunnel_bytes["sent"] += what.sent or 0
        self.tunnel_bytes["received"] += what.received or 0
        if what.error:
            self.errors["tunnel"] += 1

    def totals(self) -> Mapping[str, int]:
        """Return the counts in short."""
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

    def times(self) -> list[int]:
        """Return how many requests took how long, by the bucket of a histogram."""
        return [sum(column) for column in zip(*(each.counts for each in self.seconds.values()), strict=True)]

    def top_hosts(self) -> list[tuple[bytes, int, int]]:
        """Return the hosts that were asked most of late, with requests and bytes."""
        return top(self._hosts.all(self._clock()))

    def slowest(self) -> list[Finished]:
        """Return the requests that took longest of late."""
        return longest(self._slowest.all(self._clock()))


@lru_cache(512)
def labels_of(method: bytes, status: int, cache: str) -> tuple[str, str, str]:
    """Return the words for a method, a status, and what Cache-Status says, that are counted under."""
    known = method.decode("latin-1")
    named = known if known in METHODS else OTHER if method else NONE
    return named, status_of(status), cache if cache in CACHE_WORDS else OTHER if cache else NONE


def status_of(status: int) -> str:
    """Return the class of a status: `2xx`; `none` where nothing was sent."""
    return f"{status // 100}xx" if 100 <= status < 600 else NONE


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
