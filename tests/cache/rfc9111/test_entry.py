"""Stored heads and parts."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.cache_cases import NOW, stored

from proxy_policies.cache.rfc9111.entry import Span
from proxy_policies.cache.rfc9111.freshness import Overrides
from proxy_policies.fields import Fields


@pytest.mark.parametrize(
    ("span", "size", "text"), [(Span(0, 4, 10), 5, "bytes 0-4/10"), (Span(7, 7), 1, "bytes 7-7/*")]
)
def test_a_span_counts_both_its_ends(span: Span, size: int, text: str) -> None:
    assert (span.size, span.content_range) == (size, text)


def test_age_and_freshness_are_read_once_and_anew_after_a_change() -> None:
    entry = stored("Cache-Control: max-age=60", age=20)
    assert (entry.age(NOW), entry.ttl(NOW)) == (20, 40)
    assert entry.as_stale().ttl(NOW) < 0
    assert entry.replace(size=3).ttl(NOW) == 40


CHANGES: list[dict[str, Any]] = [
    {"size": 7, "tags": frozenset({"a"})},
    {"key": "http://b.test/", "reason": "Fine", "id": "2", "span": Span(0, 1, 9)},
    {"status": 404},
    {"fields": Fields.of(("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Expires", "0"))},
    {"requested_at": NOW - 500.0},
    {"received_at": NOW - 400.0, "size": 3},
    {"overrides": Overrides(ttl=5.0)},
    {"personal": True},
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "-".join(changes))
def test_a_changed_copy_is_as_one_made_anew(changes: dict[str, Any]) -> None:
    entry = stored("Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT", age=20)
    before, made, anew = replace(entry), entry.replace(**changes), replace(entry, **changes)
    assert (made, made.freshness) == (anew, anew.freshness)
    assert (entry, entry.freshness) == (before, before.freshness)


def test_a_misspelt_attribute_is_refused() -> None:
    with pytest.raises((AttributeError, TypeError)):
        stored().replace(sise=3)
