"""Starts a fleet on loopback: Redis, proxies that share it as their cache, and HAProxy in front of them."""

from __future__ import annotations

import argparse
import asyncio
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

from proxy_policies.proxy_protocol.header import write
from proxy_policies.workers import subprocesses
from proxy_policies.workers.subprocesses import Command

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HOST = "127.0.0.1"
PROGRAMS = {"redis-server": "redis-server", "haproxy": "haproxy"}
"""What is needed, and the Debian packages that bring it."""
STARTING = 30.0  # seconds a member has to listen
GRACE = 12.0  # seconds that a member has to end: a proxy's grace period, and some


class FleetError(Exception):
    """The fleet cannot be; the text says why."""


@dataclass(frozen=True)
class Member:
    """One process of the fleet, the port it listens on, and what a connection to it begins with."""

    name: str
    port: int
    command: Sequence[str]
    hello: bytes = b""


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def find(program: str) -> str:
    """Give a program's path; daemons live outside many users' PATH. Raises FleetError."""
    path = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if path is None:
        raise FleetError(f"needs {program} (apt-get install {PROGRAMS[program]})")
    return path


def members(folder: Path, proxies: int, port: int, arguments: Sequence[str]) -> list[Member]:
    """List who is to be started, in that order."""
    redis = free_port()
    store = ("--bind", HOST, "--port", str(redis), "--save", "", "--appendonly", "no", "--loglevel", "warning")
    fleet = [Member("redis", redis, (find("redis-server"), *store))]
    for number in range(1, proxies + 1):
        own = free_port()
        ours = ("-s", str(ROOT / "addons" / "policy.py"), "--listen-host", HOST, "-p", str(own))
        shared = ("--set", f"proxy_protocol={HOST}", "--set", f"cache=redis://{HOST}:{redis}/0")
        mitmdump = str(Path(sys.executable).parent / "mitmdump")
        quiet = ("--set", "termlog_verbosity=warn")  # or every health check would be two lines
        fleet.append(Member(f"proxy {number}", own, (mitmdump, *ours, *shared, *quiet, *arguments), write(None, None)))
    config = folder / "haproxy.cfg"
    servers = (f"    server proxy{number} {HOST}:{member.port}" for number, member in enumerate(fleet[1:], 1))
    template = string.Template((HERE / "haproxy.cfg").read_text())
    config.write_text(template.substitute(port=port, servers="\n".join(servers)))
    return [*fleet, Member("haproxy", port, (find("haproxy"), "-db", "-f", str(config)))]


class Fleet:
    """Keeps its members running until it is told to stop."""

    def __init__(self, fleet: Sequence[Member]) -> None:
        self._members = fleet
        self._children = subprocesses.ChildProcesses(say)

    async def run(self) -> None:
        """Start everybody, one after the other: the first proxy makes the CA. Raises FleetError."""
        self._listen()
        stop = asyncio.ensure_future(self._children.stopping.wait())
        keepers: list[asyncio.Future[None]] = []
        try:
            for member in self._members:
                keepers.append(asyncio.ensure_future(self._keep(member)))
                await self._listening(member, keepers[-1], stop)
            if not (stop.done() or any(keeper.done() for keeper in keepers)):
                say(f"listening on http://{HOST}:{self._members[-1].port}; Ctrl-C ends it")
            await asyncio.wait([stop, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._children.end(GRACE)
            outcomes = await asyncio.gather(*keepers, return_exceptions=True)
            self._children.close()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _listen(self) -> None:
        """Hear signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._children.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._children.hang_up)

    async def _listening(self, member: Member, keeper: asyncio.Future[None], stop: asyncio.Future[bool]) -> None:
        deadline = time.monotonic() + STARTING
        while not (stop.done() or keeper.done() or _listens(member.port, member.hello)):
            if time.monotonic() > deadline:
                raise FleetError(f"{member.name} does not listen on {HOST}:{member.port}")
            await asyncio.sleep(0.05)
        if not (stop.done() or keeper.done()):
            self._children.works(member.name)
            say(f"{member.name} on {HOST}:{member.port}, pid {self._children.pid(member.name)}")

    async def _keep(self, member: Member) -> None:
        """Run a member, again and again. Raises FleetError when it cannot be started at all."""
        code = await self._children.keep(Command(member.name, member.command, prefix=f"{member.name}: "))
        if not self._children.stopping.is_set():
            raise FleetError(f"{member.name} ended with exit code {code}")


def _listens(port: int, hello: bytes = b"") -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as probe:
            probe.sendall(hello)
    except OSError:
        return False
    return True


def say(text: str) -> None:
    """Print a line of our own."""
    print(f"fleet: {text}", flush=True)


def main() -> int:
    """Run until told to stop; gives the exit code."""
    parser = argparse.ArgumentParser("fleet", allow_abbrev=False)
    parser.add_argument("--proxies", type=int, default=3)
    parser.add_argument("--port", type=int, default=8080)
    options, arguments = parser.parse_known_args()
    if not 1 <= options.proxies <= 64 or not 0 <= options.port < 1 << 16:
        say("write --proxies 1 to 64, and --port 1 to 65535, or 0 for a free one")
        return 2
    port = options.port or free_port()
    if options.port and _listens(port):
        say(f"somebody listens on {HOST}:{port} already; give another --port")
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
