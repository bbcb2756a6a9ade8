"""What a disk store has at hand, with another store on the same folder in the place of another process."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.cache_cases import KEY, NOW, stored
from tests.support.cache_stores import LIMIT, content, keep

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.disk.hot_bodies import OVERHEAD, HotBodies
from proxy_policies.cache.stores.disk.store import DiskStore

BODY = b"0123456789" * 100
FRESH = "Cache-Control: max-age=100"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path / "store", LIMIT)
    yield opened
    await opened.close()


@pytest.fixture
async def other(tmp_path: Path, store: DiskStore) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path / "store", LIMIT)
    yield opened
    await opened.close()


async def sync_view(store: DiskStore, body: bytes = BODY, id: str = "1") -> StoredResponse:
    """Store a response and read it, so that it is at hand."""
    assert store.sync_view is not None
    await keep(store, stored(FRESH, id=id), body)
    (entry,) = await store.lookup(KEY)
    assert await content(store, entry) == body
    return entry


async def test_what_was_read_is_at_hand(store: DiskStore) -> None:
    entry = await sync_view(store)
    assert store.sync_view.get_all(KEY) == [entry]
    assert store.sync_view.get_all(KEY) is store.sync_view.get_all(KEY), "read anew though it is the same"
    assert store.sync_view.get_body(entry) == BODY
    assert store.sync_view.get_body(entry, "gzip") is None
    await keep(store, entry, b"gzipped", coding="gzip")
    await store.lookup(KEY)
    assert await content(store, entry, "gzip") == b"gzipped"
    assert store.sync_view.get_body(entry, "gzip") == b"gzipped"


async def test_what_was_not_read_is_not(store: DiskStore) -> None:
    assert store.sync_view.get_all(KEY) == ()
    await keep(store, stored(FRESH), BODY)
    (entry,) = await store.lookup(KEY)
    assert store.sync_view.get_all(KEY) == ()
    assert store.sync_view.get_body(entry) is None


@pytest.mark.parametrize("whose", ["ours", "another's"])
@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
async def test_a_purge_counts_at_once(store: DiskStore, other: DiskStore, whose: str, soft: bool) -> None:
    await sync_view(store)
    await (store if whose == "ours" else other).purge(Selector("key", KEY), soft)
    found = list(store.sync_view.get_all(KEY))
    assert [one.ttl(NOW) > 0 for one in found] == ([False] if soft else [])


async def test_anothers_update_counts_at_once(store: DiskStore, other: DiskStore) -> None:
    entry = await sync_view(store)
    new = entry.replace(received_at=entry.received_at + 50)
    await other.update(entry, new, other.checkpoint)
    assert store.sync_view.get_all(KEY) == [new]
    assert store.sync_view.get_body(new) == BODY


async def test_anothers_newer_response_counts_at_once(store: DiskStore, other: DiskStore) -> None:
    old = await sync_view(store)
    await keep(other, stored(FRESH, id="2"), b"new")
    (new,) = await other.lookup(KEY)
    assert store.sync_view.get_all(KEY) == [new]
    assert store.sync_view.get_body(new) is None
    assert store.sync_view.get_body(old) is None, "kept though nobody will ask for it"


async def test_our_own_newer_response_counts_before_it_is_written(store: DiskStore) -> None:
    """After it was received it is found: a look-up waits for the commit, this one returns that it is unknown."""
    await sync_view(store)
    disk = threading.Event()
    store._thread.submit(disk.wait, 10)
    await keep(store, stored(FRESH, id="2"), b"new")
    assert store.sync_view.get_all(KEY) == ()
    disk.set()
    (new,) = await store.lookup(KEY)
    assert new.id == "2"
    assert await content(store, new) == b"new"
    assert store.sync_view.get_all(KEY) == [new]


async def test_uses_are_counted(store: DiskStore) -> None:
    entry = await sync_view(store)
    before = store._index.sketch.count(KEY)
    assert store.sync_view.get_body(entry)
    assert store._index.sketch.count(KEY) == before + 1


async def test_bounded_in_bytes(store: DiskStore, tmp_path: Path) -> None:
    nearby = HotBodies(tmp_path / "store" / "index.sqlite", 4 * 5 * (1000 + OVERHEAD), lambda entry: None)
    entries = [stored(FRESH, key=f"{KEY}{number}", id=str(number)) for number in range(8)]
    for entry in entries:
        nearby.keep(entry, "", bytes(1000))
        nearby.get_body(entries[0])
    assert [nearby.get_body(entry) is not None for entry in entries] == [True, *[False] * 3, *[True] * 4]
    nearby.keep(stored(FRESH, id="9"), "", bytes(1_000_000))
    assert not any(nearby.get_body(entry) for entry in entries)
    nearby.close()
    assert nearby.get_all(KEY) == ()
