"""The command line of `proxy-policies certs`, which creates an authority, adds it to stores, tests and removes it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proxy_policies.certificates import name_constraints, own_folder
from proxy_policies.certificates.stores import OTHER_SYSTEMS, STORES
from proxy_policies.command.certs_actions import SHELLS, env, make, serve, trust, undo, untrust, verify
from proxy_policies.reverse_tunnel import certificates
from proxy_policies.terminal.argument_parser import port, sentence, set_help

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    Act = Callable[[Path, argparse.Namespace], int]

DESCRIPTION = "Make the certificate authority (CA) that opens inspected hosts, have clients trust it, undo that."
MAKE = (
    "certs make                           a CA, with which the proxy signs from its next start",
    "certs make --permit example.com      … that clients believe for that domain alone",
)
ENV = ('certs env                            for a shell: eval "$(proxy-policies certs env)"',)
TRUST = (
    "certs trust chromium firefox         add it to these stores",
    "certs trust macos                    what to type on a Mac, or on Windows",
)
VERIFY = (
    "certs verify                         try it with real clients through a real proxy",
    "certs verify --json | jq '.[] | select(.level != \"ok\")'",
)
SERVE = ("certs serve --listen-host 0.0.0.0    a page with a QR code, for phones and other machines",)
UNTRUST = ("certs untrust chromium               remove it from a store",)
UNDO = ("certs undo                           remove it from every store, and delete it",)
EXAMPLES = (*MAKE, *ENV, *TRUST, *VERIFY[:1], *SERVE, *UNTRUST, *UNDO, *certificates.EXAMPLES[:1])
EXIT_CODES = {0: "done; verify: clients and the stores named trust it", 1: "not so, or it could not be done"}
DONE = {0: "done", 1: "it could not be done; the last line says why"}
DEVICE_PORT = 8083  # after mitmproxy's own 8080 and mitmweb's 8081


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their arguments."""
    set_help(parser, DESCRIPTION, EXAMPLES, EXIT_CODES)
    where = own_folder.certificates_folder()
    parser.add_argument("--folder", type=named_folder, help=f"where the authority is (default: {where})")
    commands = parser.add_subparsers(dest="certs_command", metavar="COMMAND", required=True)
    describe_authority(commands)
    describe_stores(commands)
    tunnel = add(commands, "tunnel", "make a certificate for an end of the reverse tunnel", certificates.run)
    certificates.describe(tunnel)
    parser.set_defaults(run_command=run_parsed)


def describe_authority(commands: Commands) -> None:
    """Add the commands that create, distribute and delete the authority."""
    made = add(commands, "make", "make an authority, with which the proxy signs from its next start", make, *MAKE)
    made.add_argument("--force", action="store_true", help="replace the one there")
    made.add_argument(
        "--permit",
        action="append",
        default=[],
        type=permitted,
        metavar="DOMAIN",
        help="let clients trust it only for this domain and its subdomains, or this network; may be repeated",
    )
    printed = add(commands, "env", "print the variables by which a shell's programs trust it", env, *ENV)
    printed.add_argument(
        "shell", nargs="?", default="sh", choices=SHELLS, help="default: sh, which is bash and zsh too"
    )
    served = add(commands, "serve", "serve it to phones and other machines: a page with a QR code", serve, *SERVE)
    served.add_argument("--port", type=port, default=DEVICE_PORT, help=f"default: {DEVICE_PORT}; 0 is one that is free")
    served.add_argument("--listen-host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1")
    add(commands, "undo", "remove it from every store, and delete it", undo, *UNDO)


def describe_stores(commands: Commands) -> None:
    """Add the commands that change and check trust stores."""
    added = add(commands, "trust", "add it to stores; env is for a shell's programs", trust, *TRUST)
    add_stores(added, "+", store_or_system, STORES + OTHER_SYSTEMS)
    removed = add(commands, "untrust", "remove it from stores; without a name, from all", untrust, *UNTRUST)
    add_stores(removed, "*", store_or_system, STORES + OTHER_SYSTEMS)
    tried = add(commands, "verify", "try it with real clients, and say which stores trust it", verify, *VERIFY)
    set_help(tried, f"{tried.description}", VERIFY, EXIT_CODES)
    add_stores(tried, "*", store_name, STORES)
    tried.add_argument("--json", action="store_true", help="print a JSON list: level, subject, text, advice")


def add_stores(parser: argparse.ArgumentParser, nargs: str, parse: Callable[[str], str], known: Sequence[str]) -> None:
    """Add the names of stores. Shells complete them: argparse's `choices` would describe an error less well."""
    named = parser.add_argument("store", nargs=nargs, type=parse, metavar="STORE", help=", ".join(known))
    named.completer = lambda **_: known  # type: ignore[attr-defined]


def add(commands: Commands, name: str, help: str, act: Act, *examples: str) -> argparse.ArgumentParser:
    """Add a command."""
    parser = commands.add_parser(name, help=help, allow_abbrev=False)
    set_help(parser, sentence(help), examples, DONE)
    parser.set_defaults(act=act)
    return parser


def named_folder(text: str) -> Path:
    """Return a folder's path, for argparse. An empty text, as from an unset variable, is an error."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text).absolute()


def permitted(text: str) -> name_constraints.Permitted:
    """Return a domain or a network, for argparse."""
    try:
        return name_constraints.parse_permitted(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def store_name(text: str, known: Sequence[str] = STORES) -> str:
    """Return a store's name, for argparse."""
    if text not in known:
        raise argparse.ArgumentTypeError(f"no store {text!r}; choose from {', '.join(known)}")
    return text


def store_or_system(text: str) -> str:
    """Return the name of a store or of another system, for argparse."""
    return store_name(text, STORES + OTHER_SYSTEMS)


def run_parsed(given: argparse.Namespace) -> int:
    """Run a command; return its exit code. Raise ValueError or OSError."""
    folder: Path = given.folder or own_folder.certificates_folder().absolute()
    return int(given.act(folder, given))
