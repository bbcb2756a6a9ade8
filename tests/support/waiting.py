"""Waits for conditions with time limits, and finds free ports."""

import asyncio
import contextlib
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 5
"""How many times as long as on an idle machine a wait, and a test, may take: the machine may be loaded."""


def wait_until[T](condition: Callable[[], T], timeout: float = 10, what: str = "") -> T:
    """Poll until the condition holds, and return its value. Raise AssertionError after PATIENCE times `timeout` s."""
    deadline = time.monotonic() + timeout * PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what or condition}"
        time.sleep(0.01)
    return value


async def eventually(condition: Callable[[], Any], timeout: float = 10, what: str = "") -> Any:
    """Wait, while the event loop runs, for a condition; return its value. Raise TimeoutError."""
    async with asyncio.timeout(timeout * PATIENCE):
        while not (value := condition()):  # noqa: ASYNC110 - any condition, not an event
            await asyncio.sleep(0.005)
    return value


_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
PORTS = range(10_000 + 2700 * _PROCESS, 12_700 + 2700 * _PROCESS)
"""Each of pytest's processes has its own range, so that two processes never find the same port free."""
_next_ports = itertools.islice(itertools.cycle(PORTS), secrets.randbelow(len(PORTS)), None)


def free_port(count: int = 1) -> int:
    """Return a free TCP port of 127.0.0.1 that no other process will use; the first of `count` consecutive ones.

    Systems use ports from 32768 (Linux) or 49152 for outgoing connections: a client that repeatedly tries to reach such
    a port before a server listens there is connected to itself once in some ten thousand tries.
    """
    while True:
        ports = list(itertools.islice(_next_ports, count))
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError):
            for port in ports:
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            if ports[-1] - ports[0] == count - 1:  # not where they begin again
                return ports[0]
