"""Responses read together, in any number of portions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.support.cache_cases import stored
from tests.support.cache_stores import REDIS

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.redis import listing
from proxy_policies.cache.stores.redis.listing import Listing
from proxy_policies.cache.stores.redis.purge_log import PREFIX

pytestmark = pytest.mark.skipif(REDIS is None, reason="no redis-server")
KEYS = [f"http://{name}.test/" for name in "abcde"]


def parse(heads: Sequence[bytes], key: str) -> list[StoredResponse]:
    return [stored(id=head.decode()).replace(key=key) for head in heads]


@pytest.fixture
async def client(port: int) -> AsyncIterator[Any]:
    from redis.asyncio import Redis

    opened = Redis(port=port, db=9)
    await opened.flushdb()
    for number, key in enumerate(KEYS):
        await opened.hset(f"{PREFIX}key:{key}", str(number), str(number))
    await opened.zadd(f"{PREFIX}tagged:t", {KEYS[1]: 2e9, KEYS[3]: 2e9})
    yield opened
    await opened.aclose()


@pytest.mark.parametrize("together", [1, 2, 50])
async def test_all_are_read_in_any_portions(client: Any, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "READ_TOGETHER", together)
    assert sorted(entry.key for entry in await Listing(client, parse).all()) == KEYS


@pytest.mark.parametrize(
    ("selector", "keys"),
    [
        (Selector("key", KEYS[2]), [KEYS[2]]),
        (Selector("tag", "t"), [KEYS[1], KEYS[3]]),
        (Selector("url", "http://a"), [KEYS[0]]),
        (Selector("glob", "*"), KEYS),
    ],
)
async def test_those_that_a_purge_may_select_are_read(client: Any, selector: Selector, keys: list[str]) -> None:
    assert sorted(entry.key for entry in await Listing(client, parse).candidates(selector)) == keys


async def test_values_of_another_type_are_removed(client: Any) -> None:
    await client.set(f"{PREFIX}key:{KEYS[0]}", "foreign")
    await client.delete(f"{PREFIX}key:{KEYS[4]}")
    assert sorted(entry.key for entry in await Listing(client, parse).all()) == KEYS[1:4]
    assert await client.exists(f"{PREFIX}key:{KEYS[0]}") == 0
