"""Stored heads and parts."""

import pytest
from tests.support.cache_cases import NOW, stored

from proxy_policies.cache.rfc9111.entry import Span


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
