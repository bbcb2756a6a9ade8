"""What is particular to a store on a Redis server; what holds for every store is in test_store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cache_cases import KEY, NOW, stored
from tests.support.cache_stores import REDIS, keep, redis_server, until

from proxy_policies.cache.stores.redis_store import PREFIX, RedisStore
from proxy_policies.cache.stores.store import Store

pytestmark = pytest.mark.skipif(REDIS is None, reason="no redis-server")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


async def wait_stored(store: Store, number: int) -> None:
    async with asyncio.timeout(20):
        while len(await store.lookup(KEY)) != number:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.01)


async def test_machines_share_it_and_nothing_of_it_is_at_hand(port: int) -> None:
    one, other = (RedisStore(f"redis://127.0.0.1:{port}/1") for _ in range(2))
    await keep(one, stored("Cache-Control: max-age=60"), b"body")
    await wait_stored(other, 1)
    assert other.sync_view is None
    await one.close()
    await other.close()


async def test_what_is_not_ours_under_our_names_is_removed(port: int) -> None:
    from redis.asyncio import Redis

    store, client = RedisStore(f"redis://127.0.0.1:{port}/2"), Redis(port=port, db=2)
    await client.set(f"{PREFIX}key:{KEY}", "somebody else's")
    assert list(await store.lookup(KEY)) == []
    assert await client.exists(f"{PREFIX}key:{KEY}") == 0
    await client.aclose()
    await store.close()


async def test_a_tag_lists_a_key_once_and_not_for_longer_than_it_is_stored(port: int) -> None:
    from redis.asyncio import Redis

    store, client = RedisStore(f"redis://127.0.0.1:{port}/3"), Redis(port=port, db=3)
    await client.zadd(f"{PREFIX}tagged:t", {"http://gone.test/": 1})
    for number in range(20):
        await keep(store, stored("Cache-Control: max-age=60", id=str(number)).replace(tags=frozenset({"t"})), b"body")
        await store.lookup(KEY)
    assert await client.zrange(f"{PREFIX}tagged:t", 0, -1) == [KEY.encode()]
    await client.aclose()
    await store.close()


async def test_a_server_that_is_gone_is_an_error_and_told(tmp_path: Path) -> None:
    with redis_server(tmp_path) as port:
        store, told = RedisStore(f"redis://127.0.0.1:{port}/0"), list[Exception | None]()
        store.on_write = told.append
        assert list(await store.lookup(KEY)) == []
    with pytest.raises(Exception, match=r"[Cc]onnect|refused|closed"):
        await store.lookup(KEY)
    await keep(store, stored("X: y"), b"body", since=NOW)
    await until(lambda: any(told))
    await store.close()
