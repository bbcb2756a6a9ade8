"""Time-outs of connections that wait for their client, with `fast_lane=all`: the real mitmdump, with short limits."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.test_fastlane_hits import ALL, FRESH, NOTING, YES, Connection
from tests.e2e.test_fastlane_tunnels import Start, script
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("timing")]

SHORT = """
from proxy_policies.fastlane import patience
patience.limits_for = lambda files: patience.Limits(head=0.8, idle=1.0, send=0.8, idle_most={most})
"""
LARGE = bytes(900_000)


@pytest.fixture
def pages(origin: Callable[..., Origin]) -> Origin:
    running = origin()
    running.route("/small", Answer(headers=[FRESH], body=b"x"))
    running.route("/large", Answer(headers=[FRESH], body=LARGE))
    return running


@pytest.fixture
def proxy(mitmdump: Start, pages: Origin, tmp_path: Path) -> Mitmdump:
    return mitmdump(*script(tmp_path, NOTING + SHORT.format(most=1000)), *ALL, mode=f"reverse:{pages.url}")


def asking_for(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: example.test\r\n\r\n".encode()


def taught(proxy: Mitmdump, path: str = "/small") -> Connection:
    """A connection whose last answer came by the fast lane."""
    connection, before = Connection(proxy.port), proxy.log().count(YES)
    while proxy.log().count(YES) == before:
        connection.ask(asking_for(path))
    return connection


def ending(sock: socket.socket) -> bytes:
    """Read to the end of the connection, however it ends."""
    data = b""
    sock.settimeout(10)
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionError:
        pass
    return data


def dribble(sock: socket.socket, text: bytes) -> None:
    try:
        for at in itertools.count():
            sock.sendall(text[at : at + 1] or b"x")
            time.sleep(0.05)
    except OSError:
        pass


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_one_that_says_nothing(mitmdump: Start, pages: Origin, tmp_path: Path, mode: str) -> None:
    limits = script(tmp_path, SHORT.format(most=1000))
    proxy = mitmdump(*limits, *ALL, mode=f"reverse:{pages.url}" if mode == "reverse" else None)
    assert ending(Connection(proxy.port).socket) == b""
    proxy.wait_log("closing connection, for 1 s no request came")


def test_one_that_stays_after_a_hit(proxy: Mitmdump) -> None:
    connection = taught(proxy)
    for _ in range(4):  # longer than it may idle, but it does not
        time.sleep(0.3)
        connection.ask(asking_for("/small"))
    assert ending(connection.socket) == b""
    proxy.wait_log("closing connection, for 1 s no request came")


@pytest.mark.parametrize("when", ["first", "after a hit"])
def test_one_that_dribbles_a_head(proxy: Mitmdump, when: str) -> None:
    connection = Connection(proxy.port) if when == "first" else taught(proxy)
    begun = asking_for("/small").removesuffix(b"\r\n") + b"X-Long: "
    threading.Thread(target=dribble, args=(connection.socket, begun), daemon=True).start()
    assert ending(connection.socket).startswith(b"HTTP/1.1 408 ")
    proxy.wait_log("closing connection, for 1 s the request's head did not come whole")


SMALL_BUFFERS = """
import socket
from proxy_policies.fastlane import counter, desk, desks
class Desk(desk.Desk):
    def __init__(self, hits, table, handler, watched):
        super().__init__(hits, table, handler, watched)
        watched.end.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
class Counter(counter.Counter):
    def __init__(self, caller, *more):
        super().__init__(caller, *more)
        caller.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
desks.Desk, desks.Counter = Desk, Counter
"""


@pytest.mark.parametrize("fields", ["", "Connection: close\r\n"], ids=["kept open", "closed"])
def test_one_that_does_not_take_its_answer(mitmdump: Start, pages: Origin, tmp_path: Path, fields: str) -> None:
    limits = script(tmp_path, NOTING + SHORT.format(most=1000) + SMALL_BUFFERS)
    proxy = mitmdump(*limits, *ALL, mode=f"reverse:{pages.url}")
    request = f"GET /large HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n".encode()
    while YES not in proxy.log():
        Connection(proxy.port).ask(request)
        Connection(proxy.port).ask(request)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", proxy.port))
        sock.sendall(request * 200)
        proxy.wait_log("closing connection, for 1 s the client does not take its answer")
        proxy.wait_log(f"127.0.0.1:{sock.getsockname()[1]}.*client disconnect")
        assert len(ending(sock)) < len(LARGE)
    assert proxy.log().count(YES) < 20, "answers pile up in memory for a client that takes none"


def test_one_that_takes_its_answer_slowly(proxy: Mitmdump) -> None:
    taught(proxy, "/large")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", proxy.port))
        sock.sendall(asking_for("/large") * 12)
        size, started = 0, time.monotonic()
        while time.monotonic() - started < 2.5:
            size += len(sock.recv(65536))
            time.sleep(0.05)
        while size < 12 * len(LARGE):
            data = sock.recv(1 << 20)
            assert data, "cut"
            size += len(data)


def test_one_that_took_its_answer_slowly_may_ask_again(mitmdump: Start, pages: Origin, tmp_path: Path) -> None:
    limits = script(tmp_path, NOTING + SHORT.format(most=1000) + SMALL_BUFFERS)
    proxy = mitmdump(*limits, *ALL, mode=f"reverse:{pages.url}")
    taught(proxy, "/large")
    connection = Connection(proxy.port, receives=4096)
    connection.socket.sendall(asking_for("/large"))
    size, started = 0, time.monotonic()
    while time.monotonic() - started < 2.0:
        size += len(connection.socket.recv(2000))
        time.sleep(0.01)
    while size < len(LARGE):
        size += len(connection.socket.recv(1 << 20))
    time.sleep(0.5)  # the point of the test: within what a client may take to ask again
    assert connection.ask(asking_for("/large")).endswith(LARGE)


def test_an_origin_may_take_its_time(proxy: Mitmdump, pages: Origin) -> None:
    def slow(_: Received) -> Answer:
        time.sleep(2.5)
        return Answer(body=b"at last")

    pages.route("/slow", slow)
    assert taught(proxy).ask(asking_for("/slow")).endswith(b"at last")


def test_a_tunnel_may_idle(mitmdump: Start, pages: Origin, tmp_path: Path) -> None:
    proxy = mitmdump(*script(tmp_path, SHORT.format(most=1000)), *ALL)
    tunnel = Connection(proxy.port)
    tunnel.socket.sendall(f"CONNECT 127.0.0.1:{pages.port} HTTP/1.1\r\n\r\n".encode())
    assert tunnel.response(has_body=False).startswith(b"HTTP/1.1 200")
    tunnel.ask(asking_for("/small"))
    time.sleep(2.0)  # the point of the test
    assert tunnel.ask(asking_for("/small")).endswith(b"x")


def test_too_many_that_idle(mitmdump: Start, pages: Origin, tmp_path: Path) -> None:
    limits = SHORT.format(most=16).replace("idle=1.0", "idle=100.0")
    proxy = mitmdump(*script(tmp_path, NOTING + limits), *ALL, mode=f"reverse:{pages.url}")
    busy, idle = taught(proxy), []
    for _ in range(40):
        idle.append(Connection(proxy.port))
        busy.ask(asking_for("/small"))
    for connection in idle[:20]:
        assert ending(connection.socket) == b""
    assert idle[-1].ask(asking_for("/small")).endswith(b"x")
    assert busy.ask(asking_for("/small")).endswith(b"x")
    wait_until(lambda: proxy.log().count("client connect") - proxy.log().count("client disconnect") <= 18)
