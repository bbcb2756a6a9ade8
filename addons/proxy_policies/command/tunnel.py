"""`proxy-policies tunnel`: prints the state of a running home or work, and closes sessions of home."""

from __future__ import annotations

import argparse

from proxy_policies.command import asking, running
from proxy_policies.terminal.argument_parser import set_help

CLOSE = ("tunnel close 3                       the session with this number", "tunnel close ssh@office")


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print which works are connected to a running home and which sessions are open, or end sessions. "
        "Of a work, print whether it is connected to home.",
        ("tunnel status", *CLOSE),
        running.EXIT_CODES,
    )
    parser.set_defaults(policy="home")
    commands = parser.add_subparsers(dest="tunnel_command", metavar="COMMAND", required=True)
    asking.add(commands, "status", "tunnel.status", "print works and sessions", "tunnel status")
    close = asking.add(commands, "close", "tunnel.close", "end sessions", *CLOSE)
    close.add_argument(
        "arguments", nargs=1, metavar="WHICH", help="a session's number, SERVICE, SERVICE@WORK, WORK or all"
    )
