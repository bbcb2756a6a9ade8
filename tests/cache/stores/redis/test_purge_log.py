"""The log of purges on a Redis server: what is lost of it counts as a purge."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.cache_stores import REDIS

from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.redis.purge_log import PURGES, PurgeLog

pytestmark = pytest.mark.skipif(REDIS is None, reason="no redis-server")
OURS, OTHERS = Selector("key", "a"), Selector("key", "b")


@pytest.fixture
async def client(port: int) -> AsyncIterator[Any]:
    from redis.asyncio import Redis

    opened = Redis(port=port)
    await opened.flushall()
    yield opened
    await opened.aclose()


async def begun(client: Any) -> PurgeLog:
    log = PurgeLog(client)
    await log.note_last(await client.xrevrange(PURGES, count=1), may_begin=True)
    return log


async def test_what_came_after_counts(client: Any) -> None:
    log = await begun(client)
    before = log.checkpoint
    assert not await log.is_purged(client, "a", (), before)
    await log.note(OTHERS)
    assert not await log.is_purged(client, "a", (), before)
    await (await begun(client)).note(OURS)
    assert await log.is_purged(client, "a", (), before)
    assert not await log.is_purged(client, "a", (), (await begun(client)).checkpoint)
    assert await log.is_purged(client, "a", (), None)


@pytest.mark.parametrize("lost", [("unlink",), ("set", "somebody else's")])
async def test_a_lost_log_begins_again_without_earlier_purges(client: Any, lost: tuple[str, ...]) -> None:
    log = await begun(client)
    before = log.checkpoint
    await getattr(client, lost[0])(PURGES, *lost[1:])
    await asyncio.sleep(0.01)  # ids begin with milliseconds
    await log.note(OTHERS)
    assert await log.is_purged(client, "a", (), before)
    assert not await log.is_purged(client, "a", (), (await begun(client)).checkpoint)


async def test_where_nothing_can_be_written_there_is_no_checkpoint(client: Any) -> None:
    log = PurgeLog(client)
    await log.note_last((), may_begin=False)
    assert log.checkpoint is None
    assert await client.exists(PURGES) == 0
