"""The proxies that run on this machine, as sub-commands name one."""

from __future__ import annotations

import argparse
from pathlib import Path

from proxy_policies.argument_parser import port
from proxy_policies.certificates import folders
from proxy_policies.control import client

EXIT_CODES = {0: "printed, or done", 1: "no such proxy runs, or it could not be done"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which proxy is meant, and how to print."""
    parser.add_argument("--port", type=port, help="of the proxy that is meant, where several run")
    parser.add_argument("--pid", type=int, help="of the process that is meant, as a home and a work have no port")
    parser.add_argument("--confdir", type=Path, help="its confdir, where that is not the usual one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def chosen(given: argparse.Namespace) -> list[client.Instance]:
    """Return the proxy that is meant, or the workers that share its port; raises ControlError."""
    usual = (folders.certificates_folder() / folders.CONFDIR, folders.mitmproxy_confdir())
    found = client.instances([given.confdir] if given.confdir else usual)
    return client.choose(found, given.port, given.pid)
