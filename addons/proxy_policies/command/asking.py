"""Sub-commands that send one of mitmproxy's commands to a running proxy, and print the answer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proxy_policies.command import running
from proxy_policies.control.client import Instance
from proxy_policies.control.messages import ControlError
from proxy_policies.terminal.argument_parser import sentence, set_help

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add(commands: Commands, name: str, question: str, help: str, *examples: str) -> argparse.ArgumentParser:
    """Return a new sub-command, to which the caller may add `arguments`, a list of texts to send."""
    parser = commands.add_parser(name, help=help, allow_abbrev=False)
    set_help(parser, sentence(help), examples, running.EXIT_CODES)
    running.add_arguments(parser)
    parser.set_defaults(run_command=run, question=question, arguments=[])
    return parser


def run(given: argparse.Namespace) -> int:
    """Send the command, and print the answers. Raise ControlError if no proxy has what was named."""
    answers = [(one, one.ask(given.question, *given.arguments)) for one in running.chosen(given)]
    errors = [answer.get("error") for _, answer in answers]  # a proxy that was started before an upgrade has none
    if given.json:
        print(json.dumps([{"pid": one.status["pid"], "result": answer["data"]} for one, answer in answers], indent=2))
    if all(errors):
        raise ControlError(errors[0])
    if not given.json:
        print_lines(answers)
    return 0


def print_lines(answers: Sequence[tuple[Instance, Mapping[str, Any]]]) -> None:
    """Print the answers' lines; if there are none, say so on standard error, so that programs read none."""
    for one, answer in answers:
        if len(answers) > 1:
            print(f"{one.title}:")
        print(*answer["lines"], sep="\n", end="\n" if answer["lines"] else "")
    if not any(answer["lines"] for _, answer in answers):
        print("nothing found", file=sys.stderr)
