"""How each `--help` ends: with examples, and with the exit codes."""

import argparse
from collections.abc import Mapping, Sequence

from proxy_policies.script_paths import PROGRAM, own_command

__all__ = ["PROGRAM", "WRONG_USAGE", "describe"]

WRONG_USAGE = 2
"""The exit code of argparse."""


def describe(
    parser: argparse.ArgumentParser,
    description: str,
    examples: Sequence[str],
    exit_codes: Mapping[int, str],
) -> None:
    """Set what a command's help says. Examples are without the program's name; what comes after two blanks explains."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = description
    codes = {**exit_codes, WRONG_USAGE: exit_codes.get(WRONG_USAGE, "the command line is wrong")}
    lines = ["examples:", *(f"  {own_command()} {_typed(example)}" for example in examples)]
    lines += ["", "exit codes:", *(f"  {code:<3} {text}" for code, text in sorted(codes.items()))]
    parser.epilog = "\n".join(lines)


def _typed(example: str) -> str:
    """Return an example with our command, where it is named within, as it is to be typed here."""
    return example.replace(f"{PROGRAM} ", f"{own_command()} ")
