"""`proxy-policies version`: prints the versions in use, for a bug report."""

from __future__ import annotations

import argparse
import json
import platform
import sys

from proxy_policies.script_paths import PACKAGE
from proxy_policies.start_up import requirements
from proxy_policies.terminal.argument_parser import set_help
from proxy_policies.version import VERSION


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Print the versions of proxy-policies, mitmproxy and Python, and where they are.",
        ("version", "version --json | jq -r .mitmproxy"),
        {0: "printed"},
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run_command=run)


def versions() -> dict[str, str]:
    """Return the versions and paths by name."""
    return {
        "proxy-policies": VERSION,
        "mitmproxy": requirements.mitmproxy_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "package": str(PACKAGE),
    }


def run(given: argparse.Namespace) -> int:
    """Print the versions."""
    found = versions()
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        print(f"{name:<14} {value}")
    if line := requirements.untested():
        print(line)
    return 0
