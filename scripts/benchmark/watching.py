"""Measures what the access log, metrics and the dashboard cost: the instructions of a hit and of a miss with each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scripts.benchmark.instructions import HITS, MISSES, per_request
from scripts.benchmark.processes import free_port
from scripts.benchmark.targets import HERE

NONE = "nothing"
WAIT = 10.0
"""Seconds until records are delivered, twice the interval of `slow_clock`."""


def watchers() -> dict[str, list[str]]:
    """Return the options that turn each on."""
    one = {
        "access_log": ["access_log=/dev/null"],
        "metrics": [f"metrics={free_port()}"],
        "dashboard": [f"dashboard={free_port()}"],
    }
    return {NONE: [], **one, "all": [option for options in one.values() for option in options]}


def measure(origin: int, report: Callable[[str], None]) -> dict[str, Mapping[str, float]]:
    """Return the instructions of each kind of request with each policy, and report each when it is measured."""
    counted: dict[str, Mapping[str, float]] = {}
    for name, options in watchers().items():
        counted[name] = {
            kind.name: per_request(origin, kind, [HERE / "slow_clock.py"], options, wait=WAIT)
            for kind in (HITS, MISSES)
        }
        report(f"{name}: " + ", ".join(f"{n / 1000:.1f} thousand a {kind}" for kind, n in counted[name].items()))
    return counted


def as_markdown(counted: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of what each policy costs."""
    plain = counted[NONE]
    title = ["| what watches | more instructions of a hit | of a miss |", "| --- | ---: | ---: |"]
    shares = {name: [f"{n / plain[kind] - 1:.1%}" for kind, n in kinds.items()] for name, kinds in counted.items()}
    lines = [f"| `{name}` | {' | '.join(shares[name])} |" for name in counted if name != NONE]
    without = ", ".join(f"a {kind} {n / 1000:.1f} thousand" for kind, n in plain.items())
    return "\n".join([*title, *lines, "", f"Without them {without}.", ""])
