"""Points are what was counted in between, and what is kept is bounded."""

from proxy_policies.counting.histogram import BUCKETS
from proxy_policies.dashboard.series import KEPT, Series


def test_points_are_differences_and_the_last_ones_are_kept() -> None:
    series, times = Series(), [0] * BUCKETS
    assert series.percentiles() == {"p50": None, "p90": None, "p99": None}
    series.add(-1.0, {"requests": -5}, times)
    assert series.since(-9) == []
    for second in range(KEPT + 10):
        times[3] += 2
        series.add(float(second), {"requests": 5 * second}, times)
    points = series.since(0)
    assert len(points) == KEPT
    assert points[-1] == {"at": KEPT + 9.0, "requests": 5}
    assert series.since(points[-2]["at"]) == points[-1:]
    assert len(set(series.percentiles().values())) == 1
