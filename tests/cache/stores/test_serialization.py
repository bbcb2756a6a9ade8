"""Stored heads as text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import stored

from proxy_policies.cache.rfc9111.entry import Span
from proxy_policies.cache.rfc9111.freshness import Overrides
from proxy_policies.cache.stores.serialization import VERSION, dump, load
from proxy_policies.fields import Fields

ENTRY = stored("Vary: A", 'ETag: "a"', request=("A: é",), span=Span(2, 5, 9), overrides=Overrides(ttl=5.0))


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), max_size=4))
def test_any_byte_in_a_field_survives(lines: list[tuple[bytes, bytes]]) -> None:
    entry = ENTRY.replace(fields=Fields(lines), tags=frozenset({"x", "y"}))
    read = load(dump(entry))
    assert read == entry
    assert read.fields.raw == entry.fields.raw


OLD = dump(ENTRY).replace(f'"version": {VERSION}', '"version": 0')


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"version": VERSION}), OLD])
def test_what_is_no_head_of_this_version(text: str) -> None:
    with pytest.raises(ValueError):
        load(text)
