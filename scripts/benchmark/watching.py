"""What being watched costs: the instructions of a hit and of a miss, with and without what watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scripts.benchmark.instructions import HITS, MISSES, per_request
from scripts.benchmark.processes import free_port
from scripts.benchmark.targets import HERE

NOBODY = "nothing"
WAIT = 10.0
"""Seconds until what was put off is done, twice those of `slow_clock`."""


def watchers() -> dict[str, list[str]]:
    """Return the options with which each watches."""
    one = {
        "access_log": ["access_log=/dev/null"],
        "metrics": [f"metrics={free_port()}"],
        "dashboard": [f"dashboard={free_port()}"],
    }
    return {NOBODY: [], **one, "all": [option for options in one.values() for option in options]}


def measure(origin: int, report: Callable[[str], None]) -> dict[str, Mapping[str, float]]:
    """Return the instructions of each kind of request by who watches, and report each when it is counted."""
    counted: dict[str, Mapping[str, float]] = {}
    for name, options in watchers().items():
        counted[name] = {
            kind.name: per_request(origin, kind, [HERE / "slow_clock.py"], options, wait=WAIT)
            for kind in (HITS, MISSES)
        }
        report(f"{name}: " + ", ".join(f"{n / 1000:.1f} thousand a {kind}" for kind, n in counted[name].items()))
    return counted


def as_markdown(counted: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of what each costs."""
    nobody = counted[NOBODY]
    title = ["| what watches | more instructions of a hit | of a miss |", "| --- | ---: | ---: |"]
    shares = {name: [f"{n / nobody[kind] - 1:.1%}" for kind, n in kinds.items()] for name, kinds in counted.items()}
    lines = [f"| `{name}` | {' | '.join(shares[name])} |" for name in counted if name != NOBODY]
    plain = ", ".join(f"a {kind} {n / 1000:.1f} thousand" for kind, n in nobody.items())
    return "\n".join([*title, *lines, "", f"Unwatched {plain}.", ""])
