"""`proxy-policies units`: prints or writes systemd units."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proxy_policies.script_paths import PROGRAM
from proxy_policies.service.units import SERVICES, hidden, unit
from proxy_policies.terminal.argument_parser import set_help

WARNING = (
    "a service cannot see {path}; install with a Python outside of home folders: uv python install -i /opt/python 3.13"
)
"""uv and pyenv install Pythons into the home folder."""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Write systemd units that run this installation: hardened, with a user and a state folder of their own,\n"
        "started once the proxy says that it is ready. Each reads ARGUMENTS from /etc/default/NAME.",
        (
            "units                                print that of the proxy",
            "units proxy-policies-home            print that of home",
            "units --write /etc/systemd/system    write all of them there",
        ),
        {0: "printed, or written", 1: "the folder cannot be written"},
    )
    parser.add_argument("name", nargs="?", default="proxy-policies", choices=SERVICES, help="default: proxy-policies")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write all of them into a folder")
    parser.set_defaults(run_command=run)


def run(given: argparse.Namespace) -> int:
    """Print one unit, or write all; warn if units cannot see the folder of this installation."""
    command = str(Path(sys.executable).with_name(PROGRAM))
    if path := hidden([Path(sys.prefix), Path(sys.base_prefix).resolve()]):
        print(f"units: {WARNING.format(path=path)}", file=sys.stderr)
    if given.write is None:
        print(unit(given.name, command), end="")
        return 0
    for name in SERVICES:
        path = given.write / f"{name}.service"
        path.write_text(unit(name, command), encoding="utf-8")
        print(path)
    return 0
