"""The sub-commands, and the parser for them.

A sub-command's module is imported only if its name is on the command line, so that `--help` and `version` are fast.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from proxy_policies.script_paths import PROGRAM
from proxy_policies.terminal.argument_parser import ArgumentParser, set_help
from proxy_policies.version import VERSION


@dataclass(frozen=True)
class Command:
    """A sub-command; its module's function `describe(parser)` adds the arguments and sets `run_command`."""

    name: str
    help: str
    module: str
    describe: str = "describe"
    program: str = ""
    """The program of mitmproxy that gets the sub-command's other arguments."""


def _here(name: str, help: str) -> Command:
    return Command(name, help, f"proxy_policies.command.{name}")


def _proxy(name: str, help: str, program: str = "mitmdump") -> Command:
    return Command(name, help, "proxy_policies.command.proxy", f"describe_{name}", program)


COMMANDS = (
    _proxy("run", "run the proxy, as mitmdump with every policy"),
    _proxy("web", "run it with mitmweb's pages in a browser", "mitmweb"),
    _proxy("console", "run it in mitmproxy's console", "mitmproxy"),
    Command("capture", "record traffic, replay it, check a build against it", "proxy_policies.capture.cli.main"),
    Command("certs", "make a certificate authority, have clients trust it, test it", "proxy_policies.command.certs"),
    _proxy("home", "run the end of the reverse tunnel where the clients are"),
    _proxy("work", "run the end of the reverse tunnel behind the firewall"),
    _here("stats", "print a running proxy's counters"),
    _here("dashboard", "print the address of a running proxy's live page, with its token"),
    _here("explain", "print what a running proxy decided about its last flows, and why"),
    _here("cache", "list, show and purge what a running proxy has stored"),
    _here("tunnel", "print or close the sessions of a running home"),
    _here("doctor", "check this machine and the options, and say what to do"),
    _here("units", "print or write systemd units, for a permanent service"),
    _here("path", "print the path of a script for mitmproxy's -s"),
    _here("completion", "print the code for completion in bash, zsh or fish"),
    _here("version", "print the versions that are in use"),
)
GROUPS = ("capture", "certs", "cache", "tunnel")
"""Commands with sub-commands, which do nothing without one."""
DESCRIPTION = "The policy layer for mitmproxy: a cache, compression, header rules, tunnels, captures."
EXAMPLES = (
    "run                                  the proxy, on 127.0.0.1:8080",
    "run --mode reverse:http://127.0.0.1:9000",
    "capture record shop.har -- curl http://127.0.0.1:9000/",
    "COMMAND --help                       more about one of them",
)
EXIT_CODES = {0: "done", 1: "it could not be done, or what was checked is not so", 130: "interrupted (Ctrl-C)"}


def no_parents(program: str) -> Sequence[argparse.ArgumentParser]:
    """Return no parsers: mitmproxy parses its arguments itself."""
    return ()


def make_parser(
    words: Collection[str], parents: Callable[[str], Sequence[argparse.ArgumentParser]] = no_parents
) -> ArgumentParser:
    """Return the parser for a command line; only sub-commands among its words have their arguments added.

    `parents` returns parsers with the arguments of one of mitmproxy's programs, for shell completion.
    """
    top = ArgumentParser(prog=PROGRAM, allow_abbrev=False)
    set_help(top, DESCRIPTION, EXAMPLES, EXIT_CODES)
    top.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    added = top.add_subparsers(dest="subcommand", metavar="COMMAND")
    for command in COMMANDS:
        is_named = command.name in words
        more: Sequence[Any] = parents(command.program) if is_named and command.program else ()
        parser = added.add_parser(
            command.name, help=command.help, allow_abbrev=False, parents=more, conflict_handler="resolve"
        )
        if is_named:
            getattr(importlib.import_module(command.module), command.describe)(parser)
    top.record_subparser()
    return top


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line, with mitmproxy's arguments in `mitmproxy_arguments`. Exit like argparse."""
    if not words or (len(words) == 1 and words[0] in GROUPS):
        words = [*words, "--help"]
    given, rest = make_parser(words).parse_known_args(words)
    if given.subcommand is None or (rest and not getattr(given, "takes_mitmproxy_arguments", False)):
        given.parser.reject(rest or words)
    given.mitmproxy_arguments = rest
    return given
