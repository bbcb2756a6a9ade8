"""How far a server's clock is ahead, given that its answer takes time."""

import pytest

from proxy_policies.cache.stores.redis.server_clock import ServerClock


@pytest.mark.parametrize(
    ("theirs", "ahead"),
    [(100, 0.0), (105, 0.0), (110, 0.0), (110.9, 0.0), (112, 2.0), (99.2, 0.0), (95, -5.0)],
)
def test_only_what_the_time_of_the_answer_does_not_explain_is_a_difference(theirs: float, ahead: float) -> None:
    """It was asked for at 100 and arrived at 110; a second's difference does not count."""
    clock = ServerClock(lambda: 110.0)
    clock.compare(100.0, (int(theirs), round(theirs % 1 * 1e6)))
    assert [clock.ahead, clock.now()] == pytest.approx([ahead, 110.0 + ahead])


def test_an_error_changes_nothing() -> None:
    clock = ServerClock(lambda: 110.0)
    clock.compare(109.0, (200, 0))
    clock.compare(109.0, OSError())
    assert clock.ahead == 90.0
