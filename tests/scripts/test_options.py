"""scripts/options: the table of options is the code's."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "options"


def options(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, timeout=100)


def test_every_option_has_its_row() -> None:
    table = options().stdout
    for name in ("policy_file", "via_name", "header_rules", "encode", "cache_size", "connect_timeout"):
        assert table.count(f"\n| `{name}` |") == 1, name
    assert "| `encode` | `zstd`, `br`, `gzip` |" in table
    assert all(row.replace(r"\|", "").count("|") == 4 for row in table.splitlines())


def test_the_readme_has_that_table() -> None:
    checked = options("--check")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("argument", ["--chek", "README.md"])
def test_it_says_what_it_can_do(argument: str) -> None:
    asked = options(argument)
    assert (asked.returncode, asked.stderr) == (1, "scripts/options takes --check or --write, and nothing else\n")
