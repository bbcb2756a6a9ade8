"""Starts mitmdump by forking a process that has already imported its modules, which takes a tenth of the time.

It is the real mitmdump: its own console script runs, in its own process and session, with its own arguments,
environment, folder and output. Only the imports are saved. With `--deep` it is started normally.

Our commands, and the proxies that they start, run in the same way.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
MOST = 1 << 20
"""Bytes of a command, at most."""


class ForkedProcess:
    """A started process, with the part of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        server: socket.socket,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path | None,
        outputs: Sequence[int],
    ) -> None:
        self.args = command
        self.returncode: int | None = None
        self.stdout: IO[bytes] | None = None
        self._status, status = os.pipe()
        asked = json.dumps([list(command), dict(environment), str(cwd or Path.cwd())]).encode()
        socket.send_fds(server, [asked], [*outputs, status])
        os.close(status)
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
    """Start one of mitmproxy's console scripts; its environment must not change how the interpreter starts."""
    output, printed = os.pipe()
    process = ForkedProcess(_server()[0], command, environment, cwd, (printed, printed))
    os.close(printed)
    process.stdout = open(output, "rb")  # noqa: SIM115 - the reader's, as with Popen
    return process


def run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a module as `python -m` does, and return what it printed. Raise TimeoutExpired."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        command = [sys.executable, "-m", module, *arguments]
        process = ForkedProcess(_server()[0], command, environment, cwd, (out.fileno(), err.fileno()))
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read().decode(), err.read().decode())


@functools.cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the server; it ends when our process closes its socket, or ends."""
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
    """Import the modules of every start, and those of every command."""
    import rich.progress  # noqa: F401
    from mitmproxy.tools import dump, main  # noqa: F401

    runpy.run_path(str(ROOT / "addons" / "policy.py"))
    for name in ("check", "cli", "export", "har", "openapi", "report", "runner", "secrets", "streams", "websocket"):
        package = importlib.import_module(f"proxy_policies.capture.{name}")
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            dir(importlib.import_module(found.name))  # which loads it, should it be imported lazily
    gc.collect()
    gc.freeze()


def _serve(server: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """Fork for each command received; return it in the new process, with its environment and folder."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, descriptors, *_ = socket.recv_fds(server, MOST, 3)
        if not asked:
            sys.exit()
        if os.fork() == 0:
            server.close()
            _fork_watched(*descriptors)
            command, environment, cwd = json.loads(asked)
            return command, environment, cwd
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_watched(out: int, err: int, status: int) -> None:
    """Fork once more, and report that process's exit code when it ends; return in that process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    child = os.fork()
    if child:
        os.close(out)
        os.close(err)
        os.write(status, array.array("q", [child]).tobytes())
        _, code = os.waitpid(child, 0)
        os.write(status, array.array("q", [os.waitstatus_to_exitcode(code)]).tobytes())
        os._exit(0)
    os.setsid()
    os.close(status)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)


def _run(command: list[str], environment: dict[str, str], cwd: str) -> None:
    """Run a console script, a module or a program as Python does."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    match command:
        case [sys.executable, "-m", module, *arguments]:
            _fork_proxies()
            sys.argv, sys.path[0] = ["-m", *arguments], cwd
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [sys.executable, "-c", program, *arguments]:
            sys.argv, sys.path[0] = ["-c", *arguments], ""
            exec(program, {"__name__": "__main__"})
        case _:
            sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
            runpy.run_path(command[0], run_name="__main__")


def _fork_proxies() -> None:
    """Make the command that is about to run start its proxies with its own fork server, which ends with it."""
    from proxy_policies.capture.runner import proxy_process

    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        _run(*_serve(its))
        sys.exit()
    its.close()

    def start_forked(command: Sequence[str], *, stdout: IO[bytes], **_: object) -> ForkedProcess:
        return ForkedProcess(ours, command, os.environ, None, (stdout.fileno(), stdout.fileno()))

    theirs = {**vars(subprocess), "Popen": start_forked}
    vars(proxy_process).update(subprocess=types.SimpleNamespace(**theirs))


if __name__ == "__main__":
    _import_all()
    _run(*_serve(socket.socket(fileno=int(sys.argv[1]))))
