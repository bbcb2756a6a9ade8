"""Counts the instructions that a request takes: unlike time, they do not depend on the machine's load.

Valgrind's callgrind counts them, including those of other threads than the event loop's.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark import counted
from scripts.benchmark.processes import Processes, free_port
from scripts.benchmark.targets import BIN, HERE, ROOT

CLIENTS = 16
"""Clients that send their requests at once, as under load."""
WARM_UP = 4
"""Requests of each client before counting begins: the first ones import modules and fill caches."""
PATIENCE = 600
"""Seconds until a timeout: the proxy runs at a fiftieth of its speed."""
MORE = 3
"""Times as many requests in the second run: periodic work is the same in both, and is subtracted."""
COUNTS = "callgrind"
_TOTAL = re.compile(r"^totals: (\d+)\n", re.MULTILINE)
_numbers = itertools.count()


@dataclass(frozen=True)
class Kind:
    """A kind of request."""

    name: str
    path: Callable[[], str]
    """Returns the path of the next request."""
    rounds: int
    """Requests of each client that are counted."""


HITS = Kind("hit", lambda: "/hit/1024/0", 100)
MISSES = Kind("miss", lambda: f"/miss/1024/{next(_numbers)}", 15)


def per_request(
    origin: int, kind: Kind, scripts: Sequence[Path] = (), options: Sequence[str] = (), wait: float = 0.0
) -> float:
    """Return the instructions in which a proxy before an origin serves a request, and what follows in `wait` seconds.

    Scripts are loaded before ours.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        scripts = [HERE / "counted.py", *scripts, ROOT / "addons" / "policy.py"]
        command = _command(folder, port, origin, scripts, options)
        running = Processes.start(command, port, folder, patience=PATIENCE)
        proxy = running.process.pid
        try:
            with _connect(port) as early:  # connections made during the start are left to mitmproxy's layers
                _ask(proxy, [early], kind, 1)
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(_connect(port)) for _ in range(CLIENTS)]
                _ask(proxy, clients, kind, WARM_UP)
                time.sleep(wait)
                os.kill(proxy, counted.START)
                _ask(proxy, clients, kind, 1)
                os.kill(proxy, counted.DUMP)  # and counting begins again
                counts = [_counted(folder / f"{COUNTS}.1")]
                for number, times in enumerate((1, MORE), 2):
                    _ask(proxy, clients, kind, times * kind.rounds)
                    time.sleep(wait)
                    os.kill(proxy, counted.DUMP)
                    counts.append(_counted(folder / f"{COUNTS}.{number}"))
        finally:
            running.stop(PATIENCE)
        _, few, many = counts
        return (many - few) / ((MORE - 1) * kind.rounds * CLIENTS)


def _counted(dump: Path) -> int:
    """Return the instructions in a file that callgrind is writing."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if dump.exists() and (found := _TOTAL.search(dump.read_text(errors="replace"))):
            return int(found[1])
        time.sleep(0.05)
    raise RuntimeError("callgrind counted nothing")


def _command(folder: Path, port: int, origin: int, scripts: Sequence[Path], options: Sequence[str]) -> list[str]:
    counting = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder / COUNTS}", "--instr-atstart=no"]
    where = ["--mode", f"reverse:http://127.0.0.1:{origin}@127.0.0.1:{port}"]
    loaded = [part for script in scripts for part in ("-s", str(script))]
    settings = [part for option in (f"confdir={folder}", *options) for part in ("--set", option)]
    return [*counting, sys.executable, str(BIN / "mitmdump"), *loaded, *where, *settings]


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def _ask(proxy: int, clients: Sequence[socket.socket], kind: Kind, rounds: int) -> None:
    """Send requests in rounds; the proxy finds a round's requests all at once, however busy the machine is."""
    for _ in range(rounds):
        os.kill(proxy, signal.SIGSTOP)
        os.waitid(os.P_PID, proxy, os.WSTOPPED)
        for client in clients:
            client.sendall(f"GET {kind.path()} HTTP/1.1\r\nHost: origin.example\r\n\r\n".encode())
        os.kill(proxy, signal.SIGCONT)
        for client in clients:
            _read_response(client)


def _read_response(client: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(1 << 16) or _ended()
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    missing = int(length[1] if length else 0) - len(body)
    while missing > 0:
        missing -= len(client.recv(missing) or _ended())


def _ended() -> bytes:
    raise RuntimeError("the proxy ended a connection")
