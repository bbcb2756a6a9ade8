"""Reads mitmproxy's arguments. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

HOST_PATTERNS = ("ignore_hosts", "allow_hosts", "tcp_hosts", "udp_hosts")
"""Options whose values are regular expressions that mitmproxy compiles unchecked."""


def value_of(arguments: Sequence[str], option: str) -> str:
    """Return the value that `--set` gives an option; "" if it does not. Other arguments are not considered."""
    return next(iter(_set_values(arguments, option)), "")


def require_patterns(arguments: Sequence[str]) -> None:
    """Raise ValueError for an invalid regular expression with which mitmproxy would end in a traceback."""
    for option in HOST_PATTERNS:
        flag = f"--{option.replace('_', '-')}"
        patterns = [after for argument, after in pairwise(arguments) if argument == flag]
        patterns += [argument.removeprefix(f"{flag}=") for argument in arguments if argument.startswith(f"{flag}=")]
        for pattern in (*patterns, *_set_values(arguments, option)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"option {option}={pattern!r}: {error}") from error


def _set_values(arguments: Sequence[str], option: str) -> list[str]:
    specs = [argument.removeprefix("--set=").partition("=") for argument in arguments]
    return [value for name, _, value in specs if name == option]
