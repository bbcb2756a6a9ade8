"""Starts a fleet on loopback: Redis, proxies that share it as their cache, and HAProxy in front of them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import string
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_policies.proxy_protocol.header import write
from proxy_policies.workers import subprocesses
from proxy_policies.workers.subprocesses import Program, describe_exit

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HOST = "127.0.0.1"
PROGRAMS = {"redis-server": "redis-server", "haproxy": "haproxy"}
"""The programs needed, and their Debian packages."""
STARTING = 30.0  # seconds for a member's start
ANSWERING = 2.0  # seconds for one response
GRACE = 12.0  # seconds for a member to end: a proxy's grace period, with a margin


class FleetError(Exception):
    """The fleet cannot be started; the text says why."""


@dataclass(frozen=True)
class Member:
    """One process of the fleet, its port, and a request that it answers once it works.

    It may listen before that: mitmproxy does before it has read its options.
    """

    name: str
    port: int
    command: Sequence[str]
    question: bytes
    stop_signal: signal.Signals = signal.SIGTERM


INVALID_REQUEST = b"? HTTP/1.1\r\n\r\n"
"""HAProxy and mitmproxy answer it themselves, with 400, in every mode, and log nothing."""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def find(program: str) -> str:
    """Return a program's path, also outside of the user's PATH. Raise FleetError."""
    path = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if path is None:
        raise FleetError(f"needs {program} (apt-get install {PROGRAMS[program]})")
    return path


def members(folder: Path, proxies: int, port: int, arguments: Sequence[str]) -> list[Member]:
    """Return the members, in the order in which they are started."""
    redis = free_port()
    store = ("--bind", HOST, "--port", str(redis), "--save", "", "--appendonly", "no", "--loglevel", "warning")
    fleet = [Member("redis", redis, (find("redis-server"), *store), b"PING\r\n")]
    for number in range(1, proxies + 1):
        own = free_port()
        ours = ("-s", str(ROOT / "addons" / "policy.py"), "--listen-host", HOST, "-p", str(own))
        shared = ("--set", f"proxy_protocol={HOST}", "--set", f"cache=redis://{HOST}:{redis}/0")
        mitmdump = str(Path(sys.executable).parent / "mitmdump")
        quiet = ("--set", "termlog_verbosity=warn")  # otherwise every health check would log two lines
        command = (mitmdump, *ours, *shared, *quiet, *arguments)
        fleet.append(Member(f"proxy {number}", own, command, write(None, None) + INVALID_REQUEST))
    config = folder / "haproxy.cfg"
    servers = (f"    server proxy{number} {HOST}:{member.port}" for number, member in enumerate(fleet[1:], 1))
    template = string.Template((HERE / "haproxy.cfg").read_text())
    config.write_text(template.substitute(port=port, servers="\n".join(servers)))
    command = (find("haproxy"), "-db", "-f", str(config))
    return [*fleet, Member("haproxy", port, command, INVALID_REQUEST, stop_signal=signal.SIGUSR1)]


class Fleet:
    """Keeps its members running until it is stopped."""

    def __init__(self, fleet: Sequence[Member]) -> None:
        self._members = fleet
        self._children = subprocesses.ChildProcesses(say)

    async def run(self) -> None:
        """Start the members one after the other, as the first proxy creates the CA. Raise FleetError."""
        self._listen()
        stop: asyncio.Future[Any] = asyncio.ensure_future(self._children.stopping.wait())
        keepers: list[asyncio.Future[None]] = []
        try:
            for member in self._members:
                keepers.append(asyncio.ensure_future(self._keep(member)))
                start: asyncio.Future[Any] = asyncio.ensure_future(self._started(member))
                await asyncio.wait([start, stop, *keepers], return_when=asyncio.FIRST_COMPLETED)
                if not start.done():  # stopped, or one has failed
                    start.cancel()
                    break
                start.result()
            else:
                say(f"listening on http://{HOST}:{self._members[-1].port}; Ctrl-C ends it")
            await asyncio.wait([stop, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end()
            await asyncio.wait(keepers)
            self._children.close()
        for keeper in keepers:
            keeper.result()

    def _listen(self) -> None:
        """Handle signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._children.stop)
        loop.add_signal_handler(signal.SIGHUP, self._children.hang_up)

    async def _started(self, member: Member) -> None:
        """Return once a member answers. Raise FleetError after STARTING seconds."""
        deadline = time.monotonic() + STARTING
        while not await _answers(member):
            if time.monotonic() > deadline:
                raise FleetError(f"{member.name} does not answer on {HOST}:{member.port}")
            await asyncio.sleep(0.05)
        self._children.note_working(member.name)
        say(f"{member.name} on {HOST}:{member.port}, pid {self._children.pid(member.name)}")

    async def _keep(self, member: Member) -> None:
        """Run a member, and restart it if it dies. Raise FleetError if it has never worked."""
        command = Program(member.name, member.command, prefix=f"{member.name}: ", stop_signal=member.stop_signal)
        code = await self._children.keep(command)
        if not self._children.stopping.is_set():
            raise FleetError(f"{member.name} ended with {describe_exit(code)}")

    async def _end(self) -> None:
        """End HAProxy, then the proxies, then Redis: each is needed by those before it."""
        redis, *proxies, haproxy = (member.name for member in self._members)
        for names in ((haproxy,), proxies, (redis,)):
            await self._children.end(GRACE, names)


async def _answers(member: Member) -> bool:
    try:
        async with asyncio.timeout(ANSWERING):
            reader, writer = await asyncio.open_connection(HOST, member.port)
            with contextlib.closing(writer):
                writer.write(member.question)
                return bool(await reader.read(1))
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def say(text: str) -> None:
    """Print a line of our own."""
    print(f"fleet: {text}", flush=True)


def main() -> int:
    """Run until stopped; return the exit code."""
    parser = argparse.ArgumentParser("fleet", allow_abbrev=False)
    parser.add_argument("--proxies", type=int, default=3)
    parser.add_argument("--port", type=int, default=8080)
    options, arguments = parser.parse_known_args()
    if not 1 <= options.proxies <= 64 or not 0 <= options.port < 1 << 16:
        say("write --proxies 1 to 64, and --port 1 to 65535, or 0 for a free one")
        return 2
    port = options.port or free_port()
    if options.port and _listens(port):
        say(f"{HOST}:{port} is in use; select another --port")
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
            asyncio.run(Fleet(members(Path(folder), options.proxies, port, arguments)).run())
    except FleetError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
