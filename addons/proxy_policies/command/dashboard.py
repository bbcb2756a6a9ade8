"""`proxy-policies dashboard`: prints the URL of a running proxy's dashboard, with its token."""

from __future__ import annotations

import argparse

from proxy_policies.command import asking, running
from proxy_policies.terminal.argument_parser import set_help


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print the address of a running proxy's dashboard, with the token that opens it: for a proxy whose log\n"
        "is not visible, such as with -q or as a service.",
        ("dashboard", "dashboard --port 8080", "dashboard --confdir /var/lib/proxy-policies"),
        running.EXIT_CODES,
    )
    running.add_arguments(parser)
    parser.set_defaults(run_command=asking.run, question="dashboard", policy="dashboard", arguments=[])
