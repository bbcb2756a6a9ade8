"""Waiting for a condition, bounded."""

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
    """Give a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
