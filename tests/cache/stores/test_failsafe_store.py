"""What a store that fails does."""

import sqlite3
from collections.abc import Sequence

import pytest
from tests.support.cache_cases import stored
from tests.support.cache_stores import keep

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector, parse_selector
from proxy_policies.cache.stores.failsafe_store import RETRY_AFTER, TOLD_EVERY, FailSafeStore
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.stores.store import OnWrite, unheard


class Broken(MemoryStore):
    on_write: OnWrite = staticmethod(unheard)
    fails = True
    asked = 0

    async def lookup(self, key: str) -> Sequence[StoredResponse]:
        self.asked += 1
        if self.fails:
            raise ConnectionError("refused")
        return await super().lookup(key)

    async def purge(self, selector: Selector, soft: bool = False) -> int:
        if self.fails:
            raise ConnectionError("refused")
        return await super().purge(selector, soft)


async def test_a_store_that_fails_is_a_miss_and_left_alone_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    broken, now = Broken(1 << 20), [0.0]
    store = FailSafeStore(broken, "there", lambda: now[0])
    broken.put(stored("X: y"), b"old", broken.checkpoint)
    for _ in range(5):
        assert not await store.lookup("http://example.test/")
    assert broken.asked == 1
    assert caplog.text.count("treating every request as a miss") == 1
    before = store.checkpoint
    assert not await store.is_purged("a", (), before)
    assert await store.purge(parse_selector("*")) == 0
    assert store.checkpoint != before
    assert await store.is_purged("a", (), before)
    broken.fails = False
    now[0] = RETRY_AFTER
    assert not await store.lookup("http://example.test/")  # the purge it missed comes first
    await keep(broken, stored("X: y"), b"new")
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


class Removed(Broken):
    fails = False

    @property
    def sync_view(self) -> MemoryStore:
        raise sqlite3.OperationalError("unable to open database file")


async def test_what_cannot_be_asked_without_waiting_is_asked_by_waiting() -> None:
    removed = Removed(1 << 20)
    store = FailSafeStore(removed, "there")
    assert store.sync_view is None
    await keep(removed, stored("X: y"), b"body")
    assert len(await store.lookup("http://example.test/")) == 1


async def test_failures_that_come_and_go_are_told_seldom_and_quote_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    now, broken = [0.0], Broken(1 << 20)
    FailSafeStore(broken, "there", lambda: now[0])
    for second in range(120):
        now[0] = float(second)
        broken.on_write(OSError("Command # 4 (SET body:1 what was to be stored) of pipeline caused error: OOM"))
        broken.on_write(None)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(": ")[2] for line in lines if "takes nothing" in line] == ["OOM"] * 2
    assert len(lines) == 4
    assert "what was to be stored" not in caplog.text
