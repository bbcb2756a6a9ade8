"""scripts/tables: the contents, and the tables of options and of patches, are the code's."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "tables"


def tables(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, timeout=100)


def test_every_option_has_its_row() -> None:
    table = tables().stdout
    for name in ("policy_file", "via_name", "header_rules", "encode", "cache_size", "connect_timeout"):
        assert table.count(f"\n| `{name}` |") == 1, name
    assert "| `encode` | `zstd`, `br`, `gzip` |" in table


def test_every_page_has_its_row() -> None:
    contents = tables().stdout.partition("\n\n")[0]
    pages = list((SCRIPT.parents[1] / "addons" / "proxy_policies").glob("*/README.md"))
    assert len(pages) > 10
    assert not [page for page in pages if f"/{page.parent.name}/README.md) | " not in contents]
    assert "| `header_rules` |" in contents


def test_every_patch_has_its_row() -> None:
    table = tables().stdout
    assert "| `http.HttpStream` | bug |" in table
    assert "[#2229](https://github.com/mitmproxy/mitmproxy/issues/2229)" in table


def test_rows_have_as_many_cells_as_their_head() -> None:
    for table in tables().stdout.strip().split("\n\n"):
        assert len({row.replace(r"\|", "").count("|") for row in table.splitlines()}) == 1, table


def test_the_pages_have_those_tables() -> None:
    checked = tables("--check")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("argument", ["--chek", "README.md"])
def test_it_says_what_it_can_do(argument: str) -> None:
    asked = tables(argument)
    assert (asked.returncode, asked.stderr) == (1, "scripts/tables takes --check or --write\n")
