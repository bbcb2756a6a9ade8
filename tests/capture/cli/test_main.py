"""Command lines: read as they say in their help, and what cannot be done is one line and an exit code."""

import argparse
import errno
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_policies.capture.cli.main import EXAMPLES, FAILED, main, parser, run_parsed
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import writer


@pytest.fixture(autouse=True)
def sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


LINES = [line for lines, _ in EXAMPLES.values() for line in lines]


@pytest.mark.parametrize("line", LINES)
def test_every_example_of_the_help_can_be_run(line: str) -> None:
    program, *arguments = shlex.split(line)
    parsed = parser().parse_args(arguments)
    assert program == "capture"
    assert (parsed.command_name, callable(parsed.run)) == (arguments[0], True)


def test_every_command_has_examples_and_exit_codes() -> None:
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert commands.choices.keys() == EXAMPLES.keys()
    for lines, codes in EXAMPLES.values():
        assert lines
        assert codes.keys() >= {0, FAILED}


WRONG = {
    "no command": ([], "COMMAND"),
    "entry 0": (["show", "a.har", "0"], "'0' is not a number of 1 or more"),
    "no number": (["check", "a.har", "--jobs", "²"], "'²' is not a number of 1 or more"),
    "accept nothing": (["check", "a.har", "--accept", "-1"], "--accept"),
    "no size": (["export", "a.har", "b.har", "--bodies-over", "much"], "--bodies-over: "),
    "nothing to run": (["record", "a.har"], "command"),
    "a wrong kind": (["export", "a.har", "b", "--as", "pdf"], "invalid choice: 'pdf'"),
}


@pytest.mark.parametrize(("arguments", "why"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == FAILED
    assert why in capsys.readouterr().err


RAISED: dict[str, tuple[BaseException, int, str]] = {
    "of a capture": (CaptureError("a.har: entry 1: no"), FAILED, "capture: a.har: entry 1: no\n"),
    "of a file": (FileNotFoundError(errno.ENOENT, "No such file", "a.har"), FAILED, "capture: a.har: No such file\n"),
    "of a socket": (OSError("it is gone"), FAILED, "capture: it is gone\n"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "\n"),
}


@pytest.mark.parametrize(("error", "code", "said"), RAISED.values(), ids=RAISED)
def test_what_cannot_be_done_is_said_in_one_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    assert run_parsed(argparse.Namespace(run=fail)) == code
    assert capsys.readouterr().err == said


def test_a_termination_ends_as_python_does_by_itself() -> None:
    """Proxies are stopped, and captures made whole, as the stack unwinds."""

    def be_terminated(_: argparse.Namespace) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    with pytest.raises(SystemExit) as ended:
        run_parsed(argparse.Namespace(run=be_terminated))
    assert ended.value.code == 128 + signal.SIGTERM


def test_a_command_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.har"
    writer.rewrite(path, writer.new_log(), [])
    assert main(["show", str(path)]) == 0
    assert main(["show", str(path), "1"]) == FAILED
    assert "no entry 1" in capsys.readouterr().err
