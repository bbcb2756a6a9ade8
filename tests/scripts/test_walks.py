"""scripts/walks: the files that run for a request, in their order."""

import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "walks"
STREAM = "byte_streams/byte_stream.py"
CASES = [
    ("get", STREAM, "cache/stores/memory.py", 38),
    ("hit", STREAM, "cache/stores/memory.py", 12),
    ("connect", "connection/acceptor.py", "relay/sockets.py", 22),
]
"""A walk, its first file, one that it crosses, and how many it may cross, so that a reader can follow it."""


def walks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(("walk", "first", "crossed", "most"), CASES, ids=[case[0] for case in CASES])
def test_a_request_begins_at_its_socket_and_crosses_few_files(walk: str, first: str, crossed: str, most: int) -> None:
    shown = walks(walk)
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    files = [line.partition(":")[0] for line in lines if not line.startswith(" ")][:-1]
    assert files[0] == first
    assert crossed in files
    count = re.fullmatch(r"(\d+) files, \d+ functions", lines[-1])
    assert count is not None
    assert int(count[1]) == len(files) <= most


def test_it_says_what_it_can_walk() -> None:
    asked = walks("miss")
    assert (asked.returncode, asked.stderr) == (2, "scripts/walks takes one of get, hit, connect, session, check\n")
