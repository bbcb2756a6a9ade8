"""Who stays when there is not room for all; what a store that fails does."""

import random
import secrets
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.cache.admin import parse_purge
from proxy_policies.cache.admission import EvictionPolicy, Lru, Sketch, TinyLfu
from proxy_policies.cache.backends import parse_backend
from proxy_policies.cache.entry import StoredResponse
from proxy_policies.cache.failsafe_store import RETRY_AFTER, TOLD_EVERY, FailSafeStore
from proxy_policies.cache.freshness import Overrides
from proxy_policies.cache.memory import LINE_COST, MemoryStore, cost_of
from proxy_policies.cache.rule_effects import NO_EFFECTS
from proxy_policies.cache.rules import effects_for, parse_cache_rule
from proxy_policies.cache.selectors import REMEMBERED_MOST, Purges, Selector, parse_selector, tags_of
from proxy_policies.cache.store import OnWrite, unheard
from proxy_policies.rules import parse_rule
from tests.support.cache_cases import NOW, fields, stored
from tests.support.cache_stores import keep


def play(keeper: EvictionPolicy, names: Sequence[int], cost: int = 10) -> float:
    """Ask for names in turn; gives the share of hits."""
    held: set[int] = set()
    hits = 0
    for name in names:
        if name in held:
            hits += 1
            keeper.used(str(name))
            continue
        held.add(name)
        for gone in keeper.add(str(name), str(name), cost):
            keeper.gone(gone)
            held.discard(int(gone))
        assert keeper.total == cost * len(held) <= 1000
    return hits / max(len(names), 1)


@pytest.mark.parametrize("make", [Lru, TinyLfu])
@given(st.lists(st.integers(0, 300), max_size=300))
def test_the_limit_holds(make: type[Lru] | type[TinyLfu], names: list[int]) -> None:
    play(make(1000), names)


def test_a_scan_leaves_what_is_popular() -> None:
    popular = list(range(50))
    warm, scan = popular * 10, list(range(1000, 3000))
    kept = {}
    for make in (Lru, TinyLfu):
        keeper = make(1000)
        play(keeper, warm + scan)
        kept[make] = sum(1 for name in popular if not _absent(keeper, name))
    assert kept[Lru] == 0
    assert kept[TinyLfu] >= 45


def _absent(keeper: EvictionPolicy, name: int) -> bool:
    before = keeper.total
    keeper.gone(str(name))
    return keeper.total == before


def test_popularity_beats_recency_on_a_zipf_trace() -> None:
    chance = random.Random(1)
    names = [min(int(chance.paretovariate(0.6)), 5000) for _ in range(20_000)]
    assert play(TinyLfu(1000), names) > play(Lru(1000), names)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 400)), max_size=200))
def test_any_costs_fit(asked: list[tuple[int, int]]) -> None:
    for keeper in (Lru(1000), TinyLfu(1000)):
        costs: dict[str, int] = {}
        for name, cost in asked:
            id = str(name)
            gone = keeper.grown(id, cost) if id in costs else keeper.add(id, id, cost)
            costs[id] = cost
            for other in gone:
                keeper.gone(other)
                costs.pop(other)
            assert keeper.total == sum(costs.values()) <= 1000


def test_what_is_larger_than_everything_does_not_stay() -> None:
    for keeper in (Lru(1000), TinyLfu(1000)):
        assert "big" in keeper.add("big", "big", 5000)


def test_the_sketch_forgets() -> None:
    sketch = Sketch(64)
    for _ in range(15):
        sketch.add("x")
    assert sketch.count("x") == 15
    for number in range(600):
        sketch.add(str(number % 7))
    assert sketch.count("x") < 15


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
        store.put(entry, secrets.token_bytes(1000), NOW)

    tracemalloc.start()
    try:
        for number in range(100):  # what comes once: tables of what is shared
            put(number)
        before = tracemalloc.get_traced_memory()[0], store._keeper.total
        for number in range(3000):
            put(number)
        taken, counted = tracemalloc.get_traced_memory()[0] - before[0], store._keeper.total - before[1]
    finally:
        tracemalloc.stop()
    assert 0.8 * counted < taken < 1.05 * counted


async def test_a_vary_that_never_repeats_is_bounded() -> None:
    store = MemoryStore(1 << 30)
    for number in range(100):
        entry = stored("Vary: User-Agent", id=str(number)).replace(vary_key=(("user-agent", str(number)),))
        await keep(store, entry, b"x")
    assert len(await store.lookup(entry.key)) == 32


# Purging

SELECTORS = [("tag:x", "tag"), ("http://x.test/a", "url"), ("http://x.test/*", "glob"), ("*", "glob")]


@pytest.mark.parametrize(("text", "kind"), SELECTORS)
def test_parse_selector(text: str, kind: str) -> None:
    assert parse_selector(text).kind == kind


@pytest.mark.parametrize("text", ["", "tag:", "x.test/a", "ftp://x/"])
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_selector(text)


def test_tags() -> None:
    assert tags_of(fields("Cache-Tag: a, b", "Cache-Tag: c", "Surrogate-Key: d e")) == frozenset("abcde")


def test_purges_are_remembered_for_a_while_and_beyond_as_one_of_everything() -> None:
    purges = Purges()
    purges.record(Selector("key", "a"), NOW)
    assert purges.supersedes("a", (), NOW - 1)
    assert not purges.supersedes("a", (), NOW + 1)
    assert not purges.supersedes("b", (), NOW - 1)
    for number in range(REMEMBERED_MOST):
        purges.record(Selector("key", str(number)), NOW + 1)
    assert purges.supersedes("b", (), NOW - 1)


@pytest.mark.parametrize("text", ["short", "has spaces in it, many", "ünïcode-and-long-enough"])
def test_a_purge_secret_is_long_and_plain(text: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        parse_purge(text)


# Stores that fail


class Broken(MemoryStore):
    on_write: OnWrite = staticmethod(unheard)
    fails = True
    asked = 0

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        self.asked += 1
        if self.fails:
            raise ConnectionError("refused")
        return await super().lookup(key)

    async def purge(self, selector: Selector, now: float, soft: bool = False) -> int:
        if self.fails:
            raise ConnectionError("refused")
        return await super().purge(selector, now, soft)


async def test_a_store_that_fails_is_a_miss_and_left_alone_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    broken, now = Broken(1 << 20), [0.0]
    store = FailSafeStore(broken, "there", lambda: now[0])
    await keep(broken, stored("X: y"), b"old")
    for _ in range(5):
        assert not await store.lookup("http://example.test/")
    assert broken.asked == 1
    assert caplog.text.count("treating every request as a miss") == 1
    assert await store.purge(parse_selector("*"), NOW + 1) == 0
    broken.fails = False
    now[0] = RETRY_AFTER
    assert not await store.lookup("http://example.test/")  # the purge it missed comes first
    await keep(broken, stored("X: y"), b"new", since=NOW + 2)
    assert len(await store.lookup("http://example.test/")) == 1


async def test_what_is_not_stored_is_told_once_with_a_count_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    now = [0.0]
    broken = Broken(1 << 20)
    store = FailSafeStore(broken, "there", lambda: now[0])
    for _ in range(5):
        broken.on_write(OSError("full"))
    assert caplog.text.count("there takes nothing") == 1
    now[0] = TOLD_EVERY
    broken.on_write(OSError("full"))
    assert "(6 times by now): full" in caplog.text
    broken.on_write(None)
    broken.on_write(None)
    assert caplog.text.count("there stores again, after 6 failures") == 1
    await store.close()
    assert "is back" not in caplog.text


# Options

CHOICES = [
    ("off", "off"),
    ("memory", "memory"),
    ("disk:/x", "disk"),
    ("redis://h:1/0", "redis"),
    ("valkey://h", "redis"),
]


@pytest.mark.parametrize(("text", "kind"), CHOICES)
def test_parse_choice(text: str, kind: str) -> None:
    assert parse_backend(text).kind == kind


@pytest.mark.parametrize(
    "text", ["", "on", "disk", "disk:", "redis", "redis://", "redis://h:x/0", "redis://h/x", "Memory"]
)
def test_what_is_no_store(text: str) -> None:
    with pytest.raises(ValueError, match="choose off, memory"):
        parse_backend(text)


def test_no_value_of_a_key_header_passes_for_those_of_others() -> None:
    effects = effects_for([parse_cache_rule(parse_rule("//key-header=X, key-header=Y"))], lambda rule: True)
    asked = [{"x": "1 y=2", "y": ""}, {"x": "1", "y": "2 y="}, {"x": "1", "y": "2"}, {"x": "1 y=2"}, {"x": "1%20y=2"}]
    keys = [effects.key("http://a.test/", headers) for headers in asked]
    assert keys[0] == keys[3]  # absent is as empty
    assert len(set(keys)) == 4


def test_rules_add_up() -> None:
    specs = ["//ttl=5m, ignore-query=utm_* fbclid", "//ttl=1h, stale-if-error=1d, key-header=X-Tenant", "//force"]
    rules = [parse_cache_rule(parse_rule(spec)) for spec in specs]
    effects = effects_for(rules, lambda _: True)
    assert effects.overrides_for(200) == Overrides(ttl=3600, stale_if_error=86400, force=True)
    assert effects.overrides_for(500) == Overrides(stale_if_error=86400, force=True)
    assert effects.key("http://x/?utm_a=1&b=2", {"x-tenant": "t"}) == "http://x/?b=2 x-tenant=t"
    assert effects_for(rules, lambda _: False) is NO_EFFECTS


def test_rules_say_which_answers_their_ttl_is_for() -> None:
    specs = ["//ttl=60", "//status=404 5xx, ttl=5"]
    effects = effects_for([parse_cache_rule(parse_rule(spec)) for spec in specs], lambda _: True)
    ttls = {status: effects.overrides_for(status).ttl for status in (200, 203, 301, 302, 308, 410, 404, 500, 503)}
    assert ttls == dict.fromkeys((200, 203, 301, 302, 308, 410), 60.0) | dict.fromkeys((404, 500, 503), 5.0)
    for status in (206, 303, 400, 405, 421, 428, 429, 431, 511):
        assert effects.overrides_for(status).ttl is None


BAD_RULES = [
    ("tll=5", "did you mean 'ttl'"),
    ("ttl", "write ttl="),
    ("ttl=x", "write a duration"),
    ("force=1", "no value"),
    ("key-header=a b", "field name"),
    ("xyzzy", "write ttl=60"),
    ("status=200", "write ttl=60, status=200 404"),
    ("ttl=60, status=", "write status=200 404"),
    ("ttl=60, status=20", "status=20: write"),
    ("ttl=60, status=1xx", "status=1xx: write"),
    ("ttl=60, status=200 429", "429 is never stored"),
    ("ttl=60, statsu=200", "did you mean 'status'"),
    (" , ", "says nothing"),
]


@pytest.mark.parametrize(("action", "message"), BAD_RULES)
def test_misspelt_rules(action: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_cache_rule(parse_rule(f"//{action}"))
