"""The limit on open files."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_the_soft_limit_becomes_the_hard_one() -> None:
    text = """
import resource
from proxy_policies.limits.open_files import raise_open_file_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
raise_open_file_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr
