"""RFC 9111, section 3.4: parts that touch become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.cache.partial_merge import merge_parts, merged_entry
from proxy_policies.cache.rfc9111.entry import Span
from proxy_policies.cache.stores.memory import MemoryStore
from tests.support.cache_cases import stored
from tests.support.cache_stores import content, keep


def test_a_206_never_turns_into_a_200_unless_it_is_whole() -> None:
    part = stored('ETag: "a"', "Content-Range: bytes 0-4/10", status=206, span=Span(0, 4, 10))
    assert merged_entry(part, Span(0, 8, 10)).status == 206
    assert merged_entry(part, Span(0, 9)).status == 206
    whole = merged_entry(part, Span(0, 9, 10))
    assert (whole.status, whole.span, whole.fields.get("content-range")) == (200, None, None)


@pytest.mark.parametrize("coding", ["gzip", "br"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_parts_in_other_codings_stay_apart(coding: str, is_first: bool) -> None:
    store, codings = MemoryStore(1 << 20), ("", f"Content-Encoding: {coding}")
    for at in (0, 1):
        lines = [line for line in ('ETag: "a"', codings[at == is_first]) if line]
        entry = stored(*lines, status=206, span=Span(5 * at, 5 * at + 4, 10), id=str(at))
        await keep(store, entry, b"12345")
    assert await merge_parts(store, entry, 1 << 20) is None


@given(st.integers(0, 19), st.integers(0, 19), st.integers(0, 19), st.integers(0, 19))
async def test_joined_parts_are_the_slice(a: int, b: int, c: int, d: int) -> None:
    whole, store = bytes(range(20)), MemoryStore(1 << 20)
    spans = [Span(min(a, b), max(a, b), 20), Span(min(c, d), max(c, d), 20)]
    for number, span in enumerate(spans):
        entry = stored('ETag: "a"', status=206, span=span, id=str(number))
        await keep(store, entry, whole[span.first : span.last + 1])
    await merge_parts(store, stored('ETag: "a"', status=206, span=spans[1], id="1"), 1 << 20)
    for entry in await store.lookup("http://example.test/"):
        span = entry.span or Span(0, 19, 20)
        assert await content(store, entry) == whole[span.first : span.last + 1]
