"""Several proxies on one port: `python -m proxy_policies.fastlane.workers 4 [mitmdump arguments…]`.

One process each, all listening with SO_REUSEPORT, so that the kernel deals connections out. The supervisor starts the
first alone (it makes the CA, and finds out whether the arguments are right), then the others; it prints what they say,
starts one again that dies, and ends them all on SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from proxy_policies import children, worker

TELLS = "PROXY_POLICIES_WORKER_TELLS"
"""The environment variable that names the descriptor on which a worker tells that it listens."""
YOUNG = 5.0  # seconds within which a worker that ends by itself was started wrongly
SETTLING = 0.5  # seconds after it listens in which mitmproxy may still find its options wrong
PAUSE = 1.0  # seconds before a worker that died is started again


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


class Supervisor:
    """Keeps workers running."""

    def __init__(self, count: int, arguments: Sequence[str]) -> None:
        self._count, self._arguments = count, arguments
        self._stopping = asyncio.Event()
        self._first_listens = asyncio.Event()
        self._heard, self._told = os.pipe()
        self._running: dict[int, asyncio.subprocess.Process] = {}

    async def run(self) -> int:
        """Run until told to stop; gives the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._heard, self._first_listens.set)
        for how in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(how, self._stopping.set)
        first = asyncio.ensure_future(self._keep(1))
        await asyncio.wait(
            [first, *map(asyncio.ensure_future, (self._first_works(), self._stopping.wait()))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        loop.remove_reader(self._heard)
        rest = () if first.done() or self._stopping.is_set() else range(2, self._count + 1)
        others = [asyncio.ensure_future(self._keep(number)) for number in rest]
        stop = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([first, stop], return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        await asyncio.gather(*(children.end(process) for process in self._running.values()))
        codes = await asyncio.gather(first, *others)
        return max(codes)

    async def _first_works(self) -> None:
        await self._first_listens.wait()
        await asyncio.sleep(SETTLING)

    async def _keep(self, number: int) -> int:
        """Run one worker, again and again; gives the exit code of the last."""
        while True:
            process, since = await self._start(number), time.monotonic()
            await self._print(number, process)
            code = await process.wait()
            del self._running[number]
            if self._stopping.is_set():
                return 0
            if code > 0 and time.monotonic() - since < YOUNG:
                return code  # it never worked: its last words say why
            say(f"worker {number} died ({_how(code)}), starting it again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PAUSE)
            if self._stopping.is_set():
                return 0

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", f"from {__spec__.name} import work; work()", *self._arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                **os.environ,
                worker.VARIABLE: str(number if self._count > 1 else worker.ALONE),
                TELLS: str(self._told),
                "PYTHONUNBUFFERED": "1",
            },
            pass_fds=(self._told,),
            start_new_session=True,  # Ctrl-C is for us to pass on
        )
        self._running[number] = process
        return process

    async def _print(self, number: int, process: asyncio.subprocess.Process) -> None:
        """Print what a worker says, line by line: one log."""
        async for line in children.lines(process):
            sys.stdout.buffer.write(b"%d %s" % (number, line))
            sys.stdout.buffer.flush()


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def say(text: str) -> None:
    """Print a line of our own."""
    print(text, flush=True)


class _Shared:
    """Stands where mitmproxy's servers look for asyncio, and has them share their port."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def start_server(self, *arguments: Any, **keywords: Any) -> asyncio.Server:
        server = await asyncio.start_server(*arguments, **keywords, reuse_port=True)
        os.write(int(os.environ[TELLS]), b".")
        return server


def work() -> None:
    """Be one worker: mitmdump, with a port that others may share."""
    from mitmproxy.master import Master
    from mitmproxy.proxy import mode_servers
    from mitmproxy.tools import dump
    from mitmproxy.tools.main import mitmdump

    from proxy_policies.fastlane import alone

    async def run(master: Master) -> None:
        if worker.number() and (line := alone.refusal(sys.argv[1:], master.options)):
            sys.exit(line)
        await Master.run(master)

    dump.DumpMaster.run = run  # type: ignore[assignment, method-assign]
    mode_servers.asyncio = _Shared()  # type: ignore[attr-defined, assignment]
    mitmdump(sys.argv[1:])


def main(arguments: Sequence[str]) -> int:
    """Run `arguments[0]` workers with the rest as mitmdump's arguments; gives the exit code."""
    if not arguments or not arguments[0].isdecimal() or not int(arguments[0]):
        say("usage: workers COUNT [mitmdump arguments…]")
        return 2
    if not hasattr(socket, "SO_REUSEPORT"):
        say("this system cannot share a port between processes (SO_REUSEPORT)")
        return 1
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        rest = fixed_port(arguments[1:], reserved.getsockname()[1])
        return asyncio.run(_supervise(int(arguments[0]), rest))


async def _supervise(count: int, arguments: Sequence[str]) -> int:
    return await Supervisor(count, arguments).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
