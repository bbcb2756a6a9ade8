"""`proxy-policies explain`: prints what a running proxy decided, and why."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from proxy_policies.command import running
from proxy_policies.terminal.argument_parser import positive, set_help


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print what a running proxy decided about its last flows, and why. The last 200 are kept, without hits on the\n"
        "fast path, which `stats` counts.",
        ("explain", "explain /api/orders                   flows whose URL contains this", "explain --last 1 --json"),
        running.EXIT_CODES,
    )
    parser.add_argument("text", nargs="?", default="", help="print only flows whose method and URL contain this")
    parser.add_argument("--last", type=positive, default=20, metavar="N", help="print the last N (default: 20)")
    running.add_arguments(parser)
    parser.set_defaults(run_command=run, policy="explain")


def run(given: argparse.Namespace) -> int:
    """Print the flows."""
    asked = [flow for one in running.chosen(given) for flow in one.ask("explain", given.text, str(given.last))]
    found = sorted(asked, key=lambda flow: flow["ended"])[-given.last :]
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for flow in found:
        print("\n".join(lines(flow)))
    if not found:
        none = f"no flow has {given.text!r} in its URL" if given.text else "no flow has ended yet"
        print(none, file=sys.stderr)
    return 0


def lines(flow: Mapping[str, Any]) -> Iterator[str]:
    """Return a line for the flow, and one for each decision."""
    when = time.strftime("%H:%M:%S", time.localtime(flow["ended"]))
    yield f"{when} {flow['flow']} → {flow['outcome'] or 'no response'}"
    yield from (f"  {line}" for line in flow["lines"])
