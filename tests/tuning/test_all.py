"""Every micro-optimisation is put in place, and taken out again."""

import gc

from proxy_policies.tuning.all import TUNINGS, tune


def test_all_of_it_can_be_undone() -> None:
    before = [vars(one.owner).get(one.attribute) for one in TUNINGS]
    thresholds = gc.get_threshold()
    undo = tune()
    assert [vars(one.owner).get(one.attribute) for one in TUNINGS] != before
    assert gc.get_threshold() != thresholds
    while undo:
        undo.pop()()
    assert [vars(one.owner).get(one.attribute) for one in TUNINGS] == before
    assert gc.get_threshold() == thresholds
