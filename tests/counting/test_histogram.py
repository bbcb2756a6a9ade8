"""Buckets are cumulative, and lose nothing."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.counting.histogram import BOUNDS, BUCKETS, PROMETHEUS_BOUNDS, Histogram, percentile


@given(st.lists(st.tuples(st.sampled_from([*BOUNDS, *PROMETHEUS_BOUNDS, 0.0, 0.3, 1e9]), st.integers(1, 9))))
def test_what_is_in_which_bucket(observed: list[tuple[float, int]]) -> None:
    histogram = Histogram()
    for seconds, times in observed:
        histogram.observe(seconds, times)
    assert [bound for bound, _ in histogram.cumulative()] == [*map(str, PROMETHEUS_BOUNDS), "+Inf"]
    for bound, count in histogram.cumulative():
        assert count == sum(times for seconds, times in observed if seconds <= float(bound))
    assert histogram.count == sum(times for _, times in observed)


def test_a_clock_that_went_back_takes_nothing_away() -> None:
    histogram = Histogram()
    histogram.observe(-5)
    assert (histogram.total, histogram.count) == (0, 1)


def counts(took: list[float]) -> list[int]:
    histogram = Histogram()
    for seconds in took:
        histogram.observe(seconds)
    return histogram.counts


@given(st.lists(st.floats(0.0005, 100), min_size=1, max_size=50), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_percentile_is_at_most_a_fifth_too_long_and_never_too_short(took: list[float], share: float) -> None:
    found = percentile(counts(took), share)
    least = next(seconds for at, seconds in enumerate(sorted(took), 1) if at >= share * len(took))
    assert found is not None
    assert least <= found <= least * 1.2


def test_of_nothing_there_is_no_percentile_and_of_what_is_longer_it_is_the_last_bound() -> None:
    assert percentile([0] * BUCKETS, 0.5) is None
    assert percentile(counts([1e9]), 0.5) == BOUNDS[-1]
    assert percentile(counts([-1.0, 0.0]), 1.0) == BOUNDS[0]
