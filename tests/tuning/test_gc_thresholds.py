"""Garbage is collected less often, for as long as that is wanted."""

from __future__ import annotations

import gc

from proxy_policies.tuning import gc_thresholds


def test_the_collector_is_put_back() -> None:
    before = gc.get_threshold()
    undo = gc_thresholds.raise_thresholds()
    assert gc.get_threshold() == gc_thresholds.GENERATIONS
    undo()
    assert gc.get_threshold() == before
