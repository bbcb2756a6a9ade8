"""RFC 9111, section 4.2: lifetimes, ages, staleness."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import NOW, fields, stored

from proxy_policies.cache.rfc9111.directives import RequestDirectives
from proxy_policies.cache.rfc9111.freshness import (
    HEURISTIC_LIMIT,
    NO_OVERRIDES,
    Overrides,
    evaluate,
    may_be_stale,
    stale_on_error,
    stale_while_revalidating,
)


@dataclass
class Lifetime:
    id: str
    lines: tuple[str, ...]
    expected: float
    status: int = 200
    overrides: Overrides = NO_OVERRIDES


LIFETIMES = [
    Lifetime("max-age", ("Cache-Control: max-age=60",), 60),
    Lifetime("s-maxage before max-age", ("Cache-Control: max-age=60, s-maxage=10",), 10),
    Lifetime("s-maxage before Expires", ("Cache-Control: max-age=0, s-maxage=10", "Expires: @-10"), 10),
    Lifetime("max-age before Expires", ("Cache-Control: max-age=60", "Expires: @-10", "Date: @0"), 60),
    Lifetime("Expires less Date", ("Expires: @300", "Date: @100"), 200),
    Lifetime("Expires before Date", ("Expires: @300", "Date: @400"), -100),
    Lifetime("Expires without Date", ("Expires: @300",), 300),
    Lifetime("Expires with a broken Date", ("Expires: @300", "Date: foo"), 300),
    Lifetime("Expires: 0", ("Expires: 0", "Last-Modified: @-86400"), 0),
    Lifetime("Expires twice", ("Expires: @300", "Expires: @301"), 0),
    Lifetime("the same Expires twice", ("Expires: @300", "Expires: @300"), 300),
    Lifetime("two Dates", ("Date: @0", "Date: @-600", "Cache-Control: max-age=60"), 0),
    Lifetime("the same Date twice", ("Date: @0", "Date: @0", "Cache-Control: max-age=60"), 60),
    Lifetime("a broken Date", ("Date: 0", "Cache-Control: max-age=60"), 60),
    Lifetime("targeted voids Expires", ("CDN-Cache-Control: max-age=5", "Expires: @300"), 5),
    Lifetime("targeted without a time", ("CDN-Cache-Control: must-revalidate", "Expires: @300"), 0),
    Lifetime("a tenth since Last-Modified", ("Last-Modified: @-1000", "Date: @0"), 100),
    Lifetime("a day at most", ("Last-Modified: @-99999999", "Date: @0"), HEURISTIC_LIMIT),
    Lifetime("Last-Modified in the future", ("Last-Modified: @1000", "Date: @0"), 0),
    Lifetime("no guess for 201", ("Last-Modified: @-1000", "Date: @0"), 0, 201),
    Lifetime(
        "a guess for 201 that is public", ("Last-Modified: @-1000", "Date: @0", "Cache-Control: public"), 100, 201
    ),
    Lifetime("nothing said", (), 0),
    Lifetime("the user's rule", ("Cache-Control: max-age=60",), 5, overrides=Overrides(ttl=5)),
]


@pytest.mark.parametrize(
    ("lines", "etag", "is_dated"),
    [
        (('ETag: "a"', 'ETag: "b"', "Last-Modified: @-9", "Last-Modified: @-8"), None, False),
        (('ETag: "a"', 'ETag: "a"', "Last-Modified: @-9", "Last-Modified: @-9"), '"a"', True),
        (('ETag: "a", "b"', "Last-Modified: 0"), None, False),
        (('ETag: "a,b"',), '"a,b"', False),
        (('ETag: W/"a"',), 'W/"a"', False),
        (("ETag: a",), "a", False),
        (("ETag:",), None, False),
        (('ETag: w/"a"',), 'w/"a"', False),
        (('ETag: "a" ',), '"a"', False),
        (('ETag: "a',), None, False),
    ],
)
def test_only_what_is_one_value_is_a_validator(lines: tuple[str, ...], etag: str | None, is_dated: bool) -> None:
    facts = evaluate(200, fields(*lines), NOW, NOW)
    assert (facts.etag, facts.last_modified is not None) == (etag, is_dated)


@pytest.mark.parametrize("case", LIFETIMES, ids=[case.id for case in LIFETIMES])
def test_lifetime(case: Lifetime) -> None:
    facts = evaluate(case.status, fields(*case.lines), NOW, NOW, case.overrides)
    assert facts.lifetime == pytest.approx(case.expected)


AGES: list[tuple[str, tuple[str, ...], float]] = [
    ("none", (), 0),
    ("Age", ("Age: 30",), 30),
    ("Age not a number", ("Age: abc",), 0),
    ("Age negative", ("Age: -5",), 0),
    ("Age a fraction", ("Age: 7200.0",), 0),
    ("Age with a parameter", ("Age: 7200;a=1",), 0),
    ("first of a list", ("Age: 10, 20",), 10),
    ("first of two lines", ("Age: 0", "Age: 7200"), 0),
    ("huge", ("Age: 99999999999",), 2**31),
    ("apparent age", ("Date: @-50",), 50),
    ("the larger of both", ("Date: @-50", "Age: 30"), 50),
    ("Date in the future", ("Date: @50", "Age: 30"), 30),
]


@pytest.mark.parametrize(("lines", "expected"), [case[1:] for case in AGES], ids=[case[0] for case in AGES])
def test_initial_age(lines: tuple[str, ...], expected: float) -> None:
    assert evaluate(200, fields(*lines), NOW, NOW).initial_age == expected


def test_the_time_a_response_took_counts_towards_its_age() -> None:
    assert evaluate(200, fields("Age: 30"), NOW - 5, NOW).initial_age == 35


def test_a_clock_that_goes_back_makes_it_as_much_older() -> None:
    assert stored("Age: 30").age(NOW - 1000) == 1030
    assert stored("Cache-Control: max-age=60").ttl(NOW - 61) < 0


STALE: list[tuple[str, str, bool, bool, bool]] = [
    # said, accepted by max-stale or when disconnected, during revalidation 5 s past, on error 5 s past
    ("nothing", "max-age=1", True, False, True),
    ("must-revalidate", "max-age=1, must-revalidate, stale-while-revalidate=9, stale-if-error=9", False, False, False),
    ("proxy-revalidate", "max-age=1, proxy-revalidate", False, False, False),
    ("s-maxage", "s-maxage=1", False, False, False),
    ("s-maxage with a window", "s-maxage=1, stale-while-revalidate=9, stale-if-error=9", False, True, True),
    ("no-cache", "max-age=1, no-cache", False, False, False),
    ("window passed", "max-age=1, stale-while-revalidate=4, stale-if-error=4", True, False, False),
]


@pytest.mark.parametrize(
    ("said", "accepted", "revalidating", "on_error"), [c[1:] for c in STALE], ids=[c[0] for c in STALE]
)
def test_staleness(said: str, accepted: bool, revalidating: bool, on_error: bool) -> None:
    facts = stored(f"Cache-Control: {said}").freshness
    assert may_be_stale(facts) is accepted
    assert stale_while_revalidating(facts, 5) is revalidating
    assert stale_on_error(facts, 5, RequestDirectives()) is on_error


def test_a_request_may_widen_stale_if_error_but_not_past_a_prohibition() -> None:
    wide = RequestDirectives(stale_if_error=100)
    assert stale_on_error(stored("Cache-Control: max-age=1, stale-if-error=1").freshness, 50, wide)
    assert not stale_on_error(stored("Cache-Control: max-age=1, must-revalidate").freshness, 50, wide)
    assert not stale_on_error(stored("Cache-Control: max-age=1").freshness, 50, RequestDirectives(no_cache=True))


@given(st.integers(0, 10**6), st.floats(0, 10**6), st.floats(0, 10**6))
def test_freshness_falls_with_age(max_age: int, earlier: float, later: float) -> None:
    entry = stored(f"Cache-Control: max-age={max_age}")
    assert entry.ttl(NOW + earlier) >= entry.ttl(NOW + earlier + later)
