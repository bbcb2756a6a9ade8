"""Every micro-optimisation is put in place, and taken out again."""

import subprocess
import sys
from pathlib import Path

from proxy_policies.patch import Replacement
from proxy_policies.tuning import all as tuning
from proxy_policies.tuning.all import TUNINGS, tune

PLACES = [apply.__self__ for applied in TUNINGS.values() for apply in applied if hasattr(apply, "__self__")]


def now() -> list[object]:
    return [vars(place.owner).get(place.attribute) for place in PLACES if isinstance(place, Replacement)]


def test_all_of_it_can_be_undone() -> None:
    before = now()
    undo = tune()
    assert not set(map(id, now())) & set(map(id, before))
    while undo:
        undo.pop()()
    assert now() == before


def test_each_module_is_there() -> None:
    """By its name, which is what `scripts/bench --tuning` shows."""
    modules = {path.stem for path in Path(tuning.__file__).parent.glob("*.py")}
    assert modules - {"__init__", "all"} == set(TUNINGS)


def test_without_assertions_nothing_is_missed() -> None:
    """`python -O` makes none of mitmproxy's checks of types."""
    program = "from proxy_policies.tuning.all import tune; tune()"
    done = subprocess.run([sys.executable, "-O", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""
