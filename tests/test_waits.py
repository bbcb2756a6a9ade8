"""What a connection waits for, and for how long it may."""

import pytest

from proxy_policies.waits import Stopwatch, Timeouts, Wait, Waiting, longest_waiting, most_connections

FOREVER = float("inf")


def test_seconds_by_what_is_waited_for() -> None:
    times = Timeouts(head=1, body=2, idle=3, send=4, handshake=5)
    assert [times.seconds(wait, 0) for wait in Wait] == [FOREVER, 3, 5, 1, 2, 4, FOREVER, FOREVER]


def test_a_body_that_comes_has_more_time() -> None:
    assert Timeouts(body=60).seconds(Wait.BODY, 5000) == 70


def test_none_is_for_ever() -> None:
    times = Timeouts(head=0, body=0, idle=0, send=0, handshake=0)
    assert {times.seconds(wait, 10_000) for wait in Wait} == {FOREVER}
    assert times.between_looks == 5


def test_looks_often_enough_for_the_shortest_limit() -> None:
    assert Timeouts(send=0.8).between_looks == pytest.approx(0.05)


def test_a_wait_goes_on_while_it_is_the_same() -> None:
    watch = Stopwatch(now=10)
    assert watch.look(Waiting(Wait.REQUEST), 15) == (Wait.REQUEST, 5, 0)
    assert watch.look(Waiting(Wait.HEAD, 1, 40), 20) == (Wait.HEAD, 0, 0)
    assert watch.look(Waiting(Wait.HEAD, 1, 50), 24) == (Wait.HEAD, 4, 10)
    assert watch.look(Waiting(Wait.HEAD, 3, 90), 30) == (Wait.HEAD, 0, 0)


def test_the_first_wait_may_have_a_number() -> None:
    watch = Stopwatch(now=10, which=7)
    assert watch.look(Waiting(Wait.REQUEST, 7), 15) == (Wait.REQUEST, 5, 0)


@pytest.mark.parametrize(
    ("files", "most"), [(8, 16), (1024, 512), (1 << 62, 16384)], ids=["few", "usual", "as many as one likes"]
)
def test_half_of_the_files_are_for_clients(files: int, most: int) -> None:
    assert most_connections(files) == most


@pytest.mark.parametrize(
    ("waited", "excess", "expected"),
    [([], 2, []), ([5, 1], -1, []), ([5, 1, 9], 1, [2]), ([5, 1, 9, 7], 2, [2, 3]), ([1, 1], 5, [0, 1])],
    ids=["none", "room", "one too many", "the longest first", "all"],
)
def test_who_has_to_go(waited: list[float], excess: int, expected: list[int]) -> None:
    assert sorted(longest_waiting(waited, excess)) == expected
