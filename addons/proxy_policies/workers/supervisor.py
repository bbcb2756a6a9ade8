"""Several proxies on one port: `python -m proxy_policies.workers.supervisor 4 [mitmdump arguments…]`.

Each is a process, and all listen with SO_REUSEPORT, so that the kernel distributes connections. The supervisor starts
the first one alone, which creates the CA and checks the arguments, and then the others; it prints their output, and
restarts one that dies or hangs. SIGHUP is sent on to them; SIGTERM or SIGINT ends them all, a second one at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import ChainMap, Counter
from collections.abc import Sequence
from typing import Any

from proxy_policies.service import sd_notify
from proxy_policies.worker_number import ENV_VAR, SINGLE_PROCESS, worker_number
from proxy_policies.workers import subprocesses
from proxy_policies.workers.subprocesses import Program

REPORT_FD = "PROXY_POLICIES_WORKER_REPORT_FD"
"""The environment variable with the descriptor to which a worker that serves regularly writes its reports."""
REPORT_INTERVAL = 5.0  # seconds between two reports of a worker
MAX_MISSED_REPORTS = 6  # a worker is killed after 30 s, as Gunicorn's are
PIPE_SIZE = 1 << 16  # bytes that a pipe holds, so that each read gets whole reports
RESERVED_PORT = "PROXY_POLICIES_RESERVED_PORT"
"""The environment variable with the port that we have reserved; while it is set, any other must be free."""
END_MARGIN = 3.0  # seconds after its grace period until a worker is killed


def fixed_port(arguments: Sequence[str], port: int) -> list[str]:
    """Return the arguments with a listen port of 0 replaced by `port`: otherwise each worker would get another."""
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
    """Return a socket that reserves a free port, on all addresses of IPv4 and IPv6, for processes that share it.

    On all, as workers listen on the addresses in their arguments, where another program might have the port.
    """
    is_dual = socket.has_dualstack_ipv6()
    reserved = socket.socket(socket.AF_INET6 if is_dual else socket.AF_INET)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if is_dual:
        reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    reserved.bind(("", 0))
    return reserved


PREPARE = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_DFL)"
"""The first thing a worker does: otherwise, SIGHUP during its imports would end it, and SIGINT print a traceback."""


class Supervisor:
    """Keeps workers running."""

    def __init__(self, count: int, arguments: Sequence[str], reserved_port: int) -> None:
        self._count, self._arguments = count, arguments
        self._reservation = {RESERVED_PORT: str(reserved_port)}
        self._children = subprocesses.ChildProcesses(log)
        self._one_works = asyncio.Event()
        self._report_reader, self._report_writer = os.pipe()
        os.set_blocking(self._report_writer, False)
        self._missed_reports: Counter[int] = Counter()  # by process id
        self._grace = 0.0

    async def run(self) -> int:
        """Run until stopped; return the exit code, that of the first worker if it never worked."""
        self._listen()
        watch = asyncio.ensure_future(self._watch())
        first = asyncio.ensure_future(self._keep(1))
        stop, works = (asyncio.ensure_future(event.wait()) for event in (self._children.stopping, self._one_works))
        await asyncio.wait([first, stop, works], return_when=asyncio.FIRST_COMPLETED)
        rest = range(2, self._count + 1) if works.done() and not self._children.stopping.is_set() else ()
        others = [asyncio.ensure_future(self._keep(number)) for number in rest]
        await asyncio.wait([first, stop], return_when=asyncio.FIRST_COMPLETED)
        code = 0 if self._children.stopping.is_set() else first.result()
        sd_notify.notify(sd_notify.STOPPING)
        await self._children.end(self._grace + END_MARGIN)
        await asyncio.gather(first, *others)
        watch.cancel()
        self._children.close()
        return code

    def _listen(self) -> None:
        """Read the workers' reports, and handle signals."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._report_reader, self._read_reports)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._children.stop)
        loop.add_signal_handler(signal.SIGHUP, self._children.hang_up)

    def _read_reports(self) -> None:
        """Note which workers serve, and their grace period."""
        for line in os.read(self._report_reader, PIPE_SIZE).splitlines():
            pid, grace = line.split()
            self._missed_reports[int(pid)] = 0
            self._grace = max(self._grace, float(grace))
        self._reservation.clear()
        self._children.note_working(*map(_name, range(1, self._count + 1)))
        if not self._one_works.is_set():
            sd_notify.notify(sd_notify.READY)
        self._one_works.set()

    async def _watch(self) -> None:
        """Kill workers that no longer report, because their event loop hangs: they would still be sent clients.

        Missing reports are counted instead of time, in which this process may have been suspended, too.
        """
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            self._missed_reports.update(list(self._missed_reports))
            for pid in [pid for pid, missed in self._missed_reports.items() if missed > MAX_MISSED_REPORTS]:
                del self._missed_reports[pid]
                if name := self._children.kill(pid):
                    log(f"{name} has not responded for {MAX_MISSED_REPORTS * REPORT_INTERVAL:g} s and is killed")

    async def _keep(self, number: int) -> int:
        number_text = str(number if self._count > 1 else SINGLE_PROCESS)
        environment = ChainMap(self._reservation, {ENV_VAR: number_text, REPORT_FD: str(self._report_writer)})
        mitmdump = (
            sys.executable,
            "-c",
            f"{PREPARE}; from {__spec__.name} import work; work()",
            *self._arguments,
        )
        return await self._children.keep(
            Program(_name(number), mitmdump, environment, (self._report_writer,), f"{number} ")
        )


def _name(number: int) -> str:
    return f"worker {number}"


def log(text: str) -> None:
    """Print a line of the supervisor."""
    print(text, flush=True)


class _ReusePortAsyncio:
    """Replaces the module asyncio for mitmproxy's servers, so that they share their port."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def start_server(self, serve: Any, host: str, port: int) -> asyncio.Server:
        # A port that we have not reserved may belong to other workers, which would share it with ours.
        if os.environ.get(RESERVED_PORT, str(port)) != str(port):
            (await asyncio.start_server(serve, host, port, start_serving=False)).close()
        return await asyncio.start_server(serve, host, port, reuse_port=True)


class NoDatagrams:
    """Stands in for a server of datagrams in all workers but the first: mitmproxy_rs cannot share its port."""

    sockets = ()

    def close(self) -> None:
        """Do nothing."""


async def _no_datagrams(*_: object) -> NoDatagrams:
    return NoDatagrams()


def take_interrupt_for_terminate() -> None:
    """Have SIGINT do what SIGTERM does, as in the supervisor; mitmproxy would cut responses in progress."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, signal.raise_signal, signal.SIGTERM)


async def report(descriptor: int, grace: float) -> None:
    """Report regularly that this worker serves, with its grace period in seconds."""
    while True:
        with contextlib.suppress(OSError):  # the supervisor is suspended, or gone
            os.write(descriptor, b"%d %f\n" % (os.getpid(), grace))
        await asyncio.sleep(REPORT_INTERVAL)


def work() -> None:
    """Run one worker: mitmdump with a shared port."""
    from mitmproxy import ctx
    from mitmproxy.addons.errorcheck import ErrorCheck
    from mitmproxy.master import Master
    from mitmproxy.proxy import mode_servers
    from mitmproxy.tools import dump
    from mitmproxy.tools.main import mitmdump

    from proxy_policies.background.tasks import spawn
    from proxy_policies.options.parsers import parse_duration
    from proxy_policies.script_paths import PROGRAM
    from proxy_policies.start_up import mitmproxy_program
    from proxy_policies.workers import single_process

    async def run(master: Master) -> None:
        if worker_number() and (line := single_process.conflict(sys.argv[1:], master.options)):
            sys.exit(line)
        for _ in range(2):  # scripts are loaded before it listens: if they end it, no client was accepted
            await asyncio.sleep(0)
        await Master.run(master)

    def finish(check: ErrorCheck) -> None:
        finished(check)  # type: ignore[no-untyped-call]
        take_interrupt_for_terminate()
        grace = parse_duration(getattr(ctx.options, "grace_period", "0"))
        spawn(report(int(os.environ[REPORT_FD]), grace), eager=True)

    finished, ErrorCheck.finish = ErrorCheck.finish, finish  # type: ignore[method-assign]
    dump.DumpMaster.run = run  # type: ignore[assignment, method-assign]
    mode_servers.asyncio = _ReusePortAsyncio()  # type: ignore[attr-defined, assignment]
    if worker_number() > 1:
        for kind in (mode_servers.AsyncioServerInstance, mode_servers.WireGuardServerInstance):
            kind.start_udp_based_server = _no_datagrams  # type: ignore[method-assign, assignment]
    sys.exit(mitmproxy_program.run(mitmdump, f"{PROGRAM} run", sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run `arguments[0]` workers with the rest as mitmdump's arguments; return the exit code."""
    if not arguments or not arguments[0].isdecimal() or not int(arguments[0]):
        log("usage: workers COUNT [mitmdump arguments…]")
        return 2
    if not hasattr(socket, "SO_REUSEPORT"):
        log("this system cannot share a port between processes (SO_REUSEPORT)")
        return 1
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        rest = fixed_port(arguments[1:], port)
        return asyncio.run(_supervise(int(arguments[0]), rest, port))


async def _supervise(count: int, arguments: Sequence[str], reserved_port: int) -> int:
    return await Supervisor(count, arguments, reserved_port).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
