"""Clocks that are put back and forward: nothing is taken for younger than it is."""

import asyncio

from hypothesis import example, given
from hypothesis import strategies as st

from proxy_policies.cache.clock import TOLERATED, Clock
from proxy_policies.cache.rfc9111.decision import Hit, decide
from proxy_policies.cache.rfc9111.selectors import ALL
from proxy_policies.cache.stores.memory import MemoryStore
from tests.support.cache_cases import NOW, asked, stored
from tests.support.cache_stores import keep

LIFETIME = 3600
STEPS = st.sampled_from([-31_536_000, -7200, -3600, -1800, -90, -2, 0, 0, 0, 2, 90, 3600, 31_536_000])
PASSING = st.sampled_from([0.0, 1.0, 59.0, 1800.0, 3599.0, 3601.0, 7200.0])


@given(st.lists(st.tuples(STEPS, PASSING), min_size=1, max_size=6))
@example([(-3600, 5400.0)])
@example([(31_536_000, 1.0), (-31_536_000, 1.0)])
def test_nothing_is_fresh_for_longer_than_it_may_be(course: list[tuple[int, float]]) -> None:
    """What real time passes after each step of the clock, which is looked at every second."""
    asyncio.run(live_through(course))


async def live_through(course: list[tuple[int, float]]) -> None:
    store, clock, ahead, passed = MemoryStore(1 << 20), Clock(NOW, 0.0), 0, 0.0
    entry = stored(f"Cache-Control: max-age={LIFETIME}")
    await keep(store, entry, b"0123456789")
    for step, time in course:
        ahead += step
        for seconds in (0.0, time):
            passed += seconds
            if clock.went_back(NOW + passed + ahead, passed):
                await store.purge(ALL, soft=True)
            decision = decide(asked(), await store.lookup(entry.key), NOW + passed + ahead)
            assert passed < LIFETIME or not isinstance(decision, Hit)


def test_a_clock_that_goes_on_or_is_set_right_is_none_that_was_put_back() -> None:
    clock = Clock(100.0, 5.0)
    assert [clock.went_back(*at) for at in ((101.0, 6.0), (1000.0, 7.0), (1001.0 - TOLERATED, 8.0))] == [0, 0, 0]
    assert clock.went_back(900.0, 9.0) == 101.0
    assert clock.went_back(901.0, 10.0) == 0
