"""Selects a running proxy, for sub-commands."""

from __future__ import annotations

import argparse
from pathlib import Path

from proxy_policies.certificates import folders, own_folder
from proxy_policies.control import client
from proxy_policies.terminal.argument_parser import port, positive

EXIT_CODES = {
    0: "printed, or done; a list may be empty",
    1: "no such proxy runs, it does not have what was named, or it could not be done",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that select the proxy, and `--json`."""
    parser.add_argument("--port", type=port, help="select the proxy on this port, if several are running")
    parser.add_argument("--pid", type=positive, help="select the process with this id; home and work have no port")
    parser.add_argument("--confdir", type=Path, help="its confdir, if it is not the default one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def chosen(given: argparse.Namespace) -> list[client.Instance]:
    """Return the selected proxy, or the workers that share its port. Raise ControlError.

    If the command is about a policy, and any process has it, only such processes are considered.
    """
    usual = (own_folder.certificates_folder() / own_folder.CONFDIR, folders.mitmproxy_confdir())
    found = client.instances([given.confdir] if given.confdir else usual)
    policy = getattr(given, "policy", None)
    having = [one for one in found if policy in one.policies]
    return client.choose(
        having if having and given.pid is None and given.port is None else found, given.port, given.pid
    )
