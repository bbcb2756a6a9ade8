"""`proxy-policies stats`: prints a running proxy's counters."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from proxy_policies.command import running
from proxy_policies.terminal.argument_parser import set_help


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print a running proxy's counters: flows and decisions, clients, fast paths, stored responses. Workers that\n"
        "share a port are printed one after the other.",
        ("stats", "stats --port 8080", "stats --json | jq '.[].policies.cache.bytes'"),
        running.EXIT_CODES,
    )
    running.add_arguments(parser)
    parser.set_defaults(run_command=run)


def run(given: argparse.Namespace) -> int:
    """Print the counters."""
    found = [one.ask("stats") for one in running.chosen(given)]
    print(json.dumps(found, indent=2) if given.json else "\n\n".join("\n".join(lines(stats)) for stats in found))
    return 0


def lines(stats: Mapping[str, Any]) -> Iterator[str]:
    """Return a line for each counter of a process, after one about the process."""
    ends = stats.get("tunnel_ends", ())  # a proxy that was started before an upgrade has none
    where = ", ".join([*stats["addresses"], *ends]) or "no port"
    yield f"process {stats['pid']} on {where}, for {stats['seconds']:.0f} s; proxy-policies {stats['version']}"
    for policy, counts in stats["policies"].items():
        for name, count in counts.items():
            yield f"{policy:<10} {name:<40} {count:>12}"
