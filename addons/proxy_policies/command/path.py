"""`proxy-policies path`: prints the path of a script, for `mitmdump -s "$(proxy-policies path)"`."""

from __future__ import annotations

import argparse
import json

from proxy_policies.script_paths import scripts
from proxy_policies.terminal.argument_parser import set_help


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print the path of a script for mitmproxy's -s: with every policy, or with one.",
        (
            'path                                 every policy: mitmdump -s "$(proxy-policies path)"',
            "path cache                           the cache alone",
            "path --json                          all of them, by name",
        ),
        {0: "printed"},
    )
    parser.add_argument("script", nargs="?", default="policy", choices=scripts(), help="default: policy, which is all")
    parser.add_argument("--json", action="store_true", help="print every script's path, by name")
    parser.set_defaults(run_command=run)


def run(given: argparse.Namespace) -> int:
    """Print the path."""
    found = {name: str(path) for name, path in scripts().items()}
    print(json.dumps(found, indent=2) if given.json else found[given.script])
    return 0
