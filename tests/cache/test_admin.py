"""The secret that PURGE takes, and what is found by the names that a user gives it."""

import asyncio
import logging

import pytest

from proxy_policies.cache import admin
from proxy_policies.cache.admin import parse_purge
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.stores.store import StoreStats
from tests.support.cache_cases import NOW, stored
from tests.support.cache_stores import keep


@pytest.mark.parametrize("text", ["short", "has spaces in it, many", "ünïcode-and-long-enough"])
def test_a_purge_secret_is_long_and_plain(text: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        parse_purge(text)


REVERSE = "http://shop.test/x/a.js at 10.0.0.1:9000"
FOUND = ["*.js", "*://Shop.test/*", "http://Shop.TEST:80/x/a.js", "http://10.0.0.1:9000/x/a.js", "tag:t", REVERSE]


@pytest.mark.parametrize("text", FOUND)
async def test_what_is_purged_by_a_name_is_listed_and_shown_by_it(text: str) -> None:
    store = MemoryStore(1 << 20)
    await keep(store, stored("X-A: b", key=REVERSE).replace(tags=frozenset({"t"})), b"body")
    (line,) = await admin.list_entries(store, text, NOW)
    assert line.startswith(REVERSE)
    assert (await admin.show_entry(store, text, NOW))[0] == line
    if text != REVERSE:
        assert (await admin.purge(store, text, soft=False)).data == {"purged": 1}


@pytest.mark.parametrize(("limit", "room"), [(1000, "500 of 1000 bytes (50.0 %)"), (0, "500 bytes, without a limit")])
async def test_how_full_a_store_is(limit: int, room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def counts(_: MemoryStore) -> StoreStats:
        return StoreStats(2, 500, limit)

    monkeypatch.setattr(MemoryStore, "counts", counts)
    assert await admin.stats(MemoryStore(1)) == [f"2 responses, {room}"]


async def test_a_list_also_finds_a_part_of_a_url() -> None:
    store = MemoryStore(1 << 20)
    await keep(store, stored(key=REVERSE), b"body")
    found = [len(await admin.list_entries(store, text, NOW)) for text in ("/x/", "10.0.0.1:9000/x", "/y")]
    assert found == [1, 1, 0]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_result_is_logged_unless_its_caller_waits_for_it(waits: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    done = asyncio.Event()

    async def work() -> list[str]:
        await done.wait()
        return ["a result"]

    reply = admin.run_command(work())
    assert isinstance(reply, admin.UnderWay)
    asyncio.get_running_loop().call_soon(done.set)
    if waits:
        assert await reply.awaited_result() == ["a result"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert ("a result" in caplog.text) is not waits
