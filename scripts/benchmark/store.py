"""Measures the memory store by itself: `.venv/bin/python -m scripts.benchmark.store`.

It prints the time of a hit, the memory per stored object and what the store counts for it, and the share of hits on a
Zipf trace with a scan in it for TinyLFU and for a plain LRU of the same size.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
import tracemalloc

from proxy_policies.cache.response import lookup_now
from proxy_policies.cache.rfc9111.decision import Request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.admission import EvictionPolicy, Lru, TinyLfu
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.fields import Fields

NOW = 1_800_000_000.0
RESPONSE = (
    ("Date", "Fri, 15 Jan 2027 08:00:00 GMT"), ("Content-Type", "text/html; charset=utf-8"), ("Server", "nginx"),
    ("Cache-Control", "public, max-age=3600"), ("ETag", '"5f3c-abc"'), ("Vary", "Accept-Encoding"),
    ("Last-Modified", "Thu, 14 Jan 2027 08:00:00 GMT"), ("X-Request-Id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
)  # fmt: skip
REQUEST = (
    ("Host", "example.test"), ("User-Agent", "Mozilla/5.0"), ("Accept", "text/html,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.5"), ("Accept-Encoding", "gzip, deflate, br"),
)  # fmt: skip


def entry(number: int, size: int) -> StoredResponse:
    """Return a stored head of a usual size."""
    fields = Fields.of(*((name, value) for name, value in RESPONSE))
    selecting = (("accept-encoding", "=br;1,deflate;1,gzip;1"),)
    key = f"http://example.test/some/path/to/a/page/{number}?id={number}"
    return StoredResponse(key, 200, "OK", fields, selecting, NOW, NOW, size, os.urandom(16).hex())


def hit_time(count: int = 20_000) -> float:
    """Return microseconds per complete response from memory, with the request's fields parsed each time."""
    store, made = MemoryStore(1 << 30), entry(1, 1024)
    store.put(made, bytes(1024), store.checkpoint)
    raw = Fields.of(*REQUEST).raw
    begin = time.perf_counter()
    for _ in range(count):
        ready = lookup_now(store, Request("GET", made.key, Fields(raw)), NOW + 1)
        if ready is None:
            raise SystemExit("that should have been a hit")
    return (time.perf_counter() - begin) / count * 1e6


def memory(count: int = 20_000, size: int = 1024) -> tuple[float, float]:
    """Return bytes per object as Python allocates them, and as the store counts them."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    store = MemoryStore(1 << 40)
    for number in range(count):
        store.put(entry(number, size), os.urandom(size), store.checkpoint)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / count, asyncio.run(store.counts()).bytes / count


def trace(length: int = 200_000, names: int = 20_000, scanned: int = 40_000) -> list[int]:
    """Return a Zipf trace (s = 0.9) with a scan in its middle: many names that are requested only once."""
    chance = random.Random(1)  # noqa: S311
    weights = [1 / (rank + 1) ** 0.9 for rank in range(names)]
    asked = chance.choices(range(names), weights, k=length)
    return asked[: length // 2] + list(range(names, names + scanned)) + asked[length // 2 :]


def hit_rate(keeper: EvictionPolicy, asked: list[int], cost: int) -> float:
    """Return the share of hits in a trace."""
    held: set[str] = set()
    hits = 0
    for number in asked:
        name = str(number)
        if name in held:
            hits += 1
            keeper.used(name)
            continue
        held.add(name)
        for gone in keeper.add(name, name, cost):
            keeper.gone(gone)
            held.discard(gone)
    return hits / len(asked)


def main() -> None:
    """Measure and print."""
    print(f"a hit, request fields parsed: {min(hit_time() for _ in range(5)):.1f} µs")
    taken, counted = memory()
    print(f"an object of 1 KiB takes {taken:.0f} bytes, and is counted as {counted:.0f}")
    asked, cost = trace(), 1000
    for share in (0.01, 0.05, 0.2):
        limit = int(20_000 * share) * cost
        rates = [hit_rate(make(limit), asked, cost) for make in (TinyLfu, Lru)]
        print(f"room for {share:.0%} of what is requested: TinyLFU {rates[0]:.1%} hits, LRU {rates[1]:.1%}")


if __name__ == "__main__":
    main()
