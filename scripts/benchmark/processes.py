"""Starts a target's processes on one core, measures their CPU time and memory, and ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
LOG = "log"


def free_port() -> int:
    """Find a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Processes:
    """A process and its descendants."""

    command: Sequence[str]
    port: int
    folder: Path
    cores: set[int] | None
    process: subprocess.Popen[bytes]
    gone: float = 0.0
    """CPU seconds of processes before the last restart."""

    @classmethod
    def start(
        cls, command: Sequence[str], port: int, folder: Path, cores: set[int] | None = None, patience: float = 20
    ) -> Processes:
        """Start a command and wait until its port accepts connections, up to `patience` seconds."""
        running = cls(command, port, folder, cores, _spawn(command, folder, cores))
        running.await_port(patience)
        return running

    def restart(self) -> float:
        """End them and start them again; return the seconds until the port accepts connections."""
        self.gone = self.cpu()
        self.stop()
        begin = time.monotonic()
        self.process = _spawn(self.command, self.folder, self.cores)
        self.await_port()
        return time.monotonic() - begin

    def await_port(self, patience: float = 20) -> None:
        """Wait until the port accepts connections. Raise RuntimeError with the log."""
        deadline = time.monotonic() + patience
        while not _listens(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = (self.folder / LOG).read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.command[0]} does not listen:\n{said}")
            time.sleep(0.002)

    def pids(self) -> list[int]:
        """Return the ids of the process and its descendants."""
        parents = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu(self) -> float:
        """Return the CPU seconds of all, including children that have ended."""
        total = 0.0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, fields[11:15]))
        return self.gone + total / TICK

    def peak(self) -> int:
        """Return the sum of their peak resident memory, in bytes."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        return total * 1024

    def stop(self, patience: float = 5) -> None:
        """End the whole session, by force after `patience` seconds."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                return


def _spawn(command: Sequence[str], folder: Path, cores: set[int] | None) -> subprocess.Popen[bytes]:
    with (folder / LOG).open("wb") as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
            cwd=folder,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},  # a user's second start finds compiled modules
        )


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
