"""Measures what the access log, metrics and the dashboard cost.

The instructions of a hit and of a miss with each, and the requests per second with all, round by round beside those
without.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence

from scripts.benchmark.instructions import HITS, MISSES, per_request
from scripts.benchmark.processes import free_port
from scripts.benchmark.report import Results
from scripts.benchmark.targets import HERE, Target, ours_with

NONE, ALL = "nothing", "all"
SCENARIOS = ("hit, 1 KiB, keep-alive", "miss, 1 KiB, keep-alive")
"""Those of which the requests per second are measured."""
ROUNDS, SECONDS = 12, 2.0
WAIT = 10.0
"""Seconds until records are delivered, twice the interval of `slow_clock`."""


def watchers() -> dict[str, list[str]]:
    """Return the options that turn each on."""
    one = {
        "access_log": ["access_log=/dev/null"],
        "metrics": [f"metrics={free_port()}"],
        "dashboard": [f"dashboard={free_port()}"],
    }
    return {NONE: [], **one, ALL: [option for options in one.values() for option in options]}


def targets() -> list[Target]:
    """Return the proxy with none of them, and with all."""
    options = watchers()
    return [ours_with(name, options[name]) for name in (NONE, ALL)]


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


def rates_as_markdown(results: Results) -> str:
    """Return a table of requests per second; a cost is the rounds' median, with that of the first and third quarter."""
    lines = ["| requests/s | nothing | all | cost | more CPU |", "| --- | ---: | ---: | ---: | ---: |"]
    for scenario, measured in results.items():
        without, with_all = measured[NONE], measured[ALL]
        rates = " | ".join(f"{each.rate:.0f} ± {each.spread:.0%}" for each in (without, with_all))
        fewer = [1 - after / before for before, after in zip(without.rates, with_all.rates, strict=True)]
        more = [after / before - 1 for before, after in zip(without.cpus, with_all.cpus, strict=True)]
        lines.append(f"| {scenario} | {rates} | {_quartiles(fewer)} | {_quartiles(more)} |")
    return "\n".join([*lines, "", f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.", ""])


def _quartiles(costs: Sequence[float]) -> str:
    if len(costs) < 2:  # one round, or a proxy that failed
        return f"{costs[0]:.1%}" if costs else "failed"
    low, median, high = statistics.quantiles(costs, n=4)
    return f"{median:.1%} ({low:.1%} to {high:.1%})"
