"""What every store does, whatever it is made of."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.cache_cases import NOW, stored
from tests.support.cache_stores import REDIS, checkpoint, content, keep, opened, redis_server

from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.rfc9111.selectors import MAX_REMEMBERED, Selector, parse_selector, selectors_of, tags_of
from proxy_policies.cache.stores.checksums import BLOCK
from proxy_policies.cache.stores.disk import index
from proxy_policies.cache.stores.disk.store import DiskStore
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.stores.redis.purge_log import PREFIX, PURGES
from proxy_policies.cache.stores.redis.records import body_name
from proxy_policies.cache.stores.redis.store import RedisStore
from proxy_policies.cache.stores.serialization import dump
from proxy_policies.cache.stores.store import MAX_VARIANTS, Store
from proxy_policies.fields import Fields


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if REDIS is None:
        pytest.skip("needs redis-server")
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest_asyncio.fixture(params=["memory", "disk", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    port = request.getfixturevalue("redis_port") if request.param == "redis" else 0
    async with opened(request.param, tmp_path, port) as made:
        if request.param == "redis":
            await made._redis.flushall()  # type: ignore[attr-defined]
        yield made


def entry(name: str = "a", *lines: str, **more: object) -> StoredResponse:
    made = stored("Cache-Control: max-age=60", *lines, key=f"http://x.test/{name}", id=os.urandom(8).hex())
    return made.replace(**more)


async def test_what_is_stored_comes_out_as_it_was(store: Store) -> None:
    first = entry("a", "X-Odd: caf\udce9", "x-odd: again", 'ETag: "é"', tags=frozenset({"t 1", "é"}))
    body = os.urandom(200_000)
    await keep(store, first, body)
    (found,) = await store.lookup(first.key)
    assert found == first.replace(size=len(body))
    assert found.fields.raw == first.fields.raw
    assert await content(store, found) == body
    assert await store.lookup("http://x.test/other") in ((), [])


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_048_576, 3_000_001])
async def test_bodies_of_any_size(store: Store, size: int) -> None:
    first, body = entry(), os.urandom(size)
    await keep(store, first, body)
    (found,) = await store.lookup(first.key)
    opened_body = await store.body(found)
    assert opened_body is not None
    assert opened_body.size == size
    assert await content(store, found) == body
    middle = b"".join([piece async for piece in opened_body.chunks(size // 3, size // 2)])
    assert middle == body[size // 3 : size // 2]


async def test_nothing_is_visible_before_its_commit_nor_after_an_abort(store: Store) -> None:
    first = entry()
    writing = store.write(await checkpoint(store))
    writing.feed(b"half")
    assert not await store.lookup(first.key)
    writing.abort()
    assert not await store.lookup(first.key)


@pytest.mark.parametrize("what", ["removed", "purged", "replaced"])
async def test_a_body_that_is_being_read_is_read_to_its_end(store: Store, what: str) -> None:
    first, body = entry(), os.urandom(3_000_000)
    await keep(store, first, body)
    (found,) = await store.lookup(first.key)
    opened_body = await store.body(found)
    assert opened_body is not None
    chunks = opened_body.chunks(0, len(body))
    begun = await anext(chunks)
    if what == "removed":
        await store.remove(found)
    elif what == "purged":
        await store.purge(parse_selector(first.key))
    else:
        await keep(store, entry(), b"another")
    assert await store.lookup(first.key) in ([], ()) or what == "replaced"
    assert begun + b"".join([piece async for piece in chunks]) == body


async def test_the_same_variant_is_replaced_and_another_kept(store: Store) -> None:
    for value, body in (("1", b"old"), ("2", b"other"), ("1", b"new")):
        await keep(store, entry("a", "Vary: Foo", vary_key=(("foo", f"={value}"),)), body)
    found = await store.lookup("http://x.test/a")
    assert sorted([await content(store, one) or b"" for one in found]) == [b"new", b"other"]


async def test_a_whole_replaces_its_parts_and_a_part_a_smaller_one(store: Store) -> None:
    for span, body in ((Span(0, 1, 9), b"01"), (Span(4, 5, 9), b"45"), (Span(0, 3, 9), b"0123")):
        await keep(store, entry(status=206, span=span), body)
    assert sorted(one.size for one in await store.lookup("http://x.test/a")) == [2, 4]
    await keep(store, entry(), b"012345678")
    assert [one.span for one in await store.lookup("http://x.test/a")] == [None]


@pytest.mark.parametrize("span", [None, Span(0, 1, 9)], ids=["whole", "part"])
async def test_what_was_received_before_a_stored_whole_comes_too_late(store: Store, span: Span | None) -> None:
    late = entry(received_at=NOW - 9, span=span)
    other = entry("a", "Vary: Foo", vary_key=(("foo", "=1"),), received_at=NOW - 9)
    for one, body in ((entry(), b"new"), (late, b"la"), (other, b"other")):
        await keep(store, one, body)
    found = await store.lookup("http://x.test/a")
    assert sorted([await content(store, one) or b"" for one in found]) == [b"new", b"other"]
    await keep(store, entry(received_at=NOW + 9), b"newest")
    assert b"newest" in [await content(store, one) for one in await store.lookup("http://x.test/a")]


async def test_encoded_forms_come_and_go_with_their_entry(store: Store) -> None:
    first = entry()
    await keep(store, first, b"identity")
    await keep(store, first, b"squeezed", coding="gzip")
    (found,) = await store.lookup(first.key)
    assert await content(store, found, "gzip") == b"squeezed"
    assert await content(store, found, "br") is None
    await store.update(found, found.replace(reason="Fresh"), store.checkpoint)
    (fresh,) = await store.lookup(first.key)
    assert (fresh.reason, await content(store, fresh, "gzip")) == ("Fresh", b"squeezed")
    await store.remove(fresh)
    assert not await store.lookup(first.key)
    await keep(store, first, b"late", coding="gzip")
    assert not await store.lookup(first.key)


async def test_an_encoded_form_that_is_there_as_soon_as_its_entry_is_kept(store: Store) -> None:
    for number in range(50):
        first = entry(str(number))
        await keep(store, first, b"identity" * 1000)
        await keep(store, first, b"squeezed", coding="gzip")
        (found,) = await store.lookup(first.key)
        assert await content(store, found, "gzip") == b"squeezed"


SELECTORS = [
    ("http://x.test/a", {"b", "c?d"}),
    ("HTTP://X.test/a", {"b", "c?d"}),
    ("http://x.test/*", set()),
    ("*?d", {"a", "b"}),
    ("tag:even", {"a", "c?d"}),
    ("tag:none", {"a", "b", "c?d"}),
]


@pytest.mark.parametrize(("what", "left"), SELECTORS)
async def test_purging(store: Store, what: str, left: set[str]) -> None:
    for name in ("a", "b", "c?d"):
        tags = frozenset({"even"} if name == "b" else ())
        await keep(store, entry(name, "Vary: Foo", vary_key=(("foo", "=1"),), tags=tags), b"1")
        await keep(store, entry(name, "Vary: Foo", vary_key=(("foo", "=2"),), tags=tags), b"2")
    assert len(await _listed(store)) == 6
    assert await store.purge(parse_selector(what)) == 6 - 2 * len(left)
    assert {one.key.removeprefix("http://x.test/") for one in await store.entries()} == left


async def _listed(store: Store) -> list[StoredResponse]:
    await store.lookup("http://x.test/c?d")  # waits for the commit
    return list(await store.entries())


async def test_a_purge_takes_what_was_dialled_elsewhere_too(store: Store) -> None:
    await keep(store, stored("Cache-Control: max-age=9", key="http://x.test/a via 10.0.0.1", id="q"), b"1")
    await store.lookup("http://x.test/a via 10.0.0.1")
    assert await store.purge(parse_selector("http://x.test/a")) == 1


@pytest.mark.parametrize("what", ["http://x.test/a", "*", "tag:t"])
async def test_a_purge_beats_a_store_in_flight(store: Store, what: str) -> None:
    first = entry("a", tags=frozenset({"t"}))
    before = await checkpoint(store)
    writing = store.write(before)
    writing.feed(b"asked before the purge")
    assert not await store.is_purged(first.key, first.tags, before)
    await store.purge(parse_selector(what))
    for tags, is_meant in ((first.tags, True), (None, True), (set(), what != "tag:t")):
        assert await store.is_purged(first.key, tags, before) is is_meant
    writing.commit(first.replace(size=22))
    assert not await store.lookup(first.key)
    await keep(store, first, b"asked after it")
    assert len(await store.lookup(first.key)) == 1


async def test_a_soft_purge_makes_stale(store: Store) -> None:
    await keep(store, entry(), b"1")
    (before,) = await store.lookup("http://x.test/a")
    assert before.ttl(NOW) > 0
    assert await store.purge(Selector("key", before.key), soft=True) == 1
    (after,) = await store.lookup("http://x.test/a")
    assert after.ttl(NOW) <= 0
    assert await content(store, after) == b"1"


async def test_a_soft_purge_beats_an_update_that_was_asked_for_before_it(store: Store) -> None:
    await keep(store, entry(), b"1")
    (before,) = await store.lookup("http://x.test/a")
    since = store.checkpoint
    await store.purge(Selector("key", before.key), soft=True)
    for asked_at, is_fresh in ((since, False), (await checkpoint(store), True)):
        await store.update(before, before, asked_at)
        (after,) = await store.lookup("http://x.test/a")
        assert (after.ttl(NOW) > 0) is is_fresh


async def test_what_an_update_is_tagged_with_is_what_it_is_purged_by(store: Store) -> None:
    await keep(store, entry("a", tags=frozenset({"old", "both"})), b"1")
    (before,) = await store.lookup("http://x.test/a")
    await store.update(before, before.replace(tags=frozenset({"new", "both"})), store.checkpoint)
    for tag, count in (("old", 0), ("new", 1)):
        assert await store.purge(parse_selector(f"tag:{tag}"), soft=True) == count
    assert await store.purge(parse_selector("tag:both")) == 1


async def test_a_key_is_purged_whatever_we_said_besides(store: Store) -> None:
    keys = ["http://x.test/a", "http://x.test/a own=1", "http://x.test/a own=2"]
    others = ["http://x.test/a at y", "http://x.test/a at y own=1", "http://x.test/ab own=1", "http://x.test/a x-t=1"]
    for key in (*keys, *others):
        await keep(store, stored("Cache-Control: max-age=9", key=key, id=key.encode().hex()), b"1")
        await store.lookup(key)
    await store.remove((await store.lookup(keys[1]))[0])
    before = await checkpoint(store)
    assert await store.purge(Selector("key", keys[0])) == 2
    assert sorted([one.key for one in await store.entries()]) == sorted(others)
    await keep(store, stored("Cache-Control: max-age=9", key=keys[2], id="late"), b"1", since=before)
    assert not await store.lookup(keys[2])


async def test_many_at_once(store: Store) -> None:
    entries = [entry(str(number)) for number in range(50)]
    since = await checkpoint(store)
    await asyncio.gather(*(keep(store, one, one.key.encode() * 1000, since) for one in entries))
    for one in entries:
        (found,) = await store.lookup(one.key)
        assert await content(store, found) == one.key.encode() * 1000
    counts = await store.counts()
    assert counts.entries == 50
    assert counts.bytes > 50_000


async def test_variants_are_bounded_and_those_in_use_stay(store: Store) -> None:
    def variant(number: int) -> StoredResponse:
        return entry("a", "Vary: User-Agent", vary_key=(("user-agent", f"={number}"),))

    await keep(store, variant(0), b"0")
    for number in range(1, 100):
        await keep(store, variant(number), b"x")
        found = await store.lookup("http://x.test/a")
        (first,) = [one for one in found if one.vary_key[0][1] == "=0"]
        assert await content(store, first) == b"0"
        if number % 10 == 0:
            await asyncio.sleep(1.1)  # uses are noted once a second
    assert len(await store.lookup("http://x.test/a")) == MAX_VARIANTS
    assert (await store.counts()).entries == MAX_VARIANTS


async def test_variants_by_the_thousand_do_not_slow_a_lookup(store: Store) -> None:
    for number in range(300):
        await keep(store, entry("a", "Vary: Cookie", vary_key=(("cookie", f"={number}"),)), b"x")
        if number % 30 == 0:
            await store.lookup("http://x.test/a")
    assert len(await store.lookup("http://x.test/a")) == MAX_VARIANTS


@pytest.mark.parametrize("soft", [False, True])
async def test_what_is_made_of_what_a_purge_is_about_while_it_is_under_way_is_not_stored(
    store: Store, soft: bool
) -> None:
    """A purge of many entries takes a while; look-ups meanwhile find those not purged yet."""
    for number in range(200):
        await keep(store, entry(str(number)), b"1")
        await store.lookup(f"http://x.test/{number}")
    purge = asyncio.ensure_future(store.purge(parse_selector("http://x.test/*"), soft))
    seen = set()
    while not purge.done():
        seen.add(await checkpoint(store))
        await asyncio.sleep(0)
    assert await purge == 200
    for before in seen - {await checkpoint(store)}:
        await keep(store, entry("late"), b"1", since=before)
    assert not await store.lookup("http://x.test/late")


async def test_a_log_of_purges_that_does_not_go_back_far_enough_is_as_good_as_a_purge(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MAX_REMEMBERED", 9)
    before, first = await checkpoint(store), entry()
    for number in range(10 if not isinstance(store, MemoryStore) else MAX_REMEMBERED + 1):
        await store.purge(Selector("key", str(number)))
    if isinstance(store, RedisStore):  # which trims a hundred at a time
        await store._redis.xtrim(PURGES, maxlen=9, approximate=False)
    assert await store.is_purged(first.key, (), before)
    assert not await store.is_purged(first.key, (), await checkpoint(store))
    assert await store.is_purged(first.key, (), None)
    await keep(store, first, b"1", since=before)
    assert not await store.lookup(first.key)


@pytest.mark.parametrize("tag", [b"\xe9", b"caf\xe9", "é".encode(), b"a b", b"\xed\xa0\x80", b"*", b"\x00"])
async def test_tags_of_any_bytes(store: Store, tag: bytes) -> None:
    tags = tags_of(Fields([(b"Cache-Tag", tag)]))
    await keep(store, entry(tags=tags), b"1")
    assert len(await store.lookup("http://x.test/a")) == 1
    (selector,) = selectors_of(f"tag:{next(iter(tags))}")
    assert await store.purge(selector) == 1


@pytest.mark.parametrize("soft", [False, True])
async def test_what_comes_after_its_own_purge_is_stored(store: Store, soft: bool) -> None:
    """As the answer to a POST is, which has made invalid what was there."""
    await keep(store, entry(), b"old")
    await store.lookup("http://x.test/a")
    await store.purge(Selector("key", "http://x.test/a"), soft)
    await keep(store, entry(), b"new", since=store.checkpoint)
    (found,) = await store.lookup("http://x.test/a")
    assert await content(store, found) == b"new"


@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_what_a_store_says_it_takes_is_stored(kind: str, tmp_path: Path) -> None:
    """Near the limit, a newcomer competes with others at once, and may lose."""
    chance, promises = random.Random(1), set()
    async with opened(kind, tmp_path, limit=1_000_000) as store:
        for number in range(60):
            one, size = entry(str(number)), chance.choice([1000, 5000, 90_000, 400_000, 960_000, 2_000_000])
            await store.lookup(one.key)
            is_promised = store.takes(size)
            await keep(store, one, bytes(size))
            assert await store.lookup(one.key) or not is_promised, size
            promises.add(is_promised)
    assert promises == {True, False}


DAMAGES: dict[str, Callable[[bytes, bytes], bytes]] = {
    "gone": lambda stored, others: b"",
    "shorter": lambda stored, others: stored[:-1],
    "cut at a block": lambda stored, others: stored[:BLOCK],
    "longer": lambda stored, others: stored + b"more",
    "a byte changed": lambda stored, others: b"?" + stored[1:],
    "the last byte changed": lambda stored, others: stored[:-1] + bytes([stored[-1] ^ 1]),
    "another's": lambda stored, others: others,
    "something else": lambda stored, others: b"x" * len(stored),
}


@pytest_asyncio.fixture(params=["disk", "redis"])
async def outside(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    port = request.getfixturevalue("redis_port") if request.param == "redis" else 0
    async with opened(request.param, tmp_path, port) as made:
        yield made


async def change_body(store: Store, of: StoredResponse, others: StoredResponse, coding: str, damage: str) -> None:
    """Put something else where a body is stored."""
    change = DAMAGES[damage]
    if isinstance(store, DiskStore):
        path = store.path(of.id, coding)
        path.write_bytes(change(path.read_bytes(), store.path(others.id, coding).read_bytes()))
    elif isinstance(store, RedisStore):
        redis, name = store._redis, body_name(of.id, coding)
        await redis.set(name, change(await redis.get(name), await redis.get(body_name(others.id, coding))))


@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("size", [0, 1000, 1_100_000])
async def test_no_body_comes_out_that_is_not_what_was_stored(size: int, coding: str, outside: Store) -> None:
    others, body = entry("others"), os.urandom(size)
    entries = {damage: entry(damage.replace(" ", "-")) for damage in DAMAGES}
    for one, data in ((others, os.urandom(size)), *((one, body) for one in entries.values())):
        await keep(outside, one, data)
        if coding:
            await outside.lookup(one.key)
            await keep(outside, one, data, coding=coding)
    for damage, one in entries.items():
        (found,) = await outside.lookup(one.key)
        await change_body(outside, found, others, coding, damage)
        with contextlib.suppress(OSError):
            assert await content(outside, found, coding) in (None, body), damage


async def test_no_head_is_read_that_is_not_what_was_stored(outside: Store) -> None:
    others = entry("others", "X-A: 2")
    await keep(outside, others, b"body")
    (other,) = (dump(one) for one in await outside.lookup(others.key))
    for damage, change in DAMAGES.items():
        first = entry(damage.replace(" ", "-"), "X-A: 1")
        await keep(outside, first, b"body")
        (text,) = (dump(one) for one in await outside.lookup(first.key))
        changed = change(text.encode(), other.encode())
        if isinstance(outside, DiskStore):
            outside._index._db.execute("update entries set head = ? where id = ?", (changed.decode(), first.id))
        elif isinstance(outside, RedisStore):
            await outside._redis.hset(f"{PREFIX}key:{first.key}", first.id, changed)
        assert [dump(one) for one in await outside.lookup(first.key)] == ([text] if changed == text.encode() else [])
        await keep(outside, first.replace(id=f"{first.id}a"), b"body")
        (found,) = await outside.lookup(first.key)
        assert await content(outside, found) == b"body"
