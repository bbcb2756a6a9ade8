"""Points are what was counted in between, and what is kept is bounded."""

from proxy_policies.dashboard.activity import KEPT, Activity, Series
from proxy_policies.dashboard.percentiles import BUCKETS
from proxy_policies.finished import Asked, Finished


def a_request(seconds: float, path: bytes = b"/", cache: str = "miss") -> Finished:
    return Finished(Asked(b"GET", path, b"HTTP/1.1", b"a.example"), None, 0, seconds, 200, 100, 0, cache=cache)


def test_what_is_counted_of_requests_and_of_learned_hits() -> None:
    counted = Activity(clock=lambda: 1000.0)
    slow, hit = a_request(2.0, b"/slow"), a_request(0.25, b"/hit", "hit")
    counted.finished(slow)
    counted.finished(hit)
    for _ in range(8):
        counted.answered_again((hit, ("::1", 1), 0.0))
    assert counted.totals()["requests"] == 10
    assert counted.top_hosts() == [(b"a.example", 10, 1000)]
    assert counted.slowest()[:2] == [slow, hit]
    assert sum(counted.times) == 10


def test_points_are_differences_and_the_last_ones_are_kept() -> None:
    series, times = Series(), [0] * BUCKETS
    assert series.percentiles() == {"p50": None, "p90": None, "p99": None}
    for second in range(KEPT + 10):
        times[3] += 2
        series.add(float(second), {"requests": 5 * second}, times)
    points = series.since(0)
    assert len(points) == KEPT
    assert points[-1] == {"at": KEPT + 9.0, "requests": 5}
    assert series.since(points[-2]["at"]) == points[-1:]
    assert len(set(series.percentiles().values())) == 1
