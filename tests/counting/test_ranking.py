"""What stands out is found, and no client can make what is remembered grow."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.counting.ranking import (
    LISTED,
    MAX_HOSTS,
    SPAN,
    SPANS,
    HostTotals,
    RecentSpans,
    Slowest,
    busiest,
    slowest,
)


def test_hosts_that_are_asked_most_come_first_however_many_others_there_are() -> None:
    hosts = HostTotals()
    for number in range(5 * MAX_HOSTS):
        hosts.add(b"%d.example" % number, 1, 10)
        hosts.add(b"busy.example", 2, 100)
    assert len(list(hosts.items())) <= MAX_HOSTS
    assert busiest([hosts])[0] == (b"busy.example", 10 * MAX_HOSTS, 500 * MAX_HOSTS)


def test_spans_are_added_up() -> None:
    first, second = HostTotals(), HostTotals()
    first.add(b"a", 1, 10)
    second.add(b"a", 2, 20)
    second.add(b"b", 1, 1)
    assert busiest([first, second]) == [(b"a", 3, 30), (b"b", 1, 1)]
    assert busiest([first, second], count=1) == [(b"a", 3, 30)]


def test_what_is_older_than_all_spans_is_forgotten() -> None:
    recent: RecentSpans[list[int]] = RecentSpans(list)
    for number in range(3 * SPANS):
        recent.at(number * SPAN).append(number)
    now = (3 * SPANS - 1) * SPAN
    assert recent.all(now) == [[number] for number in range(2 * SPANS, 3 * SPANS)]
    assert recent.all(now + SPAN) == [[number] for number in range(2 * SPANS + 1, 3 * SPANS)]
    assert recent.all(now + 100 * SPAN) == []
    recent.at(now - 50 * SPAN).append(-1)
    assert recent.all(now)[-1] == [3 * SPANS - 1, -1], "the clock went back"


@given(st.lists(st.floats(0, 100), max_size=60))
def test_what_took_longest(took: list[float]) -> None:
    spans = [Slowest(), Slowest()]
    for at, seconds in enumerate(took):
        spans[at % 2].add(seconds, seconds)
    assert slowest(spans) == sorted(took, reverse=True)[:LISTED]
    assert all(len(span.items()) <= LISTED for span in spans)
