"""Runs scripts with bare mitmdump and beside our policies, and compares. Run by `scripts/conformance examples`."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scripts.example_scripts.exchanges import ASKED, Outcome, ask_all
from scripts.example_scripts.known import DEVIATES
from scripts.example_scripts.origin import Noted, Origin

ADDONS = Path(__file__).resolve().parents[2] / "addons"
LISTENING = re.compile(r"listening at \S*?:(\d+)")
START = 60.0
"""Seconds for a start."""
ENDED = "Error logged during startup, exiting"
"""What mitmdump logs if a script logs an error, as one does that lacks a module."""
SETTLED = 0.5
"""Seconds in which a script's own requests reach the origin."""


@dataclass(frozen=True)
class Run:
    """A run of a script: the clients' outcomes, and the origin's requests; neither if it did not start."""

    outcomes: tuple[Outcome, ...] = ()
    noted: tuple[Noted, ...] = ()
    has_errors: bool = False


def main() -> int:
    """Run and print; return 1 if a script differs that is not known to."""
    arguments = parse()
    scripts = [path for path in find(arguments.folder) if not arguments.only or path.stem in arguments.only]
    if not scripts:
        raise SystemExit(f"no scripts in {arguments.folder}")
    alike, unknown = 0, 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for path, found in zip(scripts, pool.map(compare, scripts), strict=True):
            reason = DEVIATES.get(path.stem, "")
            alike, unknown = alike + (not found), unknown + bool(found and not reason)
            print(
                f"{path.name}: {f'{reason}; ' if found and reason else ''}{'; '.join(found) or 'as without'}",
                flush=True,
            )
    print(f"{len(scripts)} scripts, {alike} as without")
    return int(unknown > 0)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("scripts/conformance examples")
    parser.add_argument("folder", type=lambda text: Path(text).resolve(), help="a checkout of mitmproxy, or scripts")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run this script only")
    parser.add_argument("--jobs", type=int, default=2, help="the number of scripts to run at once")
    return parser.parse_args()


def find(folder: Path) -> list[Path]:
    """Return the examples in a checkout of mitmproxy, or the scripts in a folder."""
    folders = [folder / "examples" / kind for kind in ("addons", "contrib")]
    if not folders[0].is_dir():
        folders = [folder]
    found = [path for each in folders for path in sorted(each.glob("*.py"))]
    return [path for path in found if not path.name.startswith(("test_", "__"))]


def compare(script: Path) -> list[str]:
    """Return the differences in a script's effects."""
    stock, ours = run(script, None), run(script, ADDONS / "policy.py")
    found = [
        f"{method} {path}: {describe(theirs)} became {describe(own)}"
        for (method, path, *_), theirs, own in zip(ASKED, stock.outcomes, ours.outcomes, strict=False)
        if theirs != own
    ]
    if len(stock.outcomes) != len(ours.outcomes):
        found.append(f"{'runs' if stock.outcomes else 'does not start'} without our policies only")
    if sorted(stock.noted) != sorted(ours.noted):
        found.append(f"the origin was asked something else: {sorted(set(stock.noted) ^ set(ours.noted))[:3]}")
    if ours.has_errors and not stock.has_errors:
        found.append("an error is logged")
    return found


def describe(outcome: Outcome) -> str:
    """Return a summary of an outcome."""
    return f"{outcome.status}, {len(outcome.body)} bytes, {len(outcome.fields)} fields" if outcome.status else "nothing"


def run(script: Path, policies: Path | None) -> Run:
    """Run a script with or without the policies; return its effects."""
    with tempfile.TemporaryDirectory() as folder, Origin() as origin, proxy(script, policies, Path(folder)) as port:
        if port is None:
            return Run()
        outcomes = tuple(ask_all(port, origin.server_address[1]))
        time.sleep(SETTLED)
        log = (Path(folder) / "log").read_text(errors="replace")
        if ENDED in log:  # bare mitmdump serves clients before that
            return Run()
        noted = tuple((method, target, body) for method, target, body in origin.noted)
        return Run(outcomes, noted, "Addon error" in log or "Traceback" in log)


@contextlib.contextmanager
def proxy(script: Path, policies: Path | None, folder: Path) -> Iterator[int | None]:
    """Run mitmdump; yield its port, None if it does not start."""
    command = [str(Path(sys.executable).parent / "mitmdump"), "--set", f"confdir={folder}", "--listen-port", "0"]
    command += ["--listen-host", "127.0.0.1", *(["-s", str(policies)] if policies else []), "-s", str(script)]
    log = folder / "log"
    with log.open("wb") as sink:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}  # bare mitmdump does not flush its output
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=folder, env=environment
        )
    try:
        yield wait_listening(process, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_listening(process: subprocess.Popen[bytes], log: Path) -> int | None:
    """Return the port once a proxy listens; None if it ends before."""
    deadline = time.monotonic() + START
    while process.poll() is None and time.monotonic() < deadline:
        if match := LISTENING.search(log.read_text(errors="replace")):
            return int(match[1])
        time.sleep(0.05)
    return None


if __name__ == "__main__":
    sys.exit(main())
