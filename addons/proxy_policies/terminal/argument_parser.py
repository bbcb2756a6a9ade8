"""An argparse parser that suggests corrections for misspelt words, and the end of each `--help`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from proxy_policies.log_lines import nearest, printable
from proxy_policies.script_paths import PROGRAM, own_command

WRONG_USAGE = 2
"""The exit code of argparse."""


class ArgumentParser(argparse.ArgumentParser):
    """The parser of a command; its sub-commands' parsers are of this class, too."""

    advice = ""
    """What the message about unknown arguments says if none is similar to a known one."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            hint = did_you_mean(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{hint}") from None

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a message. Raise OSError, which argparse would ignore."""
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Exit with a message, in which control characters are escaped."""
        super().error(printable(message, lines=True))

    def reject(self, unknown: Sequence[str]) -> NoReturn:
        """Exit with a message that lists unknown arguments."""
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        hint = (did_you_mean(options[0], self._option_string_actions) if options else "") or self.advice
        self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")

    def record_subparser(self) -> None:
        """Set `parser` in the parsed arguments to the parser of the innermost sub-command."""
        self.set_defaults(parser=self)
        for action in self._actions:
            for child in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
                child.record_subparser()


def port(text: str) -> int:
    """Parse a port number; for argparse's `type`."""
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write 0 to 65535")
    return int(text)


def positive(text: str) -> int:
    """Parse a number of 1 or more; for argparse's `type`."""
    if not (text.isascii() and text.isdecimal()) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the most similar known word; "" if none is similar."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def sentence(help: str) -> str:
    """Return the line about a sub-command in its parent's help as the description in its own."""
    return f"{help[0].upper()}{help[1:]}."


def set_help(
    parser: argparse.ArgumentParser,
    description: str,
    examples: Sequence[str],
    exit_codes: Mapping[int, str],
) -> None:
    """Set a command's help. Examples lack the program's name; two spaces separate each from its explanation."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = description
    codes = {**exit_codes, WRONG_USAGE: exit_codes.get(WRONG_USAGE, "the command line is wrong")}
    lines = ["examples:", *(f"  {own_command()} {_typed(example)}" for example in examples)]
    lines += ["", "exit codes:", *(f"  {code:<3} {text}" for code, text in sorted(codes.items()))]
    parser.epilog = "\n".join(lines)


def _typed(example: str) -> str:
    """Return an example in which each mention of our command is written as the user has to type it."""
    return re.sub(rf"(?<![\w/]){PROGRAM} ", f"{own_command()} ", example)
