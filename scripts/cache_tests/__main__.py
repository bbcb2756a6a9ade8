"""Runs http-tests/cache-tests against the cache, prints the score, and writes it. Run by scripts/conformance."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scripts.cache_tests.processes import free_port, origin, proxy
from scripts.cache_tests.published import PEERS

HERE = Path(__file__).resolve().parent
KINDS = ("required", "optimal", "check")
GOOD = ("pass", "yes")
OURS = "proxy-policies"
OPTIONS = ["cache_rules=//undated-304, share-cookies"]
"""Options, besides the defaults, with which the published score was measured.

One optimal test needs the first; a required one and two checks need the second: they expect a shared cache to store
Set-Cookie, as RFC 9111, section 7.3, allows.
"""

Test = dict[str, str]


def main() -> int:
    """Run, print and write; return 1 if a run scored less than the first."""
    arguments = parse()
    console = Console(stderr=True)
    check_suite(arguments.suite)
    with tempfile.TemporaryDirectory() as name:
        folder, port, ours = Path(name), arguments.origin_port or free_port(), free_port()
        with origin(arguments.suite, port, folder), proxy(port, ours, folder, arguments.set):
            targets = {OURS: f"http://127.0.0.1:{ours}", **dict(peer.split("=", 1) for peer in arguments.peer)}
            runs = {
                target: [run(arguments.suite, url, f"{target}, run {number + 1}", console) for number in range(count)]
                for target, url in targets.items()
                if (count := arguments.runs if target == OURS else 1)
            }
    scores = [score(tests) for tests in runs[OURS]]
    print_scores(runs)
    print_groups(runs[OURS][0])
    if arguments.write:
        arguments.write.write_text(json.dumps(report(arguments, runs[OURS]), indent=1) + "\n")
    return int(any(other != scores[0] for other in scores))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("scripts/conformance")
    parser.add_argument("suite", type=lambda text: Path(text).resolve(), help="a checkout of http-tests/cache-tests")
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=URL", help="another cache to run it against"
    )
    parser.add_argument("--origin-port", type=int, help="the port of the suite's origin, as the peers expect it")
    parser.add_argument("--runs", type=int, default=1, help="the number of runs of our cache")
    parser.add_argument("--set", action="append", default=list(OPTIONS), metavar="OPTION=VALUE", help="as mitmdump's")
    parser.add_argument("--write", type=Path, help="write the results to this JSON file")
    return parser.parse_args()


def check_suite(suite: Path) -> None:
    """Exit with what is missing, if the suite cannot be run."""
    if not (suite / "test-engine/client/runner.mjs").exists():
        raise SystemExit(f"{suite} is not a checkout of http-tests/cache-tests")
    if not (suite / "node_modules/undici").exists():
        raise SystemExit(f"the suite's own packages are missing: run `npm install` in {suite}")


def run(suite: Path, url: str, title: str, console: Console) -> list[Test]:
    """Run the suite against a URL; return its results."""
    command = ["node", "--no-warnings", str(HERE / "run.mjs"), str(suite), url]
    with Progress(console=console) as progress, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        bar = progress.add_task(title)
        for line in node.stdout or ():
            said: dict[str, Any] = json.loads(line)
            if "tests" in said:
                return list(said["tests"])
            progress.update(bar, completed=said["done"], total=said["of"])
    raise SystemExit(f"the suite ended without results ({node.returncode})")


def score(tests: list[Test]) -> tuple[int, ...]:
    """Return the numbers of passed tests by kind."""
    good = Counter(test["kind"] for test in tests if test["verdict"] in GOOD)
    return tuple(good[kind] for kind in KINDS)


def print_scores(runs: dict[str, list[list[Test]]]) -> None:
    """Print the totals of all caches."""
    of = Counter(test["kind"] for test in runs[OURS][0])
    table = Table(title="http-tests/cache-tests")
    for heading in ("", *(f"{kind} /{of[kind]}" for kind in KINDS)):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, several in runs.items():
        for number, tests in enumerate(several, 1):
            table.add_row(f"{name}, run {number}", *map(str, score(tests)), style="bold" if name == OURS else "")
    for name, figures in PEERS.items():
        table.add_row(name, *map(str, figures), style="dim")
    Console().print(table)


def print_groups(tests: list[Test]) -> None:
    """Print our score by group, and every test that failed."""
    table = Table()
    for heading in ("group", *KINDS, "not so"):
        table.add_column(heading)
    for group in dict.fromkeys(test["group"] for test in tests):
        mine = [test for test in tests if test["group"] == group]
        bad = [test["id"] for test in mine if test["verdict"] not in GOOD]
        cells = []
        for kind in KINDS:
            of = [test for test in mine if test["kind"] == kind]
            cells.append(f"{sum(test['verdict'] in GOOD for test in of)}/{len(of)}" if of else "")
        table.add_row(group, *cells, ", ".join(bad))
    Console().print(table)


def report(arguments: argparse.Namespace, runs: list[list[Test]]) -> dict[str, Any]:
    """Return the report to write, with all that the README's table needs."""
    git = subprocess.run(["git", "-C", str(arguments.suite), "rev-parse", "HEAD"], capture_output=True, text=True)
    of = Counter(test["kind"] for test in runs[0])
    return {
        "suite": "https://github.com/http-tests/cache-tests",
        "suite_commit": git.stdout.strip(),
        "mitmproxy": version("mitmproxy"),
        "options": arguments.set,
        "of": {kind: of[kind] for kind in KINDS},
        "runs": [dict(zip(KINDS, score(tests), strict=True)) for tests in runs],
        "tests": {
            test["id"]: {
                "group": test["group"],
                "kind": test["kind"],
                "verdict": test["verdict"],
                "detail": test["detail"],
            }
            for test in runs[0]
        },
    }


if __name__ == "__main__":
    sys.exit(main())
