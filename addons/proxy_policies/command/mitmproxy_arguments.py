"""What arguments of mitmproxy say. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def value_of(arguments: Sequence[str], option: str) -> str:
    """Return what arguments of mitmproxy set an option to by `--set`, over which `--listen-host` would win."""
    specs = [argument.removeprefix("--set=").partition("=") for argument in arguments]
    return next((value for name, _, value in specs if name == option), "")
