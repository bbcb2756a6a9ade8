"""What only an option needs is imported with that option, not at every start."""

import subprocess
import sys
from pathlib import Path

import pytest

ADDONS = Path(__file__).parents[1] / "addons"
STARTED = """
import runpy, sys
from mitmproxy.test import taddons
with taddons.context(*runpy.run_path("policy.py")["addons"]):
    print(*sys.modules, sep="\\n")
"""


@pytest.fixture(scope="module")
def started() -> set[str]:
    """Name the modules there are once policy.py is loaded and nothing is set."""
    python = [sys.executable, "-c", STARTED]
    ran = subprocess.run(python, cwd=ADDONS, capture_output=True, text=True, timeout=60, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize("module", ["proxy_policies.cache.addon", "proxy_policies.capture.addon"])
def test_a_default_start_loads_the_policies(started: set[str], module: str) -> None:
    assert module in started


@pytest.mark.parametrize("module", ["jsonpath", "sqlite3", "redis", "playwright", "asyncssh"])
def test_a_default_start_leaves_out(started: set[str], module: str) -> None:
    assert module not in started
