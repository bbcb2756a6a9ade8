"""`scripts/conformance examples`: the runner finds differences; with a checkout, all examples are run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.clone import ROOT

CHECKOUT = os.environ.get("MITMPROXY_CHECKOUT")
"""A checkout of mitmproxy, whose examples are run then."""

ALIKE = """
def responseheaders(flow):
    flow.response.stream = lambda data: data.replace(b"f", b"g")
def request(flow):
    flow.request.query["mine"] = "yes"
"""
DIFFERENT = """
from mitmproxy import ctx
def response(flow):
    if ctx.master.addons.get("cache") is not None and flow.request.path == "/json":
        flow.response.text = "something else"
"""


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.example_scripts", str(folder)],
        capture_output=True,
        text=True,
        timeout=3000,
        cwd=ROOT,
    )


def test_the_runner(tmp_path: Path) -> None:
    (tmp_path / "alike.py").write_text(ALIKE)
    (tmp_path / "different.py").write_text(DIFFERENT)
    done = run(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 scripts, 1 as without" in done.stdout
    assert "GET /json: 200, 3090 bytes, 1 fields became 200, 14 bytes" in " ".join(done.stdout.split())


@pytest.mark.timeout(3600)
def test_the_examples_of_mitmproxy() -> None:
    """Needs MITMPROXY_CHECKOUT; without it the runner alone is tested, above."""
    if CHECKOUT:
        done = run(Path(CHECKOUT))
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert (ROOT / "scripts/example_scripts/known.py").is_file()
