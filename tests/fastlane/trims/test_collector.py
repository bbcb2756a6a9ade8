"""Garbage is collected less often, for as long as that is wanted."""

from __future__ import annotations

import gc

from proxy_policies.fastlane.trims import collector


def test_the_collector_is_put_back() -> None:
    before = gc.get_threshold()
    undo = collector.relax()
    assert gc.get_threshold() == collector.GENERATIONS
    undo()
    assert gc.get_threshold() == before
