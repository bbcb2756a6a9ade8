"""Buckets are cumulative, and lose nothing."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.metrics.histogram import BOUNDS, Histogram


@given(st.lists(st.tuples(st.sampled_from([*BOUNDS, 0.0, 0.3, 1e9]), st.integers(1, 9))))
def test_what_is_in_which_bucket(observed: list[tuple[float, int]]) -> None:
    histogram = Histogram()
    for seconds, times in observed:
        histogram.observe(seconds, times)
    for bound, count in histogram.cumulative():
        assert count == sum(times for seconds, times in observed if seconds <= float(bound))
    assert histogram.count == histogram.cumulative()[-1][1] == sum(times for _, times in observed)


def test_a_clock_that_went_back_takes_nothing_away() -> None:
    histogram = Histogram()
    histogram.observe(-5)
    assert (histogram.total, histogram.count) == (0, 1)
