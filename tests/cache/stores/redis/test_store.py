"""What is particular to a store on a Redis server; what holds for every store is in test_store."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.support.cache_cases import KEY, stored
from tests.support.cache_stores import REDIS, checkpoint, keep, redis_server, redis_url
from tests.support.waiting import eventually

from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.redis.purge_log import PREFIX, PURGES
from proxy_policies.cache.stores.redis.store import RedisStore
from proxy_policies.cache.stores.store import Store
from proxy_policies.fields import format_date

pytestmark = pytest.mark.skipif(REDIS is None, reason="no redis-server")


async def wait_stored(store: Store, number: int) -> None:
    async with asyncio.timeout(100):
        while len(await store.lookup(KEY)) != number:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.01)


async def test_machines_share_it_and_nothing_of_it_is_at_hand(port: int) -> None:
    one, other = (RedisStore(redis_url(port, 1)) for _ in range(2))
    await keep(one, stored("Cache-Control: max-age=60"), b"body")
    await wait_stored(other, 1)
    assert other.sync_view is None
    await one.close()
    await other.close()


async def test_what_is_not_ours_under_our_names_is_removed(port: int) -> None:
    from redis.asyncio import Redis

    store, client = RedisStore(redis_url(port, 2)), Redis(port=port, db=2)
    await client.set(f"{PREFIX}key:{KEY}", "somebody else's")
    assert list(await store.lookup(KEY)) == []
    assert await client.exists(f"{PREFIX}key:{KEY}") == 0
    await client.aclose()
    await store.close()


async def test_a_tag_lists_a_key_once_and_not_for_longer_than_it_is_stored(port: int) -> None:
    from redis.asyncio import Redis

    store, client = RedisStore(redis_url(port, 3)), Redis(port=port, db=3)
    await client.zadd(f"{PREFIX}tagged:t", {"http://gone.test/": 1})
    for number in range(20):
        await keep(store, stored("Cache-Control: max-age=60", id=str(number)).replace(tags=frozenset({"t"})), b"body")
        await store.lookup(KEY)
    assert await client.zrange(f"{PREFIX}tagged:t", 0, -1) == [KEY.encode()]
    await client.aclose()
    await store.close()


async def test_a_server_that_is_gone_is_an_error_and_told(tmp_path: Path) -> None:
    with redis_server(tmp_path) as port:
        store, told = RedisStore(redis_url(port)), list[Exception | None]()
        store.on_write = told.append
        assert list(await store.lookup(KEY)) == []
    with pytest.raises(Exception, match=r"[Cc]onnect|refused|closed"):
        await store.lookup(KEY)
    await keep(store, stored("X: y"), b"body", since=b"0-1")
    await eventually(lambda: any(told))
    await store.close()


async def test_what_was_refused_is_not_promised_again(tmp_path: Path) -> None:
    """A server that is nearly full takes small bodies, and no large ones."""
    large = stored("Cache-Control: max-age=60", id="large")
    with redis_server(tmp_path) as port:
        store, errors = RedisStore(redis_url(port)), list[Exception | None]()
        store.on_write = errors.append

        async def promises_of(size: int) -> list[bool]:
            promises = []
            for _ in range(3):
                await store.lookup(KEY)
                promises.append(store.takes(size))
                await keep(store, large, bytes(size))
                await eventually(lambda: not store._pending)
                assert store.takes(1000)
            return promises

        await store.lookup(KEY)
        await store._redis.config_set("maxmemory", (await store._redis.info("memory"))["used_memory"] + 1_000_000)
        assert await promises_of(2_000_000) == [True, False, False]
        assert errors[1:].count(None) == 0  # nothing says that it stores again
        await store._redis.config_set("maxmemory", 0)
        assert await promises_of(2_000_000) == [False, True, True]
        await store.close()


async def test_damage_that_cannot_be_removed_is_no_error_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from redis.asyncio import Redis

    with redis_server(tmp_path) as port:
        store, client, told = RedisStore(redis_url(port)), Redis(port=port), list[Exception | None]()
        entry = stored("Cache-Control: max-age=60").replace(size=4)
        await keep(store, entry, b"body")
        await wait_stored(store, 1)
        store.on_write = told.append
        await client.setrange(f"{PREFIX}body:{entry.id}", 0, b"B")
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
        assert await store.body(entry) is None
        await eventually(lambda: any(told))
        await client.aclose()
        await store.close()
    assert not [record for record in caplog.records if record.exc_info]


async def test_machines_whose_clocks_differ(port: int) -> None:
    """What counts as fresh, purged or gone is the same on all of them."""
    hour = 3600
    entry = stored("Cache-Control: max-age=60", f"Date: {format_date(time.time())}").replace(tags=frozenset({"t"}))
    for late, early in ((-hour, 0), (0, hour), (-hour, hour), (90000, -90000)):
        one, other = (
            RedisStore(redis_url(port, 4), lambda ahead=ahead: time.time() + ahead)  # type: ignore[misc]
            for ahead in (late, early)
        )
        await one._redis.flushdb()
        before = await checkpoint(other), await checkpoint(one)
        now = time.time()
        for store, ahead in ((one, late), (other, early)):
            mine = entry.replace(id=str(ahead), requested_at=now + ahead, received_at=now + ahead)
            await keep(store, mine, b"body")
            await store.lookup(KEY)
            for reader, difference in ((one, late), (other, early)):
                (found,) = await reader.lookup(KEY)
                assert found.id == str(ahead)
                assert abs(found.received_at - now - difference) < 100  # the machine may be loaded
            await keep(store, mine.replace(key=f"{KEY}{ahead}", id="x", tags=frozenset({str(ahead)})), b"body")
        assert await one.purge(Selector("tag", "t")) == 1
        await keep(other, entry, b"body", since=before[0])
        await keep(one, entry, b"body", since=before[1])
        assert not await other.lookup(KEY)
        assert not await one.lookup(KEY)
        await one.close()
        await other.close()


@pytest.mark.parametrize("step", [-90, -1800, -3600, -31_536_000, 3600, 31_536_000])
async def test_a_machine_whose_clock_is_put_back_or_forward(step: float, port: int) -> None:
    """Ages are by the server's clock, unless an origin's Date makes one appear to be older by ours."""
    ahead = 0.0
    store = RedisStore(redis_url(port, 7), lambda: time.time() + ahead)
    now = time.time()
    entry = stored("Cache-Control: max-age=7200", f"Date: {format_date(now)}").replace(
        requested_at=now - 1000, received_at=now - 1000
    )
    await keep(store, entry, b"body")
    await store.lookup(KEY)
    ahead = step
    (found,) = await store.lookup(KEY)
    assert 1000 <= found.age(time.time() + ahead) < 1100 + max(step, 0)
    await store.close()


async def test_a_log_of_purges_that_is_lost_is_as_good_as_a_purge(port: int) -> None:
    one, other = (RedisStore(redis_url(port, 5)) for _ in range(2))
    entry, before = stored("Cache-Control: max-age=60"), await checkpoint(one)
    await other.purge(Selector("key", KEY))
    await other._redis.flushdb()  # as when the server starts again
    await asyncio.sleep(0.01)  # ids begin with milliseconds
    await other.lookup(KEY)
    await keep(one, entry, b"old", since=before)
    assert not await one.lookup(KEY)
    await keep(one, entry, b"new")
    assert len(await one.lookup(KEY)) == 1
    await one.close()
    await other.close()


async def test_a_tag_finds_what_it_is_on_though_the_server_has_evicted_its_list(port: int) -> None:
    store = RedisStore(redis_url(port, 6))
    client = store._redis
    try:
        await client.config_set("maxmemory-policy", "allkeys-lru")
        await client.config_set("maxmemory", (await client.info("memory"))["used_memory"] + 1_000_000)
        for number in range(20):
            await client.set(f"filler:{number}", bytes(100_000))
        assert (await client.info("stats"))["evicted_keys"] > 0
        await client.config_set("maxmemory", 0)  # which keys go is left to chance
        for number in range(120):
            entry = stored("Cache-Control: max-age=60", key=f"{KEY}{number}", id=str(number))
            await keep(store, entry.replace(tags=frozenset({"t" if number % 2 else "other"})), b"body")
            await store.lookup(entry.key)
        await client.unlink(f"{PREFIX}tagged:t")
        assert await store.purge(Selector("tag", "t")) == 60
    finally:
        await client.config_set("maxmemory", 0)
        await store.close()


@pytest.mark.parametrize("path", ["a*b", "a?b", "[x]", "^-\\", "plain", "\xe9"])
async def test_a_url_is_found_whatever_it_holds(port: int, path: str) -> None:
    store = RedisStore(redis_url(port, 7))
    for key in (f"{KEY}{path}", f"{KEY}{path} via 10.0.0.1", f"{KEY}{path}/more", f"{KEY}x{path}"):
        await keep(store, stored("Cache-Control: max-age=60", key=key, id=key), b"body")
        await store.lookup(key)
    assert await store.purge(Selector("url", f"{KEY}{path}")) == 2
    await store._redis.flushdb()
    await store.close()


async def test_no_purge_fails_for_what_is_not_ours(port: int) -> None:
    store = RedisStore(redis_url(port, 8))
    await keep(store, stored("Cache-Control: max-age=60").replace(tags=frozenset({"t"})), b"body")
    await store.lookup(KEY)
    for selector in (Selector("tag", "t2"), Selector("key", f"{KEY}2"), Selector("url", f"{KEY}2")):
        for name in (PURGES, f"{PREFIX}tagged:t2", f"{PREFIX}own:{KEY}2", f"{PREFIX}key:{KEY}2"):
            await store._redis.set(name, "somebody else's")
        assert await store.purge(selector) == 0
    assert await store.purge(Selector("tag", "t")) == 1
    await store.close()


async def test_what_is_not_stored_in_time_leaves_no_connection_behind(port: int) -> None:
    from redis.asyncio import Redis

    async with Redis(port=port) as client:
        before = len(await client.client_list())
        store = RedisStore(redis_url(port, 9))
        await store.lookup(KEY)
        for number in range(200):
            await keep(store, stored("Cache-Control: max-age=60", id=str(number)), bytes(100_000), since=b"0-1")
        store._timeout = 0.001
        await store.close()
        await asyncio.sleep(0.5)  # in which one might be opened anew
        async with asyncio.timeout(100):
            while len(await client.client_list()) != before:  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.01)
