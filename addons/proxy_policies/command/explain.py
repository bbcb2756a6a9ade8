"""`proxy-policies explain`: what a running proxy decided, and why."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from proxy_policies.argument_parser import set_help
from proxy_policies.command import running


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print what a running proxy decided about its last flows, and why. It knows the last 200; hits that the fast\n"
        "path answers are counted by `stats`, and are not among them.",
        ("explain", "explain /api/orders                   those whose URL has this in it", "explain --last 1 --json"),
        running.EXIT_CODES,
    )
    parser.add_argument("text", nargs="?", default="", help="print flows whose method and URL have this in them")
    parser.add_argument("--last", type=int, default=20, metavar="N", help="print so many of the last (default: 20)")
    running.add_arguments(parser)
    parser.set_defaults(run_command=run)


def run(given: argparse.Namespace) -> int:
    """Print it."""
    asked = [flow for one in running.chosen(given) for flow in one.ask("explain", given.text, str(given.last))]
    found = sorted(asked, key=lambda flow: flow["ended"])[-given.last :] if given.last > 0 else []
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for flow in found:
        print("\n".join(lines(flow)))
    if not found:
        print(f"no flow has {given.text!r} in its URL" if given.text else "no flow has ended yet")
    return 0


def lines(flow: Mapping[str, Any]) -> Iterator[str]:
    """Return a flow, and what was decided, a line each."""
    when = time.strftime("%H:%M:%S", time.localtime(flow["ended"]))
    yield f"{when} {flow['flow']} → {flow['outcome'] or 'no answer'}"
    yield from (f"  {line}" for line in flow["lines"])
