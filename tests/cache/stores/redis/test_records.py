"""Entries as records: which go for a new one, which lists they are in, what time it is there, and names as patterns."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import stored

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import OWN
from proxy_policies.cache.stores.redis import records
from proxy_policies.cache.stores.redis.records import (
    KEPT_STALE,
    body_name,
    later,
    lists_of,
    quoted,
    seconds_kept,
    to_go,
)


def variants(count: int) -> list[StoredResponse]:
    return [stored("Vary: X", request=(f"X: {number}",), id=str(number)) for number in range(count)]


def test_what_a_new_entry_supersedes_goes() -> None:
    old, other = variants(2)
    assert to_go(old.replace(id="new"), [old, other], ["1", "0"]) == ["0"]


def test_beyond_the_bound_goes_what_was_not_used_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_VARIANTS", 3)
    *heads, new = variants(5)
    assert to_go(new, heads, ["2", "0", "1"]) == ["3", "2"]  # there is no record of a use of 3


def test_an_entry_is_listed_by_its_tags_and_without_what_is_our_own() -> None:
    entry = stored("Cache-Tag: a, b", key=f"http://x.test/{OWN}12").replace(tags=("a", "b"))
    assert lists_of(entry) == [
        "proxy-policies:tagged:a",
        "proxy-policies:tagged:b",
        "proxy-policies:own:http://x.test/",
    ]
    assert lists_of(stored()) == []


@given(st.text())
def test_a_quoted_text_has_no_wildcard_and_is_itself(text: str) -> None:
    parts = re.findall(r"\\.|.", quoted(text), re.DOTALL)
    assert not set("*?[]^-\\") & {part for part in parts if len(part) == 1}
    assert "".join(part[-1] for part in parts) == text


def test_times_are_moved_between_two_clocks() -> None:
    entry = stored(age=10)
    moved = later(entry, 5.0)
    assert (moved.requested_at, moved.received_at) == (entry.requested_at + 5, entry.received_at + 5)
    assert later(moved, -5.0) == entry
    assert later(entry, 0) is entry


def test_an_entry_is_kept_for_as_long_as_it_is_of_use() -> None:
    assert seconds_kept(stored("Cache-Control: max-age=60")) == 60 + KEPT_STALE + 1
    assert seconds_kept(stored("Cache-Control: max-age=60, stale-if-error=200000")) == 60 + 200000 + 1


def test_bodies_and_encoded_forms_have_names_of_their_own() -> None:
    assert body_name("7") == "proxy-policies:body:7"
    assert body_name("7", "gzip") == "proxy-policies:coded:7:gzip"
