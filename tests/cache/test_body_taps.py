"""What happens to bodies as they pass the cache."""

import pytest

from proxy_policies.cache.body_taps import EncodedVariants, OnComplete, OnFinish, PrependBody, StoreTap
from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.stores.memory import MemoryStore
from tests.support.cache_cases import KEY, stored
from tests.support.cache_stores import content, keep

ENTRY = stored('ETag: "a"', "Content-Length: 10")


Ended = list[StoredResponse | None]


def tap(store: MemoryStore, limit: int = 100, length: int | None = None) -> tuple[StoreTap, Ended]:
    ended: Ended = []
    return StoreTap(store.write(store.checkpoint), ENTRY, limit, ended.append, length), ended


async def test_a_whole_body_is_stored_when_it_ends() -> None:
    store = MemoryStore(1 << 20)
    storing, ended = tap(store)
    storing.feed(b"01234")
    assert not await store.lookup(KEY)
    storing.feed(b"56789")
    storing.finish()
    (entry,) = await store.lookup(KEY)
    assert (await content(store, entry), ended) == (b"0123456789", [ENTRY.replace(size=10)])


@pytest.mark.parametrize("limit", [9, 10])
async def test_nothing_is_kept_of_a_body_over_the_limit(limit: int) -> None:
    store = MemoryStore(1 << 20)
    storing, ended = tap(store, limit)
    storing.feed(b"0123456789")
    storing.feed(b"" if limit == 10 else b"more")
    storing.finish()
    assert len(await store.lookup(KEY)) == (limit == 10)
    assert len(ended) == 1


@pytest.mark.parametrize(("size", "kept"), [(9, False), (10, True), (11, False)])
async def test_a_part_that_ends_with_its_connection_is_kept_if_it_has_come_whole(size: int, kept: bool) -> None:
    part = stored('ETag: "a"', "Content-Range: bytes 0-9/20", status=206)
    store, ended = MemoryStore(1 << 20), Ended()
    storing = StoreTap(store.write(store.checkpoint), part, 100, ended.append, is_delimited=False)
    storing.feed(b"x" * size)
    storing.finish()
    assert [entry.span for entry in await store.lookup(KEY)] == ([Span(0, 9, 20)] if kept else [])
    assert len(ended) == 1


@pytest.mark.parametrize(("length", "span"), [(None, None), (10, Span(0, 3, 10)), (4, None)])
async def test_a_beginning_is_kept_where_its_rest_can_be_asked_for(length: int | None, span: Span | None) -> None:
    store = MemoryStore(1 << 20)
    storing, ended = tap(store, length=length)
    storing.feed(b"0123")
    storing.abort()
    assert [(entry.status, entry.span) for entry in await store.lookup(KEY)] == ([(206, span)] if span else [])
    assert ended == [None]


def test_a_stored_beginning_goes_first_once() -> None:
    first = PrependBody(b"ab")
    assert first.feed(b"c") + first.feed(b"d") + first.finish() == b"abcd"
    assert PrependBody(b"ab").finish() == b"ab"


def test_what_follows_is_done_whether_a_body_is_whole_or_not() -> None:
    done: list[str] = []
    OnComplete(lambda: done.append("whole")).finish()
    OnComplete(lambda: done.append("cut")).abort()
    assert done == ["whole", "cut"]
    OnFinish(lambda: done.append("only if whole")).finish()
    OnFinish(lambda: done.append("cut off")).abort()
    assert done[2:] == ["only if whole"]


async def test_encoded_forms_are_kept_beside_their_entry() -> None:
    store = MemoryStore(1 << 20)
    await keep(store, ENTRY, b"0123456789")
    variants = EncodedVariants(store, ENTRY, 100, is_stored=True)
    assert await variants.find("gzip") is None
    keeping = variants.keep("gzip")
    keeping.feed(b"small")
    keeping.finish()
    found = await variants.find("gzip")
    assert found is not None
    assert await found.read() == b"small"
    assert await EncodedVariants(store, ENTRY, 100, is_stored=False).find("gzip") is None
