"""Reads mitmproxy's arguments. Pure."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from proxy_policies.options.files import error_of_input

HOST_PATTERNS = ("ignore_hosts", "allow_hosts", "tcp_hosts", "udp_hosts")
"""Options whose values are regular expressions that mitmproxy compiles unchecked."""

MODE = ("-m", "--mode")

FLOW_FILES = (("-r", "--rfile"), ("-C", "--client-replay"), ("-S", "--server-replay"))
"""Arguments of mitmproxy that are followed by the path of a file to read."""


def value_of(arguments: Sequence[str], option: str) -> str:
    """Return the value that `--set` gives an option; "" if it does not. Other arguments are not considered."""
    return next(iter(_set_values(arguments, option)), "")


def require_patterns(arguments: Sequence[str]) -> None:
    """Raise ValueError for an invalid regular expression with which mitmproxy would end in a traceback."""
    for option in HOST_PATTERNS:
        flag = f"--{option.replace('_', '-')}"
        for pattern in (*_flag_values(arguments, [flag]), *_set_values(arguments, option)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"option {option}={pattern!r}: {error}") from error


def modes(arguments: Sequence[str]) -> list[str]:
    """Return the modes that are given."""
    return [*_flag_values(arguments, MODE), *_set_values(arguments, "mode")]


def without_modes(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without `--mode`; `--set mode=…` stays."""
    return _parsed(arguments, MODE)[1]


def require_ports(arguments: Sequence[str]) -> None:
    """Raise ValueError for a number that is no port; mitmproxy's error would not name the option."""
    for text in (*_flag_values(arguments, ["-p", "--listen-port"]), *_set_values(arguments, "listen_port")):
        if re.fullmatch(r"[+-]?\d+", text) and not 0 <= int(text) <= 65535:
            raise ValueError(f"option listen_port={text}: not a port from 0 to 65535")


def _set_values(arguments: Sequence[str], option: str) -> list[str]:
    specs = [argument.removeprefix("--set=").partition("=") for argument in arguments]
    return [value for name, _, value in specs if name == option]


def require_flow_files(arguments: Sequence[str]) -> None:
    """Raise ValueError for a file of flows that cannot be read; mitmproxy's error would not name it."""
    for flags in FLOW_FILES:
        for path in _flag_values(arguments, flags):
            if error := error_of_input(path):
                raise ValueError(f"{flags[0]} {path}: {error}")


def _flag_values(arguments: Sequence[str], *flags: Sequence[str]) -> list[str]:
    """Return the values of arguments, each of which may have several names, in their order."""
    return _parsed(arguments, *flags)[0]


def _parsed(arguments: Sequence[str], *flags: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the values of arguments, and the other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for names in flags:
        parser.add_argument(*names, dest="values", action="append", nargs="?", default=[])
    given, others = parser.parse_known_args(arguments)
    return [value for value in given.values if value], others
