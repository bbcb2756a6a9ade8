"""Who stays when there is not room for all."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.cache.stores.admission import EvictionPolicy, Lru, Sketch, TinyLfu


def play(policy: EvictionPolicy, names: Sequence[int], cost: int = 10) -> float:
    """Ask for names in turn; gives the share of hits."""
    held: set[int] = set()
    hits = 0
    for name in names:
        if name in held:
            hits += 1
            policy.used(str(name))
            continue
        held.add(name)
        for gone in policy.add(str(name), str(name), cost):
            policy.gone(gone)
            held.discard(int(gone))
        assert policy.total == cost * len(held) <= 1000
    return hits / max(len(names), 1)


@pytest.mark.parametrize("make", [Lru, TinyLfu])
@given(st.lists(st.integers(0, 300), max_size=300))
def test_the_limit_holds(make: type[Lru] | type[TinyLfu], names: list[int]) -> None:
    play(make(1000), names)


def test_a_scan_leaves_what_is_popular() -> None:
    popular = list(range(50))
    warm, scan = popular * 10, list(range(1000, 3000))
    kept = {}
    for make in (Lru, TinyLfu):
        policy = make(1000)
        play(policy, warm + scan)
        kept[make] = sum(1 for name in popular if not _absent(policy, name))
    assert kept[Lru] == 0
    assert kept[TinyLfu] >= 45


def _absent(policy: EvictionPolicy, name: int) -> bool:
    before = policy.total
    policy.gone(str(name))
    return policy.total == before


def test_popularity_beats_recency_on_a_zipf_trace() -> None:
    chance = random.Random(1)
    names = [min(int(chance.paretovariate(0.6)), 5000) for _ in range(20_000)]
    assert play(TinyLfu(1000), names) > play(Lru(1000), names)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 400)), max_size=200))
def test_any_costs_fit(asked: list[tuple[int, int]]) -> None:
    for policy in (Lru(1000), TinyLfu(1000)):
        costs: dict[str, int] = {}
        for name, cost in asked:
            id = str(name)
            gone = policy.grown(id, cost) if id in costs else policy.add(id, id, cost)
            costs[id] = cost
            for other in gone:
                policy.gone(other)
                costs.pop(other)
            assert policy.total == sum(costs.values()) <= 1000


def test_what_is_larger_than_everything_does_not_stay() -> None:
    for policy in (Lru(1000), TinyLfu(1000)):
        assert "big" in policy.add("big", "big", 5000)


def test_the_sketch_forgets() -> None:
    sketch = Sketch(64)
    for _ in range(15):
        sketch.add("x")
    assert sketch.count("x") == 15
    for number in range(600):
        sketch.add(str(number % 7))
    assert sketch.count("x") < 15
