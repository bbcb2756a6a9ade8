"""Reads mitmproxy's arguments. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def value_of(arguments: Sequence[str], option: str) -> str:
    """Return the value that `--set` gives an option; "" if it does not. Other arguments are not considered."""
    specs = [argument.removeprefix("--set=").partition("=") for argument in arguments]
    return next((value for name, _, value in specs if name == option), "")
