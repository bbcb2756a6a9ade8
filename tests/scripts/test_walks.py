"""scripts/walks: the files that run for a request, in their order."""

import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "walks"
MAX_FILES = {"get": 40, "hit": 12}
"""The files that a request may cross, so that a reader can follow it."""


def walks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("walk", MAX_FILES)
def test_a_request_begins_at_its_socket_and_crosses_few_files(walk: str) -> None:
    shown = walks(walk)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    files = [line.partition(":")[0] for line in lines if not line.startswith(" ")][:-1]
    assert files[0] == "byte_streams/byte_stream.py"
    assert "cache/stores/memory.py" in files
    count = re.fullmatch(r"(\d+) files, \d+ functions", lines[-1])
    assert count is not None
    assert int(count[1]) == len(files) <= MAX_FILES[walk]


def test_it_says_what_it_can_walk() -> None:
    asked = walks("miss")
    assert (asked.returncode, asked.stderr) == (2, "scripts/walks takes one of get, hit, connect, session, check\n")
