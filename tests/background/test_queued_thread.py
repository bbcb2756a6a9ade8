"""Items are taken in order; what cannot be is counted, and said once in a while."""

import threading
from collections.abc import Sequence

from proxy_policies.background.queued_thread import QueuedThread


class Taker(QueuedThread[int]):
    """Takes odd numbers, once it may."""

    def __init__(self, said: list[str], max_queued: int = 1000) -> None:
        super().__init__("test", "number", said.append, max_queued=max_queued, batch_size=3)
        self.may, self.items, self.is_ended = threading.Event(), list[int](), False

    def _process(self, items: Sequence[int]) -> tuple[int, str]:
        self.may.wait(60)
        if -1 in items:
            raise ValueError("less than nothing")
        self.items += items
        odd = sum(number % 2 for number in items)
        return odd, "" if odd == len(items) else "it is even"

    def _release(self) -> None:
        self.is_ended = True


def test_all_are_taken_in_order_in_the_end() -> None:
    said: list[str] = []
    taker = Taker(said)
    taker.start()
    taker.put(range(5))
    taker.put([5, 7])
    taker.may.set()
    taker.close(60)
    assert taker.items == [0, 1, 2, 3, 4, 5, 7]
    assert (taker.processed, taker.lost, taker.is_ended) == (4, 3, True)
    assert sum(int(line.split()[0]) for line in said) == 3
    assert all(line.endswith(("numbers lost: it is even", "numbers lost: the queue is full")) for line in said)


def test_what_fails_does_not_end_the_thread() -> None:
    said: list[str] = []
    taker = Taker(said)
    taker.may.set()
    taker.put([-1, 1, 1, 3])
    taker.start()
    taker.close(60)
    assert (taker.items, taker.processed, taker.lost) == ([3], 1, 3)


def test_no_more_wait_than_may() -> None:
    said: list[str] = []
    taker = Taker(said, max_queued=10)
    for _ in range(3):
        taker.put([1] * 8)
    taker.may.set()
    taker.start()
    taker.close(60)
    assert (taker.processed, taker.lost) == (10, 14)
    assert said == ["14 numbers lost: the queue is full"]


def test_who_closes_it_waits_no_longer_than_said() -> None:
    taker = Taker([])
    taker.start()
    taker.put([1])
    taker.close(0.1)
    assert not taker.is_ended
    taker.may.set()


def test_what_is_said_of_a_loss_is_its_own_reason() -> None:
    said: list[str] = []
    taker = Taker(said)
    taker.may.set()
    taker.put([2])
    taker.put([1, 3, 5, 7])
    taker.start()
    taker.close(60)
    assert said == ["1 number lost: it is even"]


def test_what_is_not_taken_in_the_end_is_lost_and_said() -> None:
    said: list[str] = []
    taker = Taker(said)
    taker.start()
    taker.put([1, 3, 5, 7])
    taker.end(0.1)
    assert (taker.processed, taker.lost) == (0, 4)
    assert said == ["4 numbers lost: not processed before the proxy ended"]
    taker.may.set()
