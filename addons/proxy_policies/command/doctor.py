"""`proxy-policies doctor`: checks everything that a proxy needs, and gives advice."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from proxy_policies.certificates import folders
from proxy_policies.doctor import certificates, environment, modes, trial_run
from proxy_policies.doctor.finding import Finding, report
from proxy_policies.options import mitmproxy_arguments
from proxy_policies.options.files import expand_home
from proxy_policies.terminal.argument_parser import port, set_help


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    set_help(
        parser,
        "Check what a proxy needs on this machine, and print the results with advice: versions, packages, the clock,\n"
        "the certificate authority and which clients trust it (by real connections through a proxy that is started\n"
        "for a moment), the ports and servers of --mode, the options, the cache, the tunnel's certificates.\n\n"
        "Give it the arguments of `run`; a running proxy is not disturbed.",
        (
            "doctor",
            "doctor --set policy_file=policies.yaml --set cache=redis://127.0.0.1:6379/0",
            "doctor --json | jq '.[] | select(.level != \"ok\")'",
        ),
        {0: "nothing is wrong; there may be warnings", 1: "something is wrong"},
    )
    parser.add_argument("-p", "--listen-port", type=port, help="the port to check (default: that of --mode, or 8080)")
    parser.add_argument("--listen-host", default="127.0.0.1", help="the address to check (default: 127.0.0.1)")
    parser.add_argument("--json", action="store_true", help="print a JSON list: level, subject, text, advice")
    parser.set_defaults(run_command=run, takes_mitmproxy_arguments=True)


def run(given: argparse.Namespace) -> int:
    """Print the findings. Raise ValueError for a number that is no port."""
    mitmproxy_arguments.require_ports(given.mitmproxy_arguments)
    return report(look(given), given.json)


def look(given: argparse.Namespace) -> Iterator[Finding]:
    """Run all checks, and yield their findings."""
    folder = mitmproxy_arguments.value_of(given.mitmproxy_arguments, "confdir")
    confdir = expand_home(folder) if folder else folders.own_confdir() or folders.mitmproxy_confdir()
    yield from environment.python()
    yield from environment.packages()
    yield from environment.open_files()
    yield from environment.clock()
    yield from certificates.look_at_authority(confdir)
    yield from certificates.look_at_trust(confdir)
    yield from certificates.look_at_tunnel()
    named = mitmproxy_arguments.modes(given.mitmproxy_arguments)
    yield from modes.look_at_modes(named, given.listen_host, _listen_port(given), confdir)
    yield from trial_run.look_at_options(given.mitmproxy_arguments, confdir)


def _listen_port(given: argparse.Namespace) -> int | None:
    """Return the port that is given; None if it is not."""
    text = mitmproxy_arguments.value_of(given.mitmproxy_arguments, "listen_port")
    return given.listen_port if given.listen_port is not None or not text.isdecimal() else int(text)
