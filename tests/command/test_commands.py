"""The sub-commands, their help, and what it costs to ask for it."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.mitmdump import environment

from proxy_policies.command.commands import COMMANDS, make_parser, parse
from proxy_policies.script_paths import own_command

NAMES = [command.name for command in COMMANDS]
HEAVY = ("mitmproxy.http", "cryptography", "asyncio", "rich", "werkzeug", "jinja2")
IMPORTED = """
import contextlib, sys
from proxy_policies.command.main import main
with contextlib.suppress(SystemExit):
    main({words})
print("imported:", *(name for name in {heavy} if name in sys.modules))
"""


def nested(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its sub-commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from nested(child)


def examples(parser: argparse.ArgumentParser) -> list[str]:
    """Return the examples of a parser's help, without the program's name and what explains them."""
    text = (parser.epilog or "").partition("examples:\n")[2].partition("\n\n")[0]
    return [re.split(r"\s{2,}", line.strip())[0].removeprefix(f"{own_command()} ") for line in text.splitlines()]


EVERY = {parser.prog: parser for parser in nested(make_parser(NAMES))}


@pytest.mark.parametrize("prog", EVERY)
def test_every_help_has_examples_and_exit_codes(prog: str) -> None:
    text = EVERY[prog].format_help()
    assert "\nexamples:\n" in text
    assert re.search(r"\nexit codes:\n  0   .*\n(.*\n)*  2   ", text)
    assert max(map(len, (EVERY[prog].epilog or "").splitlines())) <= 120


def test_every_help_describes_its_own_command() -> None:
    described = [parser.description for parser in EVERY.values()]
    assert all(described)
    assert len(set(described)) == len(described)
    assert EVERY["proxy-policies cache show"].description == "Print what is stored under a URL."


@pytest.mark.parametrize("example", sorted({example for parser in EVERY.values() for example in examples(parser)}))
def test_every_example_is_a_command_line(example: str) -> None:
    if example.startswith("COMMAND"):
        return
    words = shlex.split(re.sub(r"[|>].*", "", example))
    assert parse(words).subcommand == words[0]


@pytest.mark.parametrize("prog", EVERY)
def test_everything_that_can_be_said_has_its_help(prog: str) -> None:
    actions = [action for action in EVERY[prog]._actions if not isinstance(action, argparse._SubParsersAction)]
    assert not [action.dest for action in actions if not action.help]


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["path"], ["version"], ["run", "--help"]], ids=" ".join)
def test_asking_imports_nothing_heavy(words: list[str]) -> None:
    code = IMPORTED.format(words=words, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment())
    assert done.stdout.splitlines()[-1] == "imported:", done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nosuch"], "invalid choice: 'nosuch'"),
        (["path", "--josn"], "path: error: unrecognized arguments: --josn"),
        (["certs", "make", "--forse"], "unrecognized arguments: --forse"),
        (["doctor", "-p", "80000"], "'80000' is not a port: write 0 to 65535"),
        (["stats", "--port", "x"], "'x' is not a port"),
        (["run", "--workers", "0"], "'0' is not a number of 1 or more"),
        (["run", "--workers", "many"], "'many' is not a number of 1 or more"),
        (["web", "--workers", "2", "path"], ""),
    ],
)
def test_what_is_wrong_is_said(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not complaint:
        assert parse(words).mitmproxy_arguments == ["--workers", "2", "path"]  # mitmweb's to refuse
        return
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
