"""A client that sends many requests at once, and another that measures how long it has to wait meanwhile."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

_LENGTH = re.compile(rb"(?im)^content-length: (\d+)\r?$")


def work_of(pid: int) -> float:
    """Return the CPU time of a process's main thread, which runs the event loop, in seconds (Linux)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@dataclass
class Bystander:
    """Requests one URL repeatedly on its own connection, and measures for how long others were served meanwhile.

    It is measured in CPU seconds of the proxy, which do not depend on the load of the machine.
    """

    port: int
    pid: int
    request: bytes
    longest: float = 0.0
    asked: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Bystander:
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(100)

    def _ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=100) as sock:
            while not self._over.is_set():
                sock.sendall(self.request)
                self.longest = max(self.longest, self._work_for_others(sock))
                assert read_responses(sock, 1)
                self.asked += 1
                time.sleep(0.01)

    def _work_for_others(self, sock: socket.socket) -> float:
        """Return the proxy's CPU time before a response arrived, without its work while this thread was not running."""
        begun, worked = work_of(self.pid), 0.0
        while True:
            now = work_of(self.pid)
            if select.select([sock], [], [], 0.005)[0]:
                return worked
            worked = now - begun


def read_responses(sock: socket.socket, count: int) -> list[bytes]:
    """Read that many responses with Content-Length, and return them. Raise AssertionError if the connection ends."""
    responses: list[bytes] = []
    buffer = b""
    while len(responses) < count:
        data = sock.recv(1 << 20)
        assert data, f"the connection ended after {len(responses)} of {count} responses"
        buffer += data
        while len(responses) < count and (end := buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(buffer, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < whole:
                break
            responses.append(buffer[:whole])
            buffer = buffer[whole:]
    return responses


def pipeline(port: int, requests: list[bytes]) -> list[bytes]:
    """Send all requests at once, and return the responses."""
    with socket.create_connection(("127.0.0.1", port), timeout=100) as sock:
        sender = threading.Thread(target=sock.sendall, args=(b"".join(requests),), daemon=True)
        sender.start()
        responses = read_responses(sock, len(requests))
        sender.join(100)
        return responses
