"""A percentile is at most a fifth too long, and never too short."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.dashboard.percentiles import BOUNDS, BUCKETS, bucket_of, percentile


@given(st.lists(st.floats(0.0005, 100), min_size=1, max_size=50), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_it_is_what_that_share_took_at_most(took: list[float], share: float) -> None:
    counts = [0] * BUCKETS
    for seconds in took:
        counts[bucket_of(seconds)] += 1
    found = percentile(counts, share)
    least = next(seconds for at, seconds in enumerate(sorted(took), 1) if at >= share * len(took))
    assert found is not None
    assert least <= found <= least * 1.2


def test_of_nothing_there_is_none_and_what_is_longer_is_the_last_bound() -> None:
    counts = [0] * BUCKETS
    assert percentile(counts, 0.5) is None
    counts[bucket_of(1e9)] += 1
    assert percentile(counts, 0.5) == BOUNDS[-1]
    assert bucket_of(-1.0) == bucket_of(0.0) == 0
