"""`proxy-policies cache`: lists, shows and purges what a running proxy has stored."""

from __future__ import annotations

import argparse

from proxy_policies.command import asking, running
from proxy_policies.terminal.argument_parser import set_help

SHOW = ("cache show http://127.0.0.1:9000/",)
PURGE = (
    "cache purge 'http://127.0.0.1:9000/*'",
    "cache purge --soft tag:shop           stale from now on, but still used if the origin fails",
)


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "List, show and purge what a running proxy has stored. Each worker has its own memory; all are asked.",
        (
            "cache stats",
            "cache list '*/api/*'",
            "cache list --json | jq -r '.[].result[].url'",
            *SHOW,
            *PURGE,
        ),
        running.EXIT_CODES,
    )
    parser.set_defaults(policy="cache")
    commands = parser.add_subparsers(dest="cache_command", metavar="COMMAND", required=True)
    asking.add(commands, "stats", "cache.stats", "print how full it is", "cache stats")
    listed = asking.add(commands, "list", "cache.list", "list what is stored", "cache list '*/api/*'")
    listed.add_argument(
        "arguments", nargs="*", metavar="GLOB", help="only what contains it, or is selected as for purge"
    )
    shown = asking.add(commands, "show", "cache.show", "print what is stored under a URL", *SHOW)
    shown.add_argument("arguments", nargs=1, metavar="URL", help="as for purge, or a key of `list`")
    purge = asking.add(commands, "purge", "cache.purge", "remove what is stored", *PURGE)
    purge.add_argument(
        "arguments", nargs=1, metavar="WHAT", help="a URL with all its variants, a glob, url:URL, or tag:NAME"
    )
    purge.add_argument(
        "--soft", dest="question", action="store_const", const="cache.purge.soft", help="make it stale instead"
    )
