"""scripts/pictures takes pictures of the product."""

import subprocess
from pathlib import Path

import pytest
from tests.support.programs import need

SCRIPT = Path(__file__).parents[2] / "scripts" / "pictures"


@pytest.mark.parametrize("words", [("--what",), ("one", "two")])
def test_it_refuses_what_it_does_not_know(words: tuple[str, ...]) -> None:
    asked = subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=60)
    assert (asked.returncode, asked.stderr) == (1, "pictures: takes a folder, and nothing else\n")


@pytest.mark.deep
def test_it_takes_them_all(tmp_path: Path) -> None:
    need("chromium")
    subprocess.run([SCRIPT, tmp_path], check=True, timeout=300)
    shown = (SCRIPT.parents[1] / "addons" / "proxy_policies").rglob("*.png")
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in shown}
