"""What is sent of a stored response."""

import pytest

from proxy_policies.cache.response import build_response, lookup_now
from proxy_policies.cache.rfc9111.entry import Span
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.stores.memory import MemoryStore
from tests.support.cache_cases import KEY, NOW, asked, stored
from tests.support.cache_stores import keep

ENTRY = stored(
    "Cache-Control: max-age=60", 'ETag: "a"', "Last-Modified: @-999", "Date: @-5", "Age: 7", "Content-Type: text/plain"
)
HIT = CacheStatus(hit=True, ttl=9.7)

STATUSES: list[tuple[tuple[str, ...], str, int, tuple[int, int] | None]] = [
    ((), "GET", 200, (0, 10)),
    ((), "HEAD", 200, None),
    (('If-None-Match: "a"',), "GET", 304, None),
    (('If-None-Match: W/"a"',), "GET", 304, None),
    (('If-None-Match: "x", "a"',), "GET", 304, None),
    (("If-None-Match: *",), "GET", 304, None),
    (('If-None-Match: "x"', "If-Modified-Since: @0"), "GET", 200, (0, 10)),
    (("If-Modified-Since: @-999",), "GET", 304, None),
    (("If-Modified-Since: @-1000",), "GET", 200, (0, 10)),
    (("If-Modified-Since: junk",), "GET", 200, (0, 10)),
    (("Range: bytes=2-3",), "GET", 206, (2, 4)),
    (("Range: bytes=2-3",), "HEAD", 200, None),
    (("Range: bytes=99-",), "GET", 416, None),
    (("Range: bytes=2-3", 'If-None-Match: "a"'), "GET", 304, None),
    (("Range: bytes=2-3", 'If-Range: "x"'), "GET", 200, (0, 10)),
]


@pytest.mark.parametrize(("lines", "method", "status", "part"), STATUSES)
def test_answer(lines: tuple[str, ...], method: str, status: int, part: tuple[int, int] | None) -> None:
    made = build_response(asked(*lines, method=method), ENTRY, NOW, HIT)
    assert (made.status, made.part) == (status, part)
    assert made.fields.get("etag") == '"a"'
    assert made.fields.lines("age") == ["12"] or made.fields.lines("age") == ["7"]
    assert made.fields.get("cache-status") == "proxy-policies; hit; ttl=9"
    assert made.fields.get("date") == ENTRY.fields.get("date")


def test_a_304_has_no_length() -> None:
    assert "content-length" not in build_response(asked('If-None-Match: "a"'), ENTRY, NOW, HIT).fields
    assert build_response(asked(method="HEAD"), ENTRY, NOW, HIT).fields.get("content-length") == "10"


def test_errors_are_sent_whole_and_never_304() -> None:
    broken = stored("Cache-Control: max-age=9", 'ETag: "a"', status=404)
    assert build_response(asked('If-None-Match: "a"', "Range: bytes=0-1"), broken, NOW, HIT).status == 404


def test_a_part_says_where_it_is_from() -> None:
    part = stored('ETag: "a"', status=206, span=Span(4, 13, 20))
    made = build_response(asked("Range: bytes=6-7"), part, NOW, HIT, (2, 4))
    assert (made.status, made.fields.get("content-range"), made.length) == (206, "bytes 6-7/20", 2)


async def test_from_memory_answers_fresh_hits_only() -> None:
    store = MemoryStore(1 << 20)
    assert lookup_now(store, asked(), NOW) is None
    await keep(store, ENTRY, b"0123456789")
    ready = lookup_now(store, asked(), NOW)
    assert ready is not None
    assert (ready.head.status, ready.body, ready.entry.id) == (200, b"0123456789", "1")
    part = lookup_now(store, asked("Range: bytes=2-3"), NOW)
    assert part is not None
    assert part.body == b"23"
    head = lookup_now(store, asked(method="HEAD"), NOW)
    assert head is not None
    assert head.body == b""
    for other in (asked(method="POST"), asked("Cache-Control: no-cache"), asked(key=KEY + "x"), asked(has_body=True)):
        assert lookup_now(store, other, NOW) is None
    assert lookup_now(store, asked(), NOW + 100) is None


# Section 3.2 and 4.3.4: updating


# Section 4.4: invalidation
