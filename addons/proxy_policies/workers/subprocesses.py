"""The processes that a supervisor keeps: started again when they die, and ended with it, however it dies."""

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

TERMINATE_TIMEOUT = 6.0  # seconds that a process has to end when it is asked to
STABLE_AFTER = 10.0  # seconds; who lived longer died of something new
CANNOT_START = 1  # the exit code of a process that there never was
MAX_RESTART_DELAY = 60.0  # seconds between two starts; Kubernetes waits up to 300, runit 1

_GUARD = """
exec 3<&0
(trap "" HUP INT TERM; alive=; while read -r pids; do alive=$pids; done; test -z "$alive" || kill $alive) <&3 &
"""
"""Reads who is alive, a line at each change, until there is nobody any more who says so; nobody's child."""


def restart_delay(short_lives: int) -> float:
    """Return the seconds to wait before a process is started again that died young so many times in a row."""
    return min(2.0 ** min(short_lives, 16) / 2, MAX_RESTART_DELAY)


@dataclass(frozen=True)
class Command:
    """What to run, and how: the environment is added to ours."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: Sequence[int] = ()
    """Of ours, that it has as well."""
    prefix: str = ""
    """What stands before each line that it prints."""
    stop_signal: signal.Signals = signal.SIGTERM
    """What asks it to end."""


class OrphanGuard:
    """Ends processes with SIGTERM when this one has died without a word: a shell that finds the pipe's end."""

    def __init__(self) -> None:
        ours, nowhere = os.pipe(), subprocess.DEVNULL
        self._pipe = open(ours[1], "wb", buffering=0)  # noqa: SIM115
        subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", _GUARD], stdin=ours[0], stdout=nowhere, stderr=nowhere, start_new_session=True, check=True
        )
        os.close(ours[0])

    def watch(self, pids: Iterable[int]) -> None:
        """Return who is alive now."""
        with contextlib.suppress(OSError):
            self._pipe.write(" ".join(map(str, pids)).encode() + b"\n")

    def close(self) -> None:
        """Let it go; nobody is ended."""
        self.watch(())
        self._pipe.close()


class ChildProcesses:
    """Several processes, kept running until `stopping` is set; what they print is printed, line by line: one log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stop_signals: dict[str, signal.Signals] = {}
        self._worked: set[str] = set()
        self.stopping = asyncio.Event()

    @cached_property
    def _guard(self) -> OrphanGuard:
        """Made with the first process, when signals are handled already."""
        return OrphanGuard()

    async def keep(self, command: Command) -> int:
        """Run a process, again and again; returns once it is to stop, or with its exit code if it never worked."""
        short_lives = 0
        while True:
            since = time.monotonic()
            code = await self._run(command)
            if self.stopping.is_set() or (code >= 0 and command.name not in self._worked):
                return code
            short_lives = short_lives + 1 if time.monotonic() - since < STABLE_AFTER else 1
            pause = restart_delay(short_lives)
            self._say(f"{command.name} died ({how(code)}), starting it again in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)
            if self.stopping.is_set():
                return 0

    def works(self, *names: str) -> None:
        """Take note that these work, or did: from now on they are started again however they end."""
        self._worked.update(names)

    def pid(self, name: str) -> int:
        """Return the process id of one that runs."""
        return self._running[name].pid

    def pass_on(self, signal_number: signal.Signals) -> None:
        """Send all of them a signal."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal_number)

    def hang_up(self) -> None:
        """Pass SIGHUP on, for them to read their files again; end where it says that our terminal is gone."""
        if is_terminal_gone():
            self.stopping.set()
        else:
            self.pass_on(signal.SIGHUP)

    def stop(self) -> None:
        """Begin to end; called again, end each at once."""
        if self.stopping.is_set():
            self.pass_on(signal.SIGTERM)
        self.stopping.set()

    async def end(self, timeout: float = TERMINATE_TIMEOUT, names: Iterable[str] | None = None) -> None:
        """End all of them, or those named, and start none again: who does not within so many seconds is killed."""
        self.stopping.set()
        ending = [name for name in (self._running if names is None else names) if name in self._running]
        await asyncio.gather(*(end(self._running[name], timeout, self._stop_signals[name]) for name in ending))

    def close(self) -> None:
        """Let the guard go, when all have ended."""
        self._guard.close()

    async def _run(self, command: Command) -> int:
        try:
            process = await _start(command)
        except OSError as error:  # no more processes or no memory, for now
            self._say(f"{command.name} cannot be started: {error.strerror}")
            return CANNOT_START
        self._running[command.name], self._stop_signals[command.name] = process, command.stop_signal
        self._guard.watch(one.pid for one in self._running.values())
        if self.stopping.is_set():  # meanwhile
            process.terminate()
        async for line in lines(process):
            self._print(command.prefix.encode() + line)
        code = await process.wait()
        del self._running[command.name]
        self._guard.watch(one.pid for one in self._running.values())
        return code

    def _print(self, line: bytes) -> None:
        """Print a line; when nobody is there to read it any more, stop, as `mitmdump | head` does."""
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # as Python's `signal` says of SIGPIPE
            self.stopping.set()
        except OSError:  # a log on a full disk, say: a line is lost, and who prints it goes on
            return


async def _start(command: Command) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command.arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **command.environment, "PYTHONUNBUFFERED": "1"},
        pass_fds=command.descriptors,
        start_new_session=True,  # Ctrl-C and a terminal that is closed are for us to pass on
    )


def how(code: int) -> str:
    """Return how a process ended, by its exit code or the signal that killed it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # one of the real-time signals
        return f"signal {-code}"


async def lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """Return what a process says, line by line, until it says no more."""
    while process.stdout and (line := await _line(process.stdout)):
        yield line


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the reader's limit, and dropped by it
        return b"(a line too long to print)\n"


async def end(
    process: asyncio.subprocess.Process,
    timeout: float = TERMINATE_TIMEOUT,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> None:
    """Ask a process to end; if it does not within `timeout` seconds, it is killed."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    try:
        await asyncio.wait_for(process.wait(), timeout)
    except TimeoutError:
        process.kill()


def is_terminal_gone() -> bool:
    """Return whether a terminal that this process was started on has been closed, which is what SIGHUP says then."""
    return any(map(_is_gone, (0, 1, 2)))


def _is_gone(descriptor: int) -> bool:
    import termios  # not on Windows

    try:
        termios.tcgetattr(descriptor)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False
