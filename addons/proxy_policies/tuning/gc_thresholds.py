"""Garbage, collected less often."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable

GENERATIONS = (20_000, 10, 50)
"""Allocations before a collection. A request makes thousands of objects that die at once by their counts, and the
default of 700 goes through the young ones several times for each."""


def raise_thresholds() -> Callable[[], None]:
    """Collect garbage less often; gives the function that undoes it."""
    before = gc.get_threshold()
    gc.set_threshold(*GENERATIONS)
    return functools.partial(gc.set_threshold, *before)
