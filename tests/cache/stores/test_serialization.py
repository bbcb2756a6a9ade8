"""Stored heads as text."""

import json
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import stored

from proxy_policies.cache.rfc9111.entry import Span
from proxy_policies.cache.rfc9111.freshness import Overrides
from proxy_policies.cache.stores.serialization import VERSION, dump, load, load_heads
from proxy_policies.fields import Fields

ENTRY = stored("Vary: A", 'ETag: "a"', request=("A: é",), span=Span(2, 5, 9), overrides=Overrides(ttl=5.0))


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=4))
def test_any_byte_in_a_field_survives(lines: list[tuple[bytes, bytes]]) -> None:
    entry = ENTRY.replace(fields=Fields(lines), tags=frozenset({"x", "y"}))
    read = load(dump(entry))
    assert read == entry
    assert read.fields.raw == entry.fields.raw


def signed(text: str) -> str:
    return f"{crc32(text.encode()):08x}{text}"


OLD = dump(ENTRY)[8:].replace(f'"version": {VERSION}', '"version": 0')


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"version": VERSION}), OLD])
def test_what_is_no_head_of_this_version(text: str) -> None:
    for written in (text, signed(text)):
        with pytest.raises(ValueError):
            load(written)


@given(st.integers(0), st.integers(1, 255))
def test_a_head_that_is_not_what_was_written(at: int, bits: int) -> None:
    written = bytearray(dump(ENTRY).encode())
    written[at % len(written)] ^= bits
    with pytest.raises(ValueError):
        load(bytes(written))
    with pytest.raises(ValueError):
        load(dump(ENTRY)[: at % len(written)])


def test_heads_that_cannot_be_read_or_are_of_another_key_are_left_out() -> None:
    other = stored(key="http://example.test/other")
    texts: list[str | bytes] = [b"[]", dump(ENTRY).encode(), b"?", dump(other)]
    assert load_heads(texts, ENTRY.key) == [ENTRY]
    assert load_heads(texts) == [ENTRY, other]
