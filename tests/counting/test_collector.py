"""What is counted of what has ended, under words that no client can choose."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.counting import collector as collectors
from proxy_policies.counting.collector import Collector
from proxy_policies.finished.reporting import Record
from proxy_policies.flows.request_summary import RequestSummary


def a_request(method: bytes = b"GET", **values: Any) -> Record:
    made = Record(RequestSummary(method, b"/", b"HTTP/1.1"), None, 0, 0.5, 200, 100, 7)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_hits_that_were_learned_count_as_the_first_but_for_their_time() -> None:
    collector, record = Collector(), a_request(cache="hit", encoding="br", plain=400)
    collector.take([record.item, *[(record.repeated(), ("::1", 1), 0.0)] * 9])
    totals = collector.totals()
    assert totals["requests"] == totals["cache: hit"] == 10
    assert totals["bytes sent"] == totals["bytes saved by the cache"] == 1000
    assert totals["bytes saved by encoding"] == 3000
    assert collector.seconds["hit"].total == 0.5


def test_what_stands_out() -> None:
    collector = Collector(clock=lambda: 1000.0)
    slow, hit = a_request(seconds=2.0), a_request(seconds=0.25, cache="hit")
    slow.request.host = b"slow.example"
    collector.take([slow.item, *[(hit.repeated(), ("::1", 1), 0.0)] * 8, hit.item])
    assert collector.top_hosts() == [(b"", 9, 900), (b"slow.example", 1, 100)]
    assert collector.slowest() == [slow, hit]
    assert sum(collector.times()) == 10


def test_what_goes_wrong() -> None:
    collector = Collector()
    collector.take([a_request(status=499, error="left").item])
    collector.take([a_request(status=502, error="refused").item])
    collector.take([a_request(b"", status=400, error="no request").item])
    collector.take([a_request(b"CONNECT", is_tunnel=True, error="broken").item])
    assert collector.errors == {"client_left": 1, "origin": 1, "no_request": 1, "tunnel": 1}
    assert (collector.tunnels, collector.tunnel_bytes) == ({"2xx": 1}, {"sent": 100, "received": 7})


def test_what_encoding_saves_is_known_only_where_it_was_sent_whole() -> None:
    collector = Collector()
    collector.take([a_request(plain=5000, encoding="gzip", error="broken").item])
    collector.take([a_request(plain=50, encoding="gzip").item])
    collector.take([a_request(plain=None, encoding="gzip").item])
    assert collector.saved.total() == 0


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 999), st.text(max_size=8), st.text(max_size=8))))
def test_no_client_can_make_the_number_of_counts_grow(said: list[tuple[bytes, int, str, str]]) -> None:
    collector = Collector()
    for method, status, cache, encoding in said:
        collector.take([a_request(method, status=status, cache=cache, encoding=encoding, plain=1000).item])
    assert {method for method, _, _ in collector.requests} <= collectors.METHODS | {"other", "none"}
    assert {status for _, status, _ in collector.requests} <= {"none", *(f"{number}xx" for number in range(1, 6))}
    assert {cache for _, _, cache in collector.requests} <= collectors.CACHE_WORDS | {"other", "none"}
    assert collector.saved.keys() <= collectors.CODINGS | {"other"}
