"""Starts mitmdump from a process that has its modules imported already, which takes a tenth of the time.

It is the real mitmdump: its own console script runs, in a process and a session of its own, with its own arguments,
environment, folder and output. All it spares is what every start does alike. `--deep` spares nothing.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
MOST = 1 << 20
"""Bytes of a command."""


class ForkedProcess:
    """A started process, with what tests use of a `subprocess.Popen`."""

    def __init__(
        self, server: socket.socket, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None
    ) -> None:
        self.args = command
        self.returncode: int | None = None
        self._status, status = os.pipe()
        output, printed = os.pipe()
        asked = json.dumps([list(command), dict(environment), str(cwd or Path.cwd())]).encode()
        socket.send_fds(server, [asked], [printed, status])
        os.close(status)
        os.close(printed)
        self.stdout: IO[bytes] = open(output, "rb")  # noqa: SIM115 - the reader's, as with Popen
        self.pid = self._read_number()

    def _read_number(self) -> int:
        numbers = array.array("q")
        numbers.frombytes(os.read(self._status, numbers.itemsize))
        return numbers[0]

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends and return its exit code, minus the signal's number if it was killed."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._read_number()
            os.close(self._status)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def start(command: Sequence[str], environment: Mapping[str, str], cwd: Path | None) -> ForkedProcess:
    """Start a console script of mitmproxy's, in an environment in which the interpreter would be as it is."""
    return ForkedProcess(_server()[0], command, environment, cwd)


@functools.cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the server; it ends with our process, whose socket it reads."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, "-um", "tests.support.fork_server", str(its.fileno())]
        process = subprocess.Popen(
            command, pass_fds=[its.fileno()], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True
        )
    atexit.register(_end, ours, process)
    return ours, process


def _end(ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
    ours.close()
    process.wait()


def _import_all() -> None:
    """Import what every start imports."""
    from mitmproxy.tools import dump, main  # noqa: F401

    runpy.run_path(str(ROOT / "addons" / "policy.py"))
    gc.collect()
    gc.freeze()


def _serve(server: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """Fork for each command that comes; return in the new process, with what it is to run, and where."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, descriptors, *_ = socket.recv_fds(server, MOST, 2)
        if not asked:
            sys.exit()
        if os.fork() == 0:
            server.close()
            _fork_watched(*descriptors)
            command, environment, cwd = json.loads(asked)
            return command, environment, cwd
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_watched(printed: int, status: int) -> None:
    """Fork once more and wait for that process to end, to say how; return in it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    child = os.fork()
    if child:
        os.close(printed)
        os.write(status, array.array("q", [child]).tobytes())
        _, code = os.waitpid(child, 0)
        os.write(status, array.array("q", [os.waitstatus_to_exitcode(code)]).tobytes())
        os._exit(0)
    os.setsid()
    os.close(status)
    for descriptor in (1, 2):
        os.dup2(printed, descriptor)
    os.close(printed)


def _run(command: list[str], environment: dict[str, str], cwd: str) -> None:
    """Run a console script as Python does."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    _import_all()
    _run(*_serve(socket.socket(fileno=int(sys.argv[1]))))
