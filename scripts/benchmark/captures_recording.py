"""Measures what recording costs: `.venv/bin/python -m scripts.benchmark.captures_recording`.

The same requests are sent in turn through a proxy that records and through one that does not. For each round, the CPU
seconds of both proxies with their children are printed, and at the end the ratio of the smallest ones.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from scripts.benchmark.processes import Processes, free_port

ROOT = Path(__file__).parents[2]
ORIGIN = f"""import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
runpy.run_module('scripts.benchmark.origin', None, '__main__')"""
FIELDS = {"Cookie": "sid=Wz-zbpjD-jMLZkbxrVhyYQ; theme=dark", "Accept": "*/*"}


def start(folder: Path, name: str, *arguments: str) -> Processes:
    """Start a Python program that listens on a free port."""
    (folder / name).mkdir()
    port = free_port()
    filled = [argument.format(port=port) for argument in arguments]
    return Processes.start([sys.executable, *filled], port, folder / name, patience=60)


def proxy(folder: Path, name: str, origin: int, *options: str) -> Processes:
    """Start a reverse proxy in front of the origin."""
    script = str(ROOT / "addons" / "policy.py")
    modes = ("--mode", f"reverse:http://127.0.0.1:{origin}", "--listen-host", "127.0.0.1", "-p", "{port}", "-q")
    sets = [part for option in (f"confdir={folder / 'conf'}", "cache=off", *options) for part in ("--set", option)]
    return start(
        folder, name, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()", *modes, "-s", script, *sets
    )


def cpu_of(target: Processes, paths: Iterable[str]) -> float:
    """Send requests on one connection, and return the CPU seconds that the target took for them."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    before = target.cpu()
    for number, path in enumerate(paths):
        connection.request("GET", f"{path}{number}?page={number % 50}", headers=FIELDS)
        connection.getresponse().read()
    connection.close()
    return target.cpu() - before


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.captures_recording", description=__doc__)
    parser.add_argument("--requests", type=int, default=1500, metavar="N", help="requests of a round (1500)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds (5)")
    parser.add_argument(
        "--kind", default="html", choices=["html", "miss", "json"], help="pages, bytes or documents (html)"
    )
    parser.add_argument("--size", type=int, default=6000, metavar="N", help="bytes of a response (6000)")
    parser.add_argument("--distinct", action="store_true", help="send no response twice: each is a byte longer")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of both proxies")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        origin = start(folder, "origin", "-c", ORIGIN, "http", "{port}")
        stack.callback(origin.stop)
        plain = proxy(folder, "plain", origin.port, *wanted.set)
        stack.callback(plain.stop)
        recording = proxy(folder, "recording", origin.port, f"capture_file={folder / 'shop.har'}", *wanted.set)
        stack.callback(recording.stop)
        rounds = []
        for number in range(wanted.rounds + 1):
            longer = range(number * wanted.requests, (number + 1) * wanted.requests)
            sizes = [wanted.size + (more if wanted.distinct else 0) for more in longer]
            paths = [f"/{wanted.kind}/{size}/" for size in sizes]
            taken = [cpu_of(target, paths) for target in (plain, recording)]
            if number:  # the first one warms up
                rounds.append(taken)
                load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
                print(f"plain {taken[0]:6.2f} s, recording {taken[1]:6.2f} s of CPU: {taken[1] / taken[0]:.2f}; {load}")
        least = [min(column) for column in zip(*rounds, strict=True)]
        print(f"smallest of both: {least[1] / least[0]:.2f}, {least[0] / wanted.requests * 1e6:.0f} us a plain request")


if __name__ == "__main__":
    main()
