"""Errors for misspelt command lines, and the end of each help text."""

import argparse

import pytest

from proxy_policies.command import commands
from proxy_policies.script_paths import own_command
from proxy_policies.terminal import argument_parser
from proxy_policies.terminal.argument_parser import did_you_mean, set_help


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["rnu"], "did you mean run?"),
        (["cert"], "did you mean certs?"),
        (["capture", "chekc"], "did you mean check?"),
        (["path", "cahce"], "did you mean cache?"),
        (["--versoin"], "unrecognized arguments: --versoin; did you mean --version?"),
        (["capture", "check", "a.har", "--targte", "http://127.0.0.1:9"], "did you mean --target?"),
        (["capture", "check", "a.har", "--tragets=x"], "did you mean --target?"),
        (["certs", "make", "--froce"], "did you mean --force?"),
        (["cache", "purge", "--sfot", "x"], "did you mean --soft?"),
        (["stats", "--zzz"], "unrecognized arguments: --zzz\n"),
        (["capture", "record", "a.har", "curl", "-s", "x"], "arguments: -s x; write -- before the command to run\n"),
    ],
    ids=str,
)
def test_what_is_misspelt_is_told_apart(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.parse(words)
    assert ended.value.code == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["explain", "--last", "x"], ["explain", "--last", "-3"], ["stats", "--pid", "0"], ["run", "--workers", "²"]],
)
def test_what_is_not_a_number_is_told_what_would_be(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.parse(words)
    assert "is not a number of 1 or more\n" in capsys.readouterr().err


def test_a_file_of_the_same_name_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argument_parser, "own_command", lambda: "scripts/proxy-policies")
    parser = argparse.ArgumentParser()
    set_help(parser, "", ["x zsh >~/.zfunc/_proxy-policies      then", 'x "$(proxy-policies env)"'], {})
    assert "zsh >~/.zfunc/_proxy-policies  " in parser.format_help()
    assert '"$(scripts/proxy-policies env)"' in parser.format_help()


def test_nothing_near_is_no_hint() -> None:
    assert did_you_mean("zzz", ["run", "web"]) == ""
    assert did_you_mean("wbe", ["run", "web"]) == "; did you mean web?"


def test_examples_and_exit_codes_come_last() -> None:
    parser = argparse.ArgumentParser(prog="x")
    set_help(parser, "Does it.", ("do   it is done", 'env   "$(proxy-policies env)"'), {0: "done", 1: "not done"})
    command = own_command()
    assert parser.format_help().endswith(
        f'examples:\n  {command} do   it is done\n  {command} env   "$({command} env)"\n\n'
        "exit codes:\n  0   done\n  1   not done\n  2   the command line is wrong\n"
    )
