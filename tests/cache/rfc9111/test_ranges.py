"""RFC 9110, section 14, and RFC 9111, section 3.4: ranges and parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import NOW, fields, stored

from proxy_policies.cache.response import build_response
from proxy_policies.cache.rfc9111.decision import Request
from proxy_policies.cache.rfc9111.entry import Span
from proxy_policies.cache.rfc9111.ranges import (
    RangeSpec,
    adjoining,
    describes,
    if_range_matches,
    parse_content_range,
    parse_range,
    remaining,
    within,
    within_span,
)
from proxy_policies.cache.status import CacheStatus

PARSED: list[tuple[str | None, RangeSpec | None]] = [
    ("bytes=0-4", RangeSpec(0, 4)),
    ("bytes=5-", RangeSpec(5, None)),
    ("bytes=-5", RangeSpec(None, 5)),
    ("Bytes = 0-4", RangeSpec(0, 4)),
    (None, None),
    ("", None),
    ("bytes=-", None),
    ("bytes=4-2", None),
    ("bytes=0-1,3-4", None),
    ("items=0-4", None),
    ("bytes=a-b", None),
    ("bytes=+1-4", None),
    (f"bytes=0-{'9' * 40}", None),
]


@pytest.mark.parametrize(("value", "expected"), PARSED)
def test_parse_range(value: str | None, expected: RangeSpec | None) -> None:
    assert parse_range(value) == expected


CONTENT_RANGES: list[tuple[str | None, int, Span | None]] = [
    ("bytes 0-4/10", 5, Span(0, 4, 10)),
    ("bytes 5-9/10", 5, Span(5, 9, 10)),
    ("bytes 5-9/*", 5, Span(5, 9)),
    ("bytes 4-9/10", 5, Span(4, 8, 9)),  # off by one, and says it reaches the end: the body counts
    ("bytes 0-9/10", 5, None),
    ("bytes 0-2/10", 5, None),
    ("bytes 0-4/10", 0, None),
    ("bytes 5-4/10", 1, None),
    ("bytes 5-10/10", 6, None),
    ("bytes 0-4/10", 20, None),
    ("bytes */10", 5, None),
    ("junk", 5, None),
    (None, 5, None),
]


@pytest.mark.parametrize(("value", "size", "expected"), CONTENT_RANGES)
def test_parse_content_range(value: str | None, size: int, expected: Span | None) -> None:
    assert parse_content_range(value, size) == expected


def test_a_part_whose_size_is_not_known_yet() -> None:
    assert describes("bytes 0-4/10", None)
    assert not describes("lines 0-4/10", None)
    assert not describes(None, None)


@given(st.integers(0, 50), st.integers(0, 50) | st.none(), st.integers(1, 60))
def test_a_resolved_range_is_a_slice(first: int, last: int | None, length: int) -> None:
    resolved = within(RangeSpec(first, last), length)
    expected = bytes(range(length))[first : None if last is None else last + 1]
    assert (b"" if resolved is None else bytes(range(length))[slice(*resolved)]) == expected


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_a_covered_range_is_the_same_slice_of_the_whole(a: int, b: int, c: int, d: int) -> None:
    whole = bytes(range(100))
    span = Span(min(a, b), max(a, b), 100)
    part = whole[span.first : span.last + 1]
    wanted = RangeSpec(min(c, d), max(c, d))
    found = within_span(wanted, span)
    if found is not None:
        assert part[slice(*found)] == whole[min(c, d) : max(c, d) + 1]


def test_a_suffix_of_an_unknown_length_is_not_covered() -> None:
    assert within_span(RangeSpec(None, 2), Span(0, 9)) is None
    assert within_span(RangeSpec(2, None), Span(0, 9)) is None
    assert within_span(RangeSpec(2, 3), Span(0, 9)) == (2, 4)


IF_RANGES = [
    ((), (), True),
    (('If-Range: "a"',), ('ETag: "a"',), True),
    (('If-Range: "b"',), ('ETag: "a"',), False),
    (('If-Range: W/"a"',), ('ETag: W/"a"',), False),
    (('If-Range: "a"',), (), False),
    (("If-Range: @-999",), ("Last-Modified: @-999", "Date: @0"), True),
    (("If-Range: @-998",), ("Last-Modified: @-999", "Date: @0"), False),
    (("If-Range: @-5",), ("Last-Modified: @-5", "Date: @0"), False),
    (("If-Range: junk",), ('ETag: "a"',), False),
]


@pytest.mark.parametrize(("request_lines", "response_lines", "expected"), IF_RANGES)
def test_if_range(request_lines: tuple[str, ...], response_lines: tuple[str, ...], expected: bool) -> None:
    assert if_range_matches(fields(*request_lines), stored(*response_lines), NOW) is expected


RESTS = [(Span(0, 4, 10), "bytes=5-"), (Span(1, 4, 10), None), (Span(0, 9, 10), None), (Span(0, 4), None)]


@pytest.mark.parametrize(("span", "expected"), RESTS)
def test_rest_of(span: Span, expected: str | None) -> None:
    assert remaining(span) == expected


TOUCHING = [
    (Span(0, 4, 10), Span(5, 9, 10), '"a"', True),
    (Span(0, 4, 10), Span(3, 9, 10), '"a"', True),
    (Span(5, 9, 10), Span(0, 4, 10), '"a"', True),
    (Span(0, 4, 10), Span(6, 9, 10), '"a"', False),
    (Span(0, 4, 10), Span(5, 9, 11), '"a"', False),
    (Span(0, 4), Span(5, 9, 10), '"a"', True),
    (Span(0, 4, 10), Span(5, 9, 10), '"b"', False),
    (Span(0, 4, 10), Span(5, 9, 10), 'W/"a"', False),
]


@pytest.mark.parametrize(("old", "new", "tag", "expected"), TOUCHING)
def test_adjoining(old: Span, new: Span, tag: str, expected: bool) -> None:
    held = stored('ETag: "a"', status=206, span=old)
    assert (adjoining([held], stored(f"ETag: {tag}", status=206, span=new)) is held) is expected


@pytest.mark.parametrize(
    ("wanted", "content_range", "part"),
    [("bytes=3-4", "bytes 3-4/10", (1, 3)), ("bytes=0-1", "bytes 2-5/10", (0, 4)), (None, "bytes 2-5/10", (0, 4))],
)
def test_a_part_says_where_it_lies(wanted: str | None, content_range: str, part: tuple[int, int]) -> None:
    entry = stored("Cache-Control: max-age=60", status=206).replace(span=Span(2, 5, 10), size=4)
    asked = Request("GET", entry.key, fields(*([f"Range: {wanted}"] if wanted else ())))
    made = build_response(asked, entry, NOW, CacheStatus())
    assert (made.status, made.fields.get("content-range"), made.part) == (206, content_range, part)
    assert made.fields.get("content-length") == str(part[1] - part[0])
