"""Output for a terminal goes through the user's pager, and for anything else as it is."""

import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from proxy_policies.capture.cli.pager import paged


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as out:
        yield out
    os.close(ours)


def write(
    terminal: TextIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pager: str, *, as_json: bool = False
) -> str:
    """Write through a pager that keeps what it gets; gives what it got."""
    target = tmp_path / "paged"
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("PAGER", pager.format(target=target))
    with paged(as_json) as out:
        out.write("a line\n")
    return target.read_text() if target.exists() else ""


def test_a_terminal_has_a_pager(terminal: TextIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write(terminal, tmp_path, monkeypatch, "dd of={target} status=none") == "a line\n"


@pytest.mark.parametrize("pager", ["", "cat", "no-such-pager-here"])
def test_without_one_it_is_printed(
    pager: str, terminal: TextIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("PAGER", pager)
    with paged() as out:
        assert out is sys.stdout


def test_a_program_gets_json_without_a_pager(terminal: TextIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write(terminal, tmp_path, monkeypatch, "dd of={target} status=none", as_json=True) == ""


def test_a_pager_that_is_quit_ends_nothing_else(terminal: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("PAGER", "true")
    with paged() as out:
        for _ in range(20_000):
            out.write("a line that nobody reads any more\n")


def test_what_is_piped_is_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PAGER", "false")
    with paged() as out:
        out.write("a line\n")
    assert capsys.readouterr().out == "a line\n"
