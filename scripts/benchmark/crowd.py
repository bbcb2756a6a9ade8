"""Measures simultaneous requests: in each case, 50 clients request one URL at once.

`.venv/bin/python -m scripts.benchmark.crowd` prints for each case and target the requests that reached the origin, and
the seconds until the fastest, the median and the slowest client had its response. Targets are this proxy with and
without its cache, and Squid with collapsed forwarding if it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.processes import Processes, free_port

ROOT = Path(__file__).parents[2]
SQUID = shutil.which("squid") or shutil.which("squid", path="/usr/sbin")
SQUID_CONFIGURATION = """http_port 127.0.0.1:{port}
pid_filename {folder}/squid.pid
cache_log {folder}/cache.log
access_log none
http_access allow all
collapsed_forwarding on
shutdown_lifetime 1 seconds
"""


@dataclass(frozen=True)
class Case:
    """One kind of response: its fields, the seconds before its head, and those that its body takes."""

    name: str
    fields: Sequence[str] = ()
    head: float = 1.0
    body: float = 0.0
    cookies: bool = False
    """Each client sends a different one."""
    leader_leaves: bool = False
    method: Callable[[int], str] = lambda number: "GET"
    sends: Sequence[str] = ()

    @property
    def single_client(self) -> float:
        """Seconds that a single client takes."""
        return self.head + self.body


FRESH = ("Cache-Control: max-age=60",)
CASES = (
    Case("max-age", FRESH),
    Case("max-age=0, ETag", ("Cache-Control: public, max-age=0", 'ETag: "v1"')),
    Case("ETag only", ('ETag: "v1"',)),
    Case("Vary: Cookie", (*FRESH, "Vary: Cookie"), cookies=True),
    Case("no-store", ("Cache-Control: no-store",)),
    Case("origin of 7 s", FRESH, head=7.0),
    Case("body of 8 s", FRESH, head=0.1, body=8.0),
    Case("leader leaves", FRESH, head=3.0, leader_leaves=True),
    Case("leaves in the body", FRESH, head=0.1, body=4.0, leader_leaves=True),
    Case("HEAD among GETs", FRESH, method=lambda number: "HEAD" if number % 5 == 4 else "GET"),
    Case("conditional", (*FRESH, 'ETag: "v1"'), sends=('If-None-Match: "v1"',)),
)


class Origin:
    """Answers every request with the case's response, and counts them."""

    def __init__(self) -> None:
        self.case, self.requests = CASES[0], 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        case = self.case
        await asyncio.sleep(case.head)
        fields = "".join(f"{field}\r\n" for field in case.fields)
        if b"\r\nif-none-match:" in request.lower():
            writer.write(f"HTTP/1.1 304 Not Modified\r\n{fields}\r\n".encode())
            return
        writer.write(f"HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(8 if not request.startswith(b"HEAD") else 0):
            await asyncio.sleep(case.body / 8)
            writer.write(b"4000\r\n" + bytes(0x4000) + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n" if not request.startswith(b"HEAD") else b"")


async def ask(port: int, url: str, case: Case, number: int) -> float:
    """Request a URL and return the seconds until its response was complete; the first client may leave before."""
    begin = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{case.method(number)} {url} HTTP/1.1", f"Host: {url.split('/')[2]}", "Connection: close", *case.sends]
    lines += [f"Cookie: user={number}"] * case.cookies
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    if case.leader_leaves and number == 0:
        await asyncio.sleep(case.single_client / 2)
    else:
        async with asyncio.timeout(120):
            await reader.read(-1)
    writer.close()
    return time.monotonic() - begin


async def crowd(port: int, url: str, case: Case, count: int) -> list[float]:
    """Send all requests at once, right after the first; return the seconds of each, sorted."""
    first = asyncio.create_task(ask(port, url, case, 0))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(ask(port, url, case, number)) for number in range(1, count)]
    took = await asyncio.gather(first, *others)
    return sorted(took[1:] if case.leader_leaves else took)


def targets(folder: Path) -> dict[str, Processes]:
    """Start all targets."""
    started: dict[str, Processes] = {}
    folder.chmod(0o755)  # Squid runs as its own user
    for name, options in {"ours": (), "ours, cache=off": ("--set", "cache=off")}.items():
        port, place = free_port(), folder / f"{len(started)}"
        place.mkdir()
        command = [str(Path(sys.executable).parent / "mitmdump"), "-q", "-p", str(port), "--listen-host", "127.0.0.1"]
        command += ["--set", f"confdir={place}", "-s", str(ROOT / "addons" / "policy.py"), *options]
        started[name] = Processes.start(command, port, place)
    if SQUID:
        port, place = free_port(), folder / "squid"
        place.mkdir(mode=0o777)
        place.chmod(0o777)
        (place / "squid.conf").write_text(SQUID_CONFIGURATION.format(port=port, folder=place))
        started["squid"] = Processes.start([SQUID, "-N", "-f", str(place / "squid.conf")], port, place)
    return started


async def run(count: int, wanted: str) -> None:
    """Print a line for each case and target."""
    origin = Origin()
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, backlog=512)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(f"{count} clients at once   {'target':16} upstream  fastest   median  slowest    alone")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        started = targets(Path(name))
        try:
            for number, case in enumerate(case for case in CASES if wanted in case.name):
                for target, processes in started.items():
                    origin.case, origin.requests = case, 0
                    took = await crowd(processes.port, f"{url}/{number}/{target.replace(' ', '-')}", case, count)
                    figures = (took[0], statistics.median(took), took[-1], case.single_client)
                    seconds = "".join(f"{figure:7.1f} s" for figure in figures)
                    print(f"{case.name:20} {target:16} {origin.requests:8} {seconds}", flush=True)
        finally:
            for processes in started.values():
                processes.stop()
    server.close()


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--only", default="", help="cases with this in their names")
    arguments = parser.parse_args()
    if SQUID:
        subprocess.run([SQUID, "-v"], stdout=subprocess.DEVNULL, check=True)
    asyncio.run(run(arguments.clients, arguments.only))


if __name__ == "__main__":
    main()
