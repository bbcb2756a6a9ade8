"""How the command ends."""

import argparse
import errno
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.support.mitmdump import environment

from proxy_policies.command import commands, main


def run(monkeypatch: pytest.MonkeyPatch, act: Callable[[], int]) -> int:
    monkeypatch.setattr(commands, "parse", lambda _: argparse.Namespace(run_command=lambda _: act()))
    return main.main(["path"])


def fail(error: BaseException) -> Callable[[], int]:
    def act() -> int:
        raise error

    return act


def test_the_exit_code_is_the_sub_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, lambda: 7) == 7


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("too many"), "too many"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "/x: No such file or directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("odd"), "odd"),
        (ValueError("a\x1b[31mb"), r"a\x1b[31mb"),
    ],
    ids=repr,
)
def test_what_cannot_be_done_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, fail(error)) == 1
    assert capsys.readouterr().err == f"proxy-policies path: {line}\n"


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "\n"


@pytest.mark.parametrize("words", [[], *([group] for group in commands.GROUPS)], ids=" ".join)
def test_without_a_word_more_it_helps(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_a_reader_that_has_enough_is_no_error() -> None:
    script = f"set -o pipefail; {sys.executable} -m proxy_policies path --json | (exec 0<&-; sleep 1); echo $?"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=environment())
    assert (done.stderr, done.stdout) in (("", "141\n"), ("", "0\n"))  # it may have printed all before
