"""Behind a load balancer that says by the PROXY protocol whom a connection is from."""

import asyncio
import functools
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.connect_tunnels import serving
from tests.support.fast_lane import ALL, PATIENT, Connection, echo, exchange, handed_over, hits, script, tunnels
from tests.support.mitmdump import Mitmdump
from tests.support.openings import read_all
from tests.support.origin import Answer, Origin
from tests.support.waiting import free_port, wait_until

from proxy_policies.proxy_protocol.header import write

Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]

HEADERS = {
    "v1": b"PROXY TCP4 192.0.2.7 198.51.100.2 50000 9001\r\n",
    "v2": write(("192.0.2.7", 50000), ("198.51.100.2", 9001)),
}
BALANCER = ("--set", "proxy_protocol=127.0.0.0/8")


def ask(proxy: Mitmdump, start: bytes, request: bytes = b"") -> bytes:
    """Send what a balancer would, in one piece, and give the answer."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(start + (request or b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"))
        return read_all(sock)


@pytest.mark.parametrize("fast_lane", ["off", "on"])
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_origin_learns_of_the_client(mitmdump: Start, origin: StartOrigin, header: bytes, fast_lane: str) -> None:
    server = origin()
    proxy = mitmdump(*BALANCER, "--set", f"fast_lane={fast_lane}", mode=f"reverse:{server.url}")
    assert ask(proxy, header).endswith(b"hello from the origin\n")
    assert server.requests[0].get("x-forwarded-for") == "192.0.2.7"
    proxy.wait_log("192.0.2.7:50000: GET ")
    assert ask(proxy, write(("8.8.8.8", 50000), ("198.51.100.2", 9001))) == b"", "a public address"
    proxy.wait_log("8.8.8.8 killed by block_global")
    assert len(server.requests) == 1


def test_a_health_check_is_from_the_balancer(mitmdump: Start, origin: StartOrigin) -> None:
    server = origin()
    proxy = mitmdump(*BALANCER, mode=f"reverse:{server.url}")
    assert ask(proxy, write(None, None)).endswith(b"hello from the origin\n")
    assert server.requests[0].get("x-forwarded-for") == "127.0.0.1"


def test_tunnels_too(mitmdump: Start, origin: StartOrigin) -> None:
    server, proxy = origin(), mitmdump(*BALANCER)
    target = f"127.0.0.1:{server.port}"
    inner = f"GET / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n{inner}".encode()
    assert ask(proxy, HEADERS["v2"], request).endswith(b"hello from the origin\n")
    proxy.wait_log(rf"tunnel 192\.0\.2\.7:50000 → {target} opened")


@pytest.mark.parametrize(
    "start",
    [b"", b"PROXY nonsense\r\n", b"PROXY TCP6 fe80::1%\x1b[2J ::1 1 2\r\n", HEADERS["v2"][:12] + b"\x31\x11\0\0"],
)
def test_without_the_word_there_is_no_connection(mitmdump: Start, origin: StartOrigin, start: bytes) -> None:
    server = origin()
    proxy = mitmdump(*BALANCER, mode=f"reverse:{server.url}")
    assert ask(proxy, start) == b""
    proxy.wait_log(r"127\.0\.0\.1:\d+ rejected: ")
    assert not server.requests


def introduced(proxy: Mitmdump, header: bytes) -> Connection:
    """A connection that a balancer has introduced, in two pieces."""
    connection = Connection(proxy.port)
    for piece in (header[:7], header[7:]):
        connection.socket.sendall(piece)
        time.sleep(0.01)
    return connection


def answered(proxy: Mitmdump, times: int) -> bool:
    return hits(proxy) >= times


def test_hits_too(mitmdump: Start, origin: StartOrigin, tmp_path: Path) -> None:
    """Answered before mitmproxy has the client, but only to who is introduced."""
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=600")], body=b"kept"))
    proxy = mitmdump(*BALANCER, *ALL, mode=f"reverse:{server.url}")
    request = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    for header in (*HEADERS.values(), write(None, None)):
        teacher = introduced(proxy, header)
        for _ in range(3):
            teacher.ask(request)
        before, handled = hits(proxy), handed_over(proxy)
        assert introduced(proxy, header).ask(request).endswith(b"kept")
        is_a_clients = header in HEADERS.values()  # else the balancer's own, which mitmproxy has
        wait_until(functools.partial(answered, proxy, before + is_a_clients))
        assert handed_over(proxy) == handled + (not is_a_clients)
    proxy.wait_log(r"192\.0\.2\.7:50000: GET ")
    assert ask(proxy, b"", request) == b""
    assert len(server.requests) == 1


async def test_tunnels_set_up_fast(mitmdump: Start, tmp_path: Path) -> None:
    proxy = mitmdump(*BALANCER, *script(tmp_path, PATIENT))
    async with serving(echo) as port:
        for number, header in enumerate(HEADERS.values(), 1):
            connection = introduced(proxy, header)
            connection.socket.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert (await asyncio.to_thread(connection.response, has_body=False)).startswith(b"HTTP/1.1 200")
            assert tunnels(proxy) == number
        with pytest.raises((OSError, EOFError)):
            await exchange(proxy.port, port)
    proxy.wait_log(rf"tunnel 192\.0\.2\.7:50000 → 127\.0\.0\.1:{port} opened")
    assert tunnels(proxy) == len(HEADERS)


def test_no_other_listener_requires_a_header(mitmdump: Start, origin: StartOrigin) -> None:
    server = origin()
    proxy = mitmdump("--set", "proxy_protocol=192.0.2.0/24", mode=f"reverse:{server.url}")
    assert ask(proxy, b"").endswith(b"hello from the origin\n")
    assert ask(proxy, HEADERS["v1"]).startswith(b"HTTP/1.1 400 "), "a header of an unknown balancer is not accepted"


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_home_alone_learns_of_its_clients(mitmdump: Start, header: bytes) -> None:
    port = free_port()
    listening = ("--set", "home_listen=0,proxy", "--set", "home_tls=none", "--set", f"home_clients={port}=ssh,proxy")
    home = mitmdump("-n", *BALANCER, *listening, script="home.py")
    home.wait_log("home: ssh: listening on")
    with socket.create_connection(("127.0.0.1", port), timeout=100) as sock:
        sock.sendall(header)
        home.wait_log(r"home: refused 192\.0\.2\.7:50000 to ssh: ")


def test_rejections_are_counted_not_listed(mitmdump: Start) -> None:
    proxy = mitmdump(*BALANCER)
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n")
            assert sock.recv(100) == b""
    proxy.stop()
    assert proxy.log().count("rejected: ") < 30


FEW = """
from proxy_policies.connection import accepted_client
from proxy_policies.proxy_protocol import addon
addon.MAX_WAITING, addon.HEADER_TIMEOUT, accepted_client.PREAMBLE_TIMEOUT = 10, 600, 600
"""


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_those_that_are_not_introduced_are_few(
    mitmdump: Start, origin: StartOrigin, tmp_path: Path, fast_lane: str
) -> None:
    few = script(tmp_path, FEW)
    proxy = mitmdump(*BALANCER, *few, "--set", f"fast_lane={fast_lane}", mode=f"reverse:{origin().url}")
    silent = [socket.create_connection(("127.0.0.1", proxy.port), timeout=100) for _ in range(10)]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as one_more:
        assert read_all(one_more) == b""
    proxy.wait_log("rejected: too many of its connections have not sent a PROXY header")
    for sock in silent:
        sock.close()
    wait_until(lambda: has_answer(proxy))


def has_answer(proxy: Mitmdump) -> bool:
    try:
        return ask(proxy, HEADERS["v1"]).endswith(b"hello from the origin\n")
    except ConnectionError:  # closed before it was read
        return False
