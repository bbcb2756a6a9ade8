"""Waiting for a condition, bounded."""

import contextlib
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable

PATIENCE = 5
"""How many times as long as on an idle machine every wait, and every test, may take: the machine may be loaded."""


def wait_until[T](condition: Callable[[], T], timeout: float = 10, what: str = "") -> T:
    """Poll until the condition holds and give its value; AssertionError after `timeout` seconds of an idle machine."""
    deadline = time.monotonic() + timeout * PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what or condition}"
        time.sleep(0.01)
    return value


_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
PORTS = range(10_000 + 2700 * _PROCESS, 12_700 + 2700 * _PROCESS)
"""Each of pytest's processes has its own: what one has found free, another does not find free as well."""
_next_ports = itertools.islice(itertools.cycle(PORTS), secrets.randbelow(len(PORTS)), None)


def free_port(count: int = 1) -> int:
    """Return a TCP port of 127.0.0.1 that is free, and that nobody else takes meanwhile; the first of `count` in a row.

    Systems give ports to outgoing connections from 32768 (Linux) or 49152 on: a client that tries again and again to
    reach such a port before anybody listens there is connected to itself, once in some ten thousand tries.
    """
    while True:
        ports = list(itertools.islice(_next_ports, count))
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for port in ports:
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            if ports[-1] - ports[0] == count - 1:  # not where they begin again
                return ports[0]
