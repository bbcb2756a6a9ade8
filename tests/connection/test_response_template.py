"""What an answer looked like, and for how long it is the answer: compared, moment by moment, with one decided anew."""

import asyncio
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import KEY, NOW, asked, stored

from proxy_policies.cache.response import lookup_now
from proxy_policies.cache.rfc9111.decision import Request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.connection.response_template import ResponseTemplate, changing_fields, learn, valid_for
from proxy_policies.fields import Fields
from proxy_policies.http1.request_heads import CRLF_HEAD_END

BODY = b"0123456789" * 100
GZIPPED = b"gzipped"


def store_with(entry: StoredResponse) -> MemoryStore:
    store = MemoryStore(1 << 20)
    store.put(entry, BODY, store.checkpoint)
    store.put_coded(entry, "gzip", GZIPPED)
    return store


def on_the_wire(store: MemoryStore, request: Request, now: float, *lines: str, coding: str = "") -> bytes:
    """What the slow lane sends: the cache's answer, with a field more or less by other policies."""
    ready = lookup_now(store, request, now)
    assert ready
    body = store.get_body(ready.entry, coding) if coding else ready.body
    assert body is not None
    head = [f"HTTP/1.1 {ready.head.status} OK".encode()]
    head += [name + b": " + value for name, value in ready.head.fields.raw if name != b"Content-Length"]
    head += [f"Content-Length: {len(body)}".encode(), *(line.encode() for line in lines)]
    return b"\r\n".join(head) + CRLF_HEAD_END + body


def taught(store: MemoryStore, request: Request, now: float, *lines: str, coding: str = "") -> ResponseTemplate:
    ready = lookup_now(store, request, now)
    assert ready
    wire = on_the_wire(store, request, now, *lines, coding=coding)
    memo = learn(request, wire, ready, lambda ready, coding: store.get_body(ready.entry, coding))
    assert memo
    return memo


def sent(memo: ResponseTemplate, store: MemoryStore, now: float) -> bytes | None:
    standing = memo.render(store, now)
    body = standing.body.read(store) if standing else None
    return standing.head + body if standing and body is not None else None


def entry_of(*lines: str, age: float = 0.25) -> StoredResponse:
    return stored(*lines, size=len(BODY), age=age)


FRESH = "Cache-Control: max-age=100"


@pytest.mark.parametrize(
    "request_lines",
    [(), ("Range: bytes=3-7",), ("Range: bytes=-4",), ('If-None-Match: "x"',), ("Cache-Control: max-age=50",)],
    ids=lambda lines: lines[0] if lines else "plain",
)
def test_writes_what_the_slow_lane_would(request_lines: tuple[str, ...]) -> None:
    store = store_with(entry_of(FRESH, 'ETag: "x"'))
    request = asked(*request_lines)
    memo = taught(store, request, NOW, "Via: 1.1 here")
    assert sent(memo, store, NOW + 7.5) == on_the_wire(store, request, NOW + 7.5, "Via: 1.1 here")


def test_writes_the_encoded_form_that_is_kept() -> None:
    store = store_with(entry_of(FRESH))
    memo = taught(store, asked(), NOW, "Content-Encoding: gzip", coding="gzip")
    written = sent(memo, store, NOW + 3)
    assert written
    assert written.endswith(CRLF_HEAD_END + GZIPPED)


@pytest.mark.parametrize("kept", [0, 1, len(BODY) - 1], ids=["no body", "one byte", "all but one byte"])
def test_learns_nothing_from_an_answer_that_broke_off(kept: int) -> None:
    store = store_with(entry_of(FRESH))
    ready = lookup_now(store, asked(), NOW)
    assert ready
    wire = on_the_wire(store, asked(), NOW).removesuffix(BODY) + BODY[:kept]
    assert learn(asked(), wire, ready, lambda ready, coding: store.get_body(ready.entry, coding)) is None


def test_learns_nothing_where_head_and_body_disagree() -> None:
    store = store_with(entry_of(FRESH))
    ready = lookup_now(store, asked(), NOW)
    assert ready
    wire = on_the_wire(store, asked(), NOW).replace(b"Content-Length: 1000", b"Content-Length: 1001")
    assert learn(asked(), wire, ready, lambda ready, coding: store.get_body(ready.entry, coding)) is None


def test_learns_the_head_alone_where_that_is_all() -> None:
    store, request = store_with(entry_of(FRESH)), asked(method="HEAD")
    assert sent(taught(store, request, NOW), store, NOW + 2) == on_the_wire(store, request, NOW + 2)


@dataclass(frozen=True)
class Change:
    id: str
    entry: StoredResponse


CHANGES = [
    Change("another field", entry_of(FRESH, "X-New: 1")),
    Change("another status", replace(entry_of(FRESH), status=404)),
    Change("no longer fresh", entry_of("Cache-Control: max-age=0")),
    Change("another variant", replace(entry_of(FRESH), vary_key=(("accept", "=x"),))),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_stands_no_more_when_something_else_is_stored(change: Change) -> None:
    store = store_with(entry_of(FRESH))
    memo = taught(store, asked(), NOW)
    standing = memo.render(store, NOW + 0.1)
    assert standing
    assert standing.holds(store, NOW + 0.2)
    store.put(replace(change.entry, id="new"), BODY, store.checkpoint)
    assert not standing.holds(store, NOW + 0.2)


@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
def test_stands_no_more_once_purged(soft: bool) -> None:
    store = store_with(entry_of(FRESH))
    memo = taught(store, asked(), NOW)
    standing = memo.render(store, NOW + 0.1)
    assert standing
    asyncio.run(store.purge(Selector("key", KEY), soft))
    assert not standing.holds(store, NOW + 0.2)
    assert memo.render(store, NOW + 0.2) is None


def test_does_not_keep_a_body_that_the_store_dropped() -> None:
    entry = entry_of(FRESH)
    store = store_with(entry)
    standing = taught(store, asked(), NOW).render(store, NOW)
    assert standing
    asyncio.run(store.remove(entry))
    assert standing.body.read(store) is None


moments = st.floats(min_value=0, max_value=60, allow_nan=False)


@given(
    age=moments,
    lifetime=st.floats(min_value=0.5, max_value=60),
    said=st.sampled_from(["", "max-age=20", "min-fresh=10", "max-stale=15", "max-age=7, max-stale=3"]),
    at=moments,
    within=st.floats(min_value=0, max_value=0.999),
)
def test_nothing_changes_while_it_is_steady(age: float, lifetime: float, said: str, at: float, within: float) -> None:
    """The law the fast lane rests on: until `steady` is over, the decision and its head are the same."""
    entry = entry_of("Cache-Control: max-age=1", age=age)
    entry = entry.replace(overrides=replace(entry.overrides, ttl=lifetime))
    store, request = store_with(entry), asked(f"Cache-Control: {said}" if said else "X: y")
    now = NOW + at
    later = now + valid_for(entry, now) * within
    first, second = lookup_now(store, request, now), lookup_now(store, request, later)
    assert (first is None) == (second is None)
    if first and second:
        assert changing_fields(first.head) == changing_fields(second.head)
        assert first.head.status == second.head.status


def test_a_clock_that_went_back_makes_nothing_steady() -> None:
    assert valid_for(entry_of(FRESH), NOW - 5) == 0
    store = store_with(entry_of(FRESH, age=1.5))
    standing = taught(store, asked(), NOW).render(store, NOW)
    assert standing
    assert not standing.holds(store, NOW - 0.001)


def test_the_fields_that_change_are_read_whatever_their_case() -> None:
    store = store_with(entry_of(FRESH))
    ready = lookup_now(store, asked(), NOW)
    assert ready
    shouting = replace(ready.head, fields=Fields((name.upper(), value) for name, value in ready.head.fields.raw))
    assert set(changing_fields(shouting)) == {b"age", b"cache-status"}
