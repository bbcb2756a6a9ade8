"""argparse's parser, which says what a misspelt word was probably meant to be; and how each `--help` ends."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from proxy_policies.log_lines import printable
from proxy_policies.script_paths import PROGRAM, own_command

WRONG_USAGE = 2
"""The exit code of argparse."""


class ArgumentParser(argparse.ArgumentParser):
    """Its sub-commands have parsers of this class, too."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            hint = did_you_mean(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{hint}") from None

    def error(self, message: str) -> NoReturn:
        """Exit; no terminal obeys what was typed."""
        super().error(printable(message, lines=True))

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Exit with what nobody knows."""
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        hint = did_you_mean(options[0], self._option_string_actions) if options else ""
        self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")

    def note_itself(self) -> None:
        """Have what is parsed say, as `parser`, the innermost of the sub-commands that it names."""
        self.set_defaults(parser=self)
        for action in self._actions:
            for child in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
                child.note_itself()


def port(text: str) -> int:
    """Read a port, for argparse's `type`."""
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: write 0 to 65535")
    return int(text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a line that names what a word was probably meant to be; "" where nothing is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def set_help(
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
