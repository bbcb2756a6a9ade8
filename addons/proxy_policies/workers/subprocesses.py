"""Child processes that are restarted when they die, and ended with their supervisor, even if it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

TERMINATE_TIMEOUT = 6.0  # seconds to end after a stop signal
STABLE_AFTER = 10.0  # seconds; the crash of a process that ran longer is not counted as a repeated one
CANNOT_START = 1  # the exit code for a process that could not be started
MAX_RESTART_DELAY = 60.0  # seconds between two starts; Kubernetes waits up to 300, runit 1

_GUARD = """
exec 3<&0
(trap "" HUP INT TERM; alive=; while read -r pids; do alive=$pids; done; test -z "$alive" || kill $alive) <&3 &
"""
"""Reads the running children's process ids, a line at each change, and kills the last ones at the end of its input."""


def restart_delay(crashes: int) -> float:
    """Return the seconds to wait before restarting a process that crashed so many times without running stably."""
    return min(2.0 ** min(crashes, 16) / 2, MAX_RESTART_DELAY)


@dataclass(frozen=True)
class Program:
    """A program to run; `environment` is added to ours."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: Sequence[int] = ()
    """File descriptors of ours that it inherits."""
    prefix: str = ""
    """Printed before each line of its output."""
    stop_signal: signal.Signals = signal.SIGTERM


class OrphanGuard:
    """Sends SIGTERM to processes if this one is killed: a shell that notices the end of a pipe."""

    def __init__(self) -> None:
        (reader, writer), devnull = os.pipe(), subprocess.DEVNULL
        self._pipe = open(writer, "wb", buffering=0)  # noqa: SIM115
        subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", _GUARD], stdin=reader, stdout=devnull, stderr=devnull, start_new_session=True, check=True
        )
        os.close(reader)

    def watch(self, pids: Iterable[int]) -> None:
        """Set the processes that are running now."""
        with contextlib.suppress(OSError):
            self._pipe.write(" ".join(map(str, pids)).encode() + b"\n")

    def close(self) -> None:
        """End the guard; no process is killed."""
        self.watch(())
        self._pipe.close()


class ChildProcesses:
    """Processes that are kept running until `stopping` is set. Their output is printed line by line, as one log."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stop_signals: dict[str, signal.Signals] = {}
        self._worked: set[str] = set()
        self.stopping = asyncio.Event()

    @cached_property
    def _guard(self) -> OrphanGuard:
        """Started with the first process, when signals are already handled."""
        return OrphanGuard()

    async def keep(self, program: Program) -> int:
        """Run a process, and restart it until stopped; return its exit code if it never worked."""
        crashes = 0
        while True:
            since = time.monotonic()
            code = await self._run(program)
            if self.stopping.is_set() or (code >= 0 and program.name not in self._worked):
                return code
            crashes = crashes + 1 if time.monotonic() - since < STABLE_AFTER else 1
            delay = restart_delay(crashes)
            self._log(f"{program.name} died ({describe_exit(code)}), starting it again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), delay)
            if self.stopping.is_set():
                return 0

    def note_working(self, *names: str) -> None:
        """Note that processes have worked: from now on they are restarted whatever their exit code."""
        self._worked.update(names)

    def pid(self, name: str) -> int:
        """Return the id of a running process."""
        return self._running[name].pid

    def kill(self, pid: int) -> str:
        """Kill one of the processes; return its name, "" if none with this id runs."""
        for name, process in self._running.items():
            if process.pid == pid and process.returncode is None:
                process.kill()
                return name
        return ""

    def send_signal(self, signal_number: signal.Signals) -> None:
        """Send a signal to all processes."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal_number)

    def hang_up(self) -> None:
        """Send SIGHUP to all processes, so that they reload files; stop if it means that our terminal was closed."""
        if is_terminal_gone():
            self.stopping.set()
        else:
            self.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Stop; if called again, end each process at once."""
        if self.stopping.is_set():
            self.send_signal(signal.SIGTERM)
        self.stopping.set()

    async def end(self, timeout: float = TERMINATE_TIMEOUT, names: Iterable[str] | None = None) -> None:
        """End all processes, or those named, and restart none; kill those still running after `timeout` seconds."""
        self.stopping.set()
        ending = [name for name in (self._running if names is None else names) if name in self._running]
        await asyncio.gather(*(end(self._running[name], timeout, self._stop_signals[name]) for name in ending))

    def close(self) -> None:
        """End the guard, once all processes have ended."""
        self._guard.close()

    async def _run(self, program: Program) -> int:
        try:
            process = await _start(program)
        except OSError as error:  # too many processes, or no memory
            self._log(f"{program.name} cannot be started: {error.strerror}")
            return CANNOT_START
        self._running[program.name], self._stop_signals[program.name] = process, program.stop_signal
        self._guard.watch(one.pid for one in self._running.values())
        if self.stopping.is_set():  # meanwhile
            process.terminate()
        async for line in lines(process):
            self._print(program.prefix.encode() + line)
        code = await process.wait()
        del self._running[program.name]
        self._guard.watch(one.pid for one in self._running.values())
        return code

    def _print(self, line: bytes) -> None:
        """Print a line; stop if standard output was closed, as `mitmdump | head` does."""
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # as Python's documentation does
            self.stopping.set()
        except OSError:  # for example a full disk: the line is lost
            return


async def _start(program: Program) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *program.arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **program.environment, "PYTHONUNBUFFERED": "1"},
        pass_fds=program.descriptors,
        start_new_session=True,  # it gets signals of the terminal from us only
    )


def describe_exit(code: int) -> str:
    """Return a process's exit code, or the name of the signal that killed it, for messages."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # one of the real-time signals
        return f"signal {-code}"


async def lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """Return the lines of a process's output, until its end."""
    while process.stdout and (line := await _line(process.stdout)):
        yield line


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the reader's limit, which has dropped it
        return b"(a line too long to print)\n"


async def end(
    process: asyncio.subprocess.Process,
    timeout: float = TERMINATE_TIMEOUT,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> None:
    """Send a process its stop signal; kill it if it does not end within `timeout` seconds."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    try:
        await asyncio.wait_for(process.wait(), timeout)
    except TimeoutError:
        process.kill()


def is_terminal_gone() -> bool:
    """Return whether the terminal on which this process was started was closed, which also sends SIGHUP."""
    return any(map(_is_gone, (0, 1, 2)))


def _is_gone(descriptor: int) -> bool:
    import termios  # not on Windows

    try:
        termios.tcgetattr(descriptor)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False
