"""What the memory store counts, and how much of it there may be."""

import secrets
import tracemalloc

import pytest
from tests.support.cache_cases import NOW, fields, stored
from tests.support.cache_stores import keep

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import tags_of
from proxy_policies.cache.stores.memory import LINE_COST, MemoryStore, cost_of


async def test_the_memory_store_counts_all_of_an_entry() -> None:
    store = MemoryStore(100_000)
    entry = stored("X: y" * 20, id="1")
    await keep(store, entry, bytes(10_000))
    assert (await store.counts()).bytes == cost_of(entry.replace(size=10_000)) + 10_000
    await keep(store, entry, bytes(500), coding="gzip")
    assert (await store.counts()).bytes == cost_of(entry.replace(size=10_000)) + 10_500 + 2 * LINE_COST
    for number in range(50):
        await keep(store, stored(key=f"http://x.test/{number}", id=f"n{number}"), bytes(10_000))
    assert (await store.counts()).bytes <= 100_000


SHAPES = {
    "no fields": (),
    "what most have in common": ("Cache-Control: max-age=60", "Content-Type: text/html", "Vary: Accept"),
    "nothing in common": tuple(f"X-{number}: %s" for number in range(10)),
    "some of both": ("Cache-Control: max-age=60", "Content-Type: text/html", 'ETag: "%s"', "Link: <https://x.test/%s>"),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_is_counted_is_what_it_takes(shape: tuple[str, ...]) -> None:
    store = MemoryStore(1 << 30)

    def put(number: int) -> None:
        lines = fields(*(line.replace("%s", secrets.token_hex(16)) for line in shape))
        key, times = f"GET http://x.test/{secrets.token_hex(8)}", (NOW + number / 7, NOW + number / 7 + 0.1)
        entry = StoredResponse(
            key, 200, "".join(("O", "K")), lines, (), *times, 1000, secrets.token_hex(16), tags=tags_of(lines)
        )
        store.put(entry, secrets.token_bytes(1000), store.checkpoint)

    tracemalloc.start()
    try:
        for number in range(100):  # what comes once: tables of what is shared
            put(number)
        before = tracemalloc.get_traced_memory()[0], store._eviction.total
        for number in range(3000):
            put(number)
        taken, counted = tracemalloc.get_traced_memory()[0] - before[0], store._eviction.total - before[1]
    finally:
        tracemalloc.stop()
    assert 0.8 * counted < taken < 1.05 * counted


async def test_a_vary_that_never_repeats_is_bounded() -> None:
    store = MemoryStore(1 << 30)
    for number in range(100):
        entry = stored("Vary: User-Agent", id=str(number)).replace(vary_key=(("user-agent", str(number)),))
        await keep(store, entry, b"x")
    assert len(await store.lookup(entry.key)) == 32
