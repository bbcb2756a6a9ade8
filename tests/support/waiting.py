"""Waiting for a condition, bounded."""

import contextlib
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


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 that was free a moment ago, and that no outgoing connection takes meanwhile.

    Systems give those ports from 32768 (Linux) or 49152 on: a client that tries again and again to reach such a port
    before anybody listens there is connected to itself, once in some ten thousand tries.
    """
    while True:
        port = secrets.choice(range(10_000, 32_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
