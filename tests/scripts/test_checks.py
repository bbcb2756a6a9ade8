"""scripts/test, scripts/check and scripts/fix: what they run, with programs that only print their arguments."""

import subprocess

import pytest
from tests.support.clone import Clone

TELL = """#!/bin/sh
case "$*" in *tests.support.programs) exit;; esac # nothing is missing
echo "$(basename "$0") $*"
case "$*" in *FAILING*) exit 3;; esac
"""
CHECKS = ["ruff check", "ruff format --check", "python -m mypy", "python -m pip check --disable-pip-version-check"]


@pytest.fixture
def telling(clone: Clone) -> Clone:
    """Return a clone whose programs only print their arguments."""
    for name in ("python", "ruff"):
        path = clone.root / ".venv/bin" / name
        path.unlink(missing_ok=True)
        path.write_text(TELL)
        path.chmod(0o755)
    stamp = (clone.root / ".venv/.installed").read_text()
    for extra in ("test", "check"):
        (clone.root / f".venv/.installed-{extra}").write_text(stamp)
    return clone


def pytest_call(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("python -m pytest"))
    return line.removeprefix("python -m pytest")


@pytest.mark.parametrize("arguments", [(), ("--deep",)], ids=str)
def test_the_whole_suite_runs_in_parallel(telling: Clone, arguments: tuple[str, ...]) -> None:
    call = pytest_call(telling.run("test", *arguments, PATH="/usr/bin:/bin")).split()
    assert call[0] == "-n"
    assert 2 <= int(call[1]) <= 4
    assert call[2:4] == ["--dist", "loadgroup"]
    assert ("--deep" in call) == ("--deep" in arguments)


@pytest.mark.parametrize("arguments", ["tests/cache", "-k vary", "--deep tests/cache", "-n 8", "-x"])
def test_the_users_arguments_are_pytests(telling: Clone, arguments: str) -> None:
    assert pytest_call(telling.run("test", *arguments.split())) == f" {arguments}"


def test_its_exit_code_is_pytests(telling: Clone) -> None:
    assert telling.run("test", "FAILING").returncode == 3
    assert telling.run("test", "-x").returncode == 0


def test_everything_is_checked(telling: Clone) -> None:
    done = telling.run("check")
    assert done.returncode == 0
    assert [line.removeprefix("» ") for line in done.stdout.splitlines() if line.startswith("» ")] == CHECKS
    assert [line for line in done.stdout.splitlines() if not line.startswith("» ")] == CHECKS


def test_one_failing_check_fails_the_whole_after_the_others(telling: Clone) -> None:
    ruff = telling.root / ".venv/bin/ruff"
    ruff.write_text(TELL + "exit 1\n")
    done = telling.run("check")
    assert done.returncode == 1
    assert CHECKS[-1] in done.stdout


def test_fix_formats_too(telling: Clone) -> None:
    assert telling.run("fix").stdout.splitlines() == ["ruff check --fix", "ruff format"]


@pytest.mark.parametrize("script", ["check", "fix"])
def test_what_takes_no_arguments_refuses_them(telling: Clone, script: str) -> None:
    done = telling.run(script, "--frob")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{script}: takes no arguments; see --help\n")
