"""Generates the load: wrk for requests, sockets for tunnels, all of it outside the target's process."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import itertools
import re
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark import bulk


@dataclass(frozen=True)
class Done:
    """The work that a load achieved: its units, and the seconds that they took."""

    units: float
    seconds: float


@dataclass(frozen=True)
class Route:
    """How a client reaches the origin: by the target's own address (reverse), or by naming the origin (forward)."""

    port: int
    origin: int
    is_forward: bool

    def target(self, path: str) -> str:
        """Return a request's target (RFC 9112, section 3.2)."""
        return f"http://127.0.0.1:{self.origin}{path}" if self.is_forward else path


DISTINCT = """
local n = math.random(1, 1000000000)
request = function()
  n = n + 1
  return wrk.format("GET", "%s" .. n)
end
"""


def requests(
    route: Route,
    path: str,
    seconds: float,
    connections: int = 32,
    *,
    reuse: bool = True,
    distinct: bool = False,
    fields: tuple[str, ...] = (),
) -> Done:
    """Request one path, or a distinct one each time, for some seconds."""
    target = route.target(path)
    arguments = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    arguments += [part for line in fields for part in ("-H", line)]
    arguments += ["-H", f"Host: 127.0.0.1:{route.origin}"]
    if not reuse:
        arguments += ["-H", "Connection: close"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write((DISTINCT if distinct else 'request = function() return wrk.format("GET", "%s") end') % target)
        script.flush()
        arguments += ["-s", script.name, f"http://127.0.0.1:{route.port}/"]
        text = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    match = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if match is None or bad:
        raise RuntimeError(f"wrk: {text}")
    return Done(int(match[1]), float(match[2]) / (1000 if match[3] == "ms" else 1))


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def first_answer(route: Route, path: str) -> float:
    """Request one path once; return the seconds, including those in which the target was not yet ready."""
    start = time.monotonic()
    with _connect(route.port) as sock:
        sock.sendall(f"GET {route.target(path)} HTTP/1.1\r\nHost: 127.0.0.1:{route.origin}\r\n\r\n".encode())
        if b" 200 " not in sock.recv(1 << 16):
            raise RuntimeError("no response")
    return time.monotonic() - start


def tunnel(route: Route) -> socket.socket:
    """Open a tunnel to the tunnel origin (a plain connection to the target if it forwards TCP)."""
    sock = _connect(route.port)
    if route.is_forward:
        sock.sendall(f"CONNECT 127.0.0.1:{route.origin} HTTP/1.1\r\nHost: 127.0.0.1:{route.origin}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1) or _refused(answer)
        if b" 200 " not in answer:
            _refused(answer)
    return sock


def _refused(answer: bytes) -> bytes:
    raise RuntimeError(f"the tunnel was refused: {answer!r}")


def download(route: Route, size: int) -> None:
    """Receive `size` bytes through a tunnel."""
    with tunnel(route) as sock:
        sock.sendall(b"down %d\n" % size)
        bulk.discard(sock, size)


def upload(route: Route, size: int) -> None:
    """Send `size` bytes through a tunnel, and wait until they have arrived."""
    with tunnel(route) as sock:
        sock.sendall(b"up %d\n" % size)
        bulk.send(sock, size)
        bulk.discard(sock, 1)


def transfer(route: Route, size: int, *, up: bool = False, parallel: int = 1) -> Done:
    """Transfer `size` bytes in total; units are GiB."""
    one = functools.partial(upload if up else download, route, size // parallel)
    start = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(parallel) as pool:
        for result in [pool.submit(one) for _ in range(parallel)]:
            result.result()
    return Done(size / (1 << 30), time.monotonic() - start)


def round_trips(route: Route, count: int) -> Done:
    """Send one byte back and forth; units are round trips, seconds their median times their number."""
    times = []
    with tunnel(route) as sock:
        sock.sendall(b"echo\n")
        for _ in range(count):
            start = time.perf_counter()
            sock.sendall(b"x")
            sock.recv(1)
            times.append(time.perf_counter() - start)
    return Done(count, statistics.median(times) * count)


def _set_ups(route: Route, until: float) -> int:
    for count in itertools.count():
        if time.monotonic() > until:
            return count
        with tunnel(route) as sock:
            sock.sendall(b"echo\nx")
            sock.recv(1)
    return 0


def set_ups(route: Route, seconds: float, parallel: int = 8) -> Done:
    """Open tunnels with several clients at once, and send one byte through each; units are tunnels."""
    start = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(parallel) as pool:
        counts = [pool.submit(_set_ups, route, start + seconds) for _ in range(parallel)]
        total = sum(count.result() for count in counts)
    return Done(total, time.monotonic() - start)


@contextlib.contextmanager
def _inspected(route: Route, authority: Path) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(authority))
    with context.wrap_socket(tunnel(route), server_hostname="127.0.0.1") as secure:
        yield secure


def _inspected_requests(route: Route, authority: Path, path: str, until: float) -> int:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{route.origin}\r\n\r\n".encode()
    with _inspected(route, authority) as secure:
        for count in itertools.count():
            if time.monotonic() > until:
                return count
            secure.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += secure.recv(1 << 16) or _refused(answer)
            head, _, rest = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            left = int(length[1] if length else 0) - len(rest)
            while left > 0:
                left -= len(secure.recv(1 << 16))
    return 0


def inspected(route: Route, authority: Path, path: str, seconds: float, parallel: int = 8) -> Done:
    """Request a path over TLS that the target decrypts; units are requests."""
    start = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(parallel) as pool:
        counts = [pool.submit(_inspected_requests, route, authority, path, start + seconds) for _ in range(parallel)]
        total = sum(count.result() for count in counts)
    return Done(total, time.monotonic() - start)
