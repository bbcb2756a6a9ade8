"""Selects a running proxy, for sub-commands."""

from __future__ import annotations

import argparse
from pathlib import Path

from proxy_policies.argument_parser import port
from proxy_policies.certificates import folders
from proxy_policies.control import client

EXIT_CODES = {0: "printed, or done", 1: "no such proxy runs, or it could not be done"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select the proxy, and `--json`."""
    parser.add_argument("--port", type=port, help="select the proxy on this port, if several are running")
    parser.add_argument("--pid", type=int, help="select the proxy with this process id; home and work have no port")
    parser.add_argument("--confdir", type=Path, help="its confdir, if it is not the default one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def chosen(given: argparse.Namespace) -> list[client.Instance]:
    """Return the selected proxy, or the workers that share its port. Raise ControlError.

    If the command is about one end of a tunnel, and any runs, only such processes are considered.
    """
    usual = (folders.certificates_folder() / folders.CONFDIR, folders.mitmproxy_confdir())
    found = client.instances([given.confdir] if given.confdir else usual)
    end = getattr(given, "tunnel_end", None)
    ends = [one for one in found if end in one.tunnel_ends]
    return client.choose(ends if ends and given.pid is None and given.port is None else found, given.port, given.pid)
