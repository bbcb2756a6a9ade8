"""Measures commands on a large capture: `.venv/bin/python -m scripts.benchmark.captures`.

The capture has 59 MiB and 8 700 entries by default, generated with a fixed seed: pages with scripts, JSON, forms,
pictures. Each command runs alone; its time, CPU time and largest resident size are printed, with the machine's load.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times

WORDS = ("order", "product", "price", "customer", "the", "of", "and", "list", "page", "total", "open", "state", "value")
ORIGIN = "http://shop.test"


@dataclass(frozen=True)
class Taken:
    """What a command took."""

    seconds: float
    cpu: float
    resident_mib: float


def token(draw: random.Random) -> str:
    """Draw a token, as `secrets.token_urlsafe(16)` does."""
    return base64.urlsafe_b64encode(draw.randbytes(16)).rstrip(b"=").decode()


def text(draw: random.Random, size: int) -> str:
    """Draw words."""
    return " ".join(draw.choices(WORDS, k=size // 6))


def bodies(draw: random.Random) -> tuple[str, bytes]:
    """Draw a media type and a body."""
    kind = draw.random()
    if kind < 0.5:
        items = [{"id": draw.randrange(10**6), "name": text(draw, 40), "price": draw.random()} for _ in range(60)]
        return "application/json", json.dumps({"items": items, "csrf": token(draw)}).encode()
    if kind < 0.8:
        script = "".join(f"function f{n}(a){{return a.{draw.choice(WORDS)}+{n}}};\n" for n in range(60))
        form = f'<form><input type="hidden" name="csrf_token" value="{token(draw)}"></form>'
        return "text/html", f"<html>{form}<script>{script}</script>{text(draw, 4000)}</html>".encode()
    return "image/png", draw.randbytes(5000)


def entries(count: int) -> Iterator[Entry]:
    """Draw the entries of a capture."""
    draw = random.Random(1)  # noqa: S311 -- the same in every run
    for number in range(count):
        mime, body = bodies(draw)
        fields: Headers = (("Host", "shop.test"), ("Cookie", f"sid={token(draw)}; theme=dark"), ("Accept", "*/*"))
        request = Request("GET", f"{ORIGIN}/api/{number}?page={number % 50}", fields)
        response = Response(
            200, "OK", (("Content-Type", mime), ("Set-Cookie", f"sid={token(draw)}; Path=/")), Body(body)
        )
        start = 1.7e9 + number
        yield Entry(request, response, Times(start, start, start + 0.01, start + 0.02), id=f"{number:08x}")


def measure(command: Sequence[str], folder: Path) -> Taken:
    """Run a command and measure it, with its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    script = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(seconds, cpu, int(done.stdout.splitlines()[-1]) / 1024)


def commands() -> dict[str, list[str]]:
    """Return the commands that are measured, by name."""
    capture = [sys.executable, "-m", "proxy_policies.capture"]
    return {
        "show": [*capture, "show", "shop.har"],
        "show --json": [*capture, "show", "--json", "shop.har"],
        "scrub": [*capture, "scrub", "--confdir", "conf", "shop.har", "-o", "clean.har"],
        "merge": [*capture, "merge", "shop.har", "clean.har", "-o", "both.har"],
        "replay, first answer": [
            *(*capture, "replay", "--confdir", "conf", "clean.har", "--", "curl", "-s", f"{ORIGIN}/api/0?page=0"),
        ],
    }


def main() -> None:
    """Make a capture and measure each command on it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.captures", description=__doc__)
    parser.add_argument("--entries", type=int, default=8700, metavar="N", help="entries of the capture (8700)")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with writer.create(folder / "shop.har", writer.new_log()) as out:
            for entry in entries(wanted.entries):
                out.write(entry)
        size = (folder / "shop.har").stat().st_size
        print(
            f"{size / 2**20:.0f} MiB, {wanted.entries} entries; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        for title, command in commands().items():
            taken = measure(command, folder)
            print(f"{title:<22} {taken.seconds:6.2f} s  {taken.cpu:6.2f} s of CPU  {taken.resident_mib:5.0f} MiB")


if __name__ == "__main__":
    main()
