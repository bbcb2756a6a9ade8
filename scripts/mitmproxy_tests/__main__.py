"""Runs mitmproxy's own tests without and with the bundle's changes to it. Run by `scripts/conformance mitmproxy`.

Differences must be listed, with their reasons, in tests/conformance/mitmproxy.toml; any other is a failure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from mitmproxy.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
NAMED = ROOT / "tests" / "conformance" / "mitmproxy.toml"
FOLDERS = ("proxy", "net", "addons")
PLUGIN = "scripts.mitmproxy_tests.with_patches"
BROKEN = 2
"""The first of pytest's exit codes that mean that it did not run."""

type Outcomes = dict[str, str]
"""By test: passed, failed or skipped."""


def main() -> int:
    """Run, compare and print; return 1 if there is a difference that is not listed."""
    arguments = parse()
    stock, ours = run(arguments.folder), run(arguments.folder, "-p", PLUGIN)
    differing = sorted(name for name in stock if ours.get(name) != stock[name])
    reasons = named()
    unnamed = [name for name in differing if name not in reasons]
    for name in unnamed:
        print(f"{name}: {stock[name]} without, {ours.get(name, 'not run')} with our changes, and no reason is named")
    for name in sorted(reasons.keys() & stock.keys() - set(differing)):
        print(f"{name}: does not differ any more")
    print(f"mitmproxy {VERSION}: {len(stock)} tests, {len(differing)} differ, {len(unnamed)} of them unnamed")
    return int(bool(unnamed))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("scripts/conformance mitmproxy")
    parser.add_argument("folder", type=lambda text: Path(text).resolve(), help="a checkout of mitmproxy")
    arguments = parser.parse_args()
    if not (arguments.folder / "test" / "mitmproxy" / "proxy").is_dir():
        parser.error(f"{arguments.folder} has no test/mitmproxy/proxy")
    return arguments


def named() -> dict[str, str]:
    """Return the reason for each test that may differ."""
    groups = tomllib.loads(NAMED.read_text("utf-8"))["difference"]
    return {name: group["reason"] for group in groups for name in group["tests"]}


def run(folder: Path, *options: str) -> Outcomes:
    """Run mitmproxy's tests with the installed mitmproxy; return the outcomes."""
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "120", *options]
        command += ["-c", str(Path(__file__).parent / "pytest.ini"), "--rootdir", str(folder)]
        command += ["--junitxml", str(results), "-o", "junit_family=xunit1"]
        command += [f"test/mitmproxy/{name}" for name in FOLDERS]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode >= BROKEN:
            raise SystemExit(done.stdout)
        return outcomes(results.read_text("utf-8"))


def outcomes(text: str) -> Outcomes:
    """Return the outcomes in a report of pytest."""
    found: Outcomes = {}
    for case in ElementTree.fromstring(text).iter("testcase"):  # noqa: S314 -- pytest's own
        name = f"{case.get('classname', '').removeprefix('test.mitmproxy.')}::{case.get('name')}"
        how = {child.tag for child in case}
        found[name] = "failed" if how & {"failure", "error"} else "skipped" if "skipped" in how else "passed"
    return found


if __name__ == "__main__":
    sys.exit(main())
