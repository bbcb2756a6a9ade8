"""Sub-commands that send one of mitmproxy's commands to a running proxy, and print the answer."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from proxy_policies.argument_parser import set_help
from proxy_policies.command import running

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add(commands: Commands, name: str, question: str, help: str, *examples: str) -> argparse.ArgumentParser:
    """Return a new sub-command, to which the caller may add `arguments`, a list of texts to send."""
    parser = commands.add_parser(name, help=help, allow_abbrev=False)
    set_help(parser, help.capitalize() + ".", examples, running.EXIT_CODES)
    running.add_arguments(parser)
    parser.set_defaults(run_command=run, question=question, arguments=[])
    return parser


def run(given: argparse.Namespace) -> int:
    """Send the command, and print the answers."""
    answers = [(one, one.ask(given.question, *given.arguments)) for one in running.chosen(given)]
    if given.json:
        print(json.dumps([{"pid": one.status["pid"], "result": answer["data"]} for one, answer in answers], indent=2))
        return 0
    for one, answer in answers:
        if len(answers) > 1:
            print(f"{one.title}:")
        print("\n".join(answer["lines"]))
    return 0
