"""So many at once, and so many a second after that."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.limits.token_bucket import TokenBucket


def test_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(burst=3, rate=2)
    assert [bucket.take(1, 0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1, 1) for _ in range(3)] == [True, True, False]


def test_no_more_is_saved_than_the_burst() -> None:
    bucket = TokenBucket(burst=3, rate=2)
    assert bucket.take(0, 0)
    bucket.put(100)
    assert not bucket.take(4, 1000)
    assert bucket.take(3, 1000)


@given(st.lists(st.floats(0, 100), max_size=200).map(sorted))
def test_never_more_than_burst_and_rate_allow(times: list[float]) -> None:
    bucket = TokenBucket(burst=5, rate=1)
    taken = sum(bucket.take(1, now) for now in times)
    assert taken <= 5 + (times[-1] - times[0] if times else 0)
