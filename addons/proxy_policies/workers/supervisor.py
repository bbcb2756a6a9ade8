"""Several proxies on one port: `python -m proxy_policies.workers.supervisor 4 [mitmdump arguments…]`.

One process each, all listening with SO_REUSEPORT, so that the kernel deals connections out. The supervisor starts the
first alone (it makes the CA, and finds out whether the arguments are right), then the others; it prints what they say,
and starts one again that dies. SIGHUP it passes on; on SIGTERM or SIGINT it ends them all, on a second at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections import ChainMap
from collections.abc import Sequence
from typing import Any

from proxy_policies.service import sd_notify
from proxy_policies.worker_number import ENV_VAR, SINGLE_PROCESS, worker_number
from proxy_policies.workers import subprocesses
from proxy_policies.workers.subprocesses import Command

TELLS = "PROXY_POLICIES_WORKER_TELLS"
"""The environment variable that names the descriptor on which a worker reports that it serves, and its grace period."""
FIRST_ON_PORT = "PROXY_POLICIES_FIRST_ON_PORT"
"""The environment variable of workers whose port nobody may have yet, unless it is the one in it: reserved for us."""
LATE = 3.0  # seconds after its grace period in which a worker has to be gone


def fixed_port(arguments: Sequence[str], port: int) -> list[str]:
    """Replace a listen port of 0 by `port`: every worker would get one of its own."""
    fixed: list[str] = []
    for before, argument in zip(("", *arguments), arguments, strict=False):
        name, equals, _ = argument.partition("=")
        if before in ("-p", "--listen-port") and argument == "0":
            fixed.append(str(port))
        elif argument == "listen_port=0" or (name == "--listen-port" and argument.endswith("=0")):
            fixed.append(f"{name}{equals}{port}")
        else:
            fixed.append(argument)
    return fixed


def reserve_port() -> socket.socket:
    """Return a socket that holds a free port, at every address of IPv4 and IPv6, for those who share it.

    Workers listen wherever their arguments say: held at one address, the port might be somebody else's at another.
    """
    is_dual = socket.has_dualstack_ipv6()
    held = socket.socket(socket.AF_INET6 if is_dual else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if is_dual:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    held.bind(("", 0))
    return held


IGNORE_HANG_UP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
"""What a worker does first: one that is asked to reload while it still imports its modules would end."""


class Supervisor:
    """Keeps workers running."""

    def __init__(self, count: int, arguments: Sequence[str], held_port: int) -> None:
        self._count, self._arguments = count, arguments
        self._claim = {FIRST_ON_PORT: str(held_port)}
        self._children = subprocesses.ChildProcesses(say)
        self._one_works = asyncio.Event()
        self._heard, self._told = os.pipe()
        self._grace = 0.0

    async def run(self) -> int:
        """Run until stopped; return the exit code: of the first worker, if that never worked."""
        self._listen()
        first = asyncio.ensure_future(self._keep(1))
        stop, works = (asyncio.ensure_future(event.wait()) for event in (self._children.stopping, self._one_works))
        await asyncio.wait([first, stop, works], return_when=asyncio.FIRST_COMPLETED)
        rest = range(2, self._count + 1) if works.done() and not self._children.stopping.is_set() else ()
        others = [asyncio.ensure_future(self._keep(number)) for number in rest]
        await asyncio.wait([first, stop], return_when=asyncio.FIRST_COMPLETED)
        refused = 0 if self._children.stopping.is_set() else first.result()
        sd_notify.notify(sd_notify.STOPPING)
        await self._children.end(self._grace + LATE)
        await asyncio.gather(first, *others)
        self._children.close()
        return refused

    def _listen(self) -> None:
        """Read what workers report, and handle signals."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._heard, self._read_ready)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._children.stop)
        loop.add_signal_handler(signal.SIGHUP, self._children.hang_up)

    def _read_ready(self) -> None:
        """Take note that a worker serves, and how long it takes at most to end."""
        graces = os.read(self._heard, 4096).split()
        self._grace = max(self._grace, *map(float, graces))
        self._claim.clear()
        self._children.works(*map(_name, range(1, self._count + 1)))
        if not self._one_works.is_set():
            sd_notify.notify(sd_notify.READY)
        self._one_works.set()

    async def _keep(self, number: int) -> int:
        environment = ChainMap(
            self._claim,
            {
                ENV_VAR: str(number if self._count > 1 else SINGLE_PROCESS),
                TELLS: str(self._told),
            },
        )
        mitmdump = (
            sys.executable,
            "-c",
            f"{IGNORE_HANG_UP}; from {__spec__.name} import work; work()",
            *self._arguments,
        )
        return await self._children.keep(Command(_name(number), mitmdump, environment, (self._told,), f"{number} "))


def _name(number: int) -> str:
    return f"worker {number}"


def say(text: str) -> None:
    """Print a line of our own."""
    print(text, flush=True)


class _Shared:
    """Stands where mitmproxy's servers look for asyncio, and has them share their port."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def start_server(self, serve: Any, host: str, port: int) -> asyncio.Server:
        # Unless the port is reserved for us, somebody else's workers would share it as well as ours.
        if os.environ.get(FIRST_ON_PORT, str(port)) != str(port):
            (await asyncio.start_server(serve, host, port, start_serving=False)).close()
        return await asyncio.start_server(serve, host, port, reuse_port=True)


def work() -> None:
    """Run one worker: mitmdump, with a port that others may share."""
    from mitmproxy import ctx
    from mitmproxy.addons.errorcheck import ErrorCheck
    from mitmproxy.master import Master
    from mitmproxy.proxy import mode_servers
    from mitmproxy.tools import dump
    from mitmproxy.tools.main import mitmdump

    from proxy_policies.option_parsers import parse_duration
    from proxy_policies.script_paths import PROGRAM
    from proxy_policies.start_up import mitmproxy_program
    from proxy_policies.workers import single_process

    async def run(master: Master) -> None:
        if worker_number() and (line := single_process.refusal(sys.argv[1:], master.options)):
            sys.exit(line)
        for _ in range(2):  # scripts are loaded before it listens: whom they refuse gets no client
            await asyncio.sleep(0)
        await Master.run(master)

    def finish(check: ErrorCheck) -> None:
        finished(check)  # type: ignore[no-untyped-call]
        os.write(int(os.environ[TELLS]), b"%f\n" % parse_duration(getattr(ctx.options, "grace_period", "0")))

    finished, ErrorCheck.finish = ErrorCheck.finish, finish  # type: ignore[method-assign]
    dump.DumpMaster.run = run  # type: ignore[assignment, method-assign]
    mode_servers.asyncio = _Shared()  # type: ignore[attr-defined, assignment]
    sys.exit(mitmproxy_program.run(mitmdump, f"{PROGRAM} run", sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run `arguments[0]` workers with the rest as mitmdump's arguments; gives the exit code."""
    if not arguments or not arguments[0].isdecimal() or not int(arguments[0]):
        say("usage: workers COUNT [mitmdump arguments…]")
        return 2
    if not hasattr(socket, "SO_REUSEPORT"):
        say("this system cannot share a port between processes (SO_REUSEPORT)")
        return 1
    with reserve_port() as held:
        port = held.getsockname()[1]
        rest = fixed_port(arguments[1:], port)
        return asyncio.run(_supervise(int(arguments[0]), rest, port))


async def _supervise(count: int, arguments: Sequence[str], held_port: int) -> int:
    return await Supervisor(count, arguments, held_port).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
