"""Time-outs of connections that wait for their client, in every lane: the real mitmdump, with short limits."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.fast_lane import ALL, FRESH, Connection, Start, hits, script
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect, socks5, trusting_anyone
from tests.support.origin import Answer, Origin, Received
from tests.support.pauses import Pauses, unless_late
from tests.support.pipelining import read_responses

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("timing")]

TIMES = {"head_timeout": "0.8", "body_timeout": "0.8", "keepalive_timeout": "1", "send_timeout": "0.8"}
BRIEF = 0.8
"""Seconds: what every client here has at least."""
SHORT = tuple(part for name, value in TIMES.items() for part in ("--set", f"{name}={value}"))
LANES = ("off", "on")
LARGE = bytes(900_000)


@pytest.fixture
def pages(origin: Callable[..., Origin]) -> Origin:
    running = origin()
    running.route("/small", Answer(headers=[FRESH], body=b"x"))
    running.route("/large", Answer(headers=[FRESH], body=LARGE))
    return running


@pytest.fixture
def proxy(mitmdump: Start, pages: Origin, tmp_path: Path) -> Mitmdump:
    return mitmdump(*SHORT, *ALL, mode=f"reverse:{pages.url}")


def asking_for(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: example.test\r\n\r\n".encode()


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


def taught(proxy: Mitmdump, path: str = "/small") -> Connection:
    """A connection whose last answer came by the fast lane."""
    while True:
        connection, before = Connection(proxy.port), hits(proxy)
        with contextlib.suppress(AssertionError, OSError):  # it idled for too long, on a machine that stood still
            connection.ask(asking_for(path))
            connection.ask(asking_for(path))
            if hits(proxy) > before:
                return connection


def ending(sock: socket.socket) -> bytes:
    """Read to the end of the connection, however it ends."""
    data = b""
    sock.settimeout(100)
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


@pytest.fixture(params=["on"])
def lane(request: pytest.FixtureRequest) -> tuple[str, str]:
    return "--set", f"fast_lane={request.param}"


@pytest.mark.parametrize("mode", ["regular", "reverse", "socks5"])
def test_one_that_says_nothing(mitmdump: Start, pages: Origin, lane: tuple[str, str], mode: str) -> None:
    proxy = mitmdump(*SHORT, *lane, mode=f"reverse:{pages.url}" if mode == "reverse" else mode)
    assert ending(Connection(proxy.port).socket) == b""
    proxy.wait_log("closing connection: no request for 1 s")


@unless_late(BRIEF)
def test_one_that_stays_after_a_hit(proxy: Mitmdump, pauses: Pauses) -> None:
    with pauses:
        connection = taught(proxy)
    for _ in range(4):  # longer than it may idle, but it does not
        time.sleep(0.3)
        with pauses:
            connection.socket.sendall(asking_for("/small"))
        connection.response(has_body=True)
    assert ending(connection.socket) == b""
    proxy.wait_log("closing connection: no request for 1 s")


@pytest.mark.parametrize("when", ["first", "after a hit"])
@unless_late(BRIEF)
def test_one_that_dribbles_a_head(proxy: Mitmdump, when: str, pauses: Pauses) -> None:
    with pauses:
        connection = Connection(proxy.port) if when == "first" else taught(proxy)
    begun = asking_for("/small").removesuffix(b"\r\n") + b"X-Long: "
    with pauses:
        connection.socket.sendall(begun[:1])
    threading.Thread(target=dribble, args=(connection.socket, begun[1:]), daemon=True).start()
    assert ending(connection.socket).startswith(b"HTTP/1.1 408 ")
    proxy.wait_log("closing connection: request head incomplete for 1 s")
    connection.socket.close()  # which ends the dribble: the proxy waits for it when it ends


SMALL_BUFFERS = """
import socket
from proxy_policies.connection.accepted_client import AcceptedClient
begun = AcceptedClient.__init__
def begin(self, *arguments):
    begun(self, *arguments)
    self.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
AcceptedClient.__init__ = begin
"""


@pytest.mark.parametrize("fields", ["", "Connection: close\r\n"], ids=["kept open", "closed"])
def test_one_that_does_not_take_its_answer(mitmdump: Start, pages: Origin, tmp_path: Path, fields: str) -> None:
    limits = (*script(tmp_path, SMALL_BUFFERS), *SHORT)
    proxy = mitmdump(*limits, *ALL, mode=f"reverse:{pages.url}")
    request = f"GET /large HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n".encode()
    while not hits(proxy):
        Connection(proxy.port).ask(request)
        Connection(proxy.port).ask(request)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", proxy.port))
        sock.sendall(request * 200)
        proxy.wait_log("closing connection: response not read by the client for 1 s")
        proxy.wait_log(f"127.0.0.1:{sock.getsockname()[1]}.*client disconnect")
        assert len(ending(sock)) < len(LARGE)
    assert hits(proxy) < 20, "answers pile up in memory for a client that takes none"


@unless_late(BRIEF)
def test_one_that_takes_its_answer_slowly(proxy: Mitmdump, pauses: Pauses) -> None:
    taught(proxy, "/large")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", proxy.port))
        with pauses:
            sock.sendall(asking_for("/large") * 12)
        take_slowly(sock, 12 * len(LARGE), 2.5, pauses)


@unless_late(BRIEF)
def test_one_that_took_its_answer_slowly_may_ask_again(
    mitmdump: Start, pages: Origin, tmp_path: Path, pauses: Pauses
) -> None:
    limits = (*script(tmp_path, SMALL_BUFFERS), *SHORT)
    proxy = mitmdump(*limits, *ALL, mode=f"reverse:{pages.url}")
    taught(proxy, "/large")
    sock = Connection(proxy.port, receives=4096).socket
    for seconds in (2.0, 0.0):
        with pauses:
            sock.sendall(asking_for("/large"))
        take_slowly(sock, len(LARGE), seconds, pauses)
        time.sleep(0.5)  # the point of the test: within what a client may take to ask again


def take_slowly(sock: socket.socket, size: int, seconds: float, pauses: Pauses) -> None:
    """Read so many bytes, for the first seconds little by little."""
    started = time.monotonic()
    while size > 0:
        is_slow = time.monotonic() - started < seconds
        with pauses:
            data = sock.recv(2000 if is_slow else 1 << 20)
        assert data, "cut"
        size -= len(data)
        time.sleep(0.01 if is_slow else 0)


@unless_late(BRIEF)
def test_an_origin_may_take_its_time(proxy: Mitmdump, pages: Origin, pauses: Pauses) -> None:
    def slow(_: Received) -> Answer:
        time.sleep(2.5)
        return Answer(body=b"at last")

    pages.route("/slow", slow)
    with pauses:
        connection = taught(proxy)
    with pauses:
        connection.socket.sendall(asking_for("/slow"))
    assert connection.response(has_body=True).endswith(b"at last")


@unless_late(BRIEF)
def test_a_tunnel_may_idle(mitmdump: Start, pages: Origin, lane: tuple[str, str], pauses: Pauses) -> None:
    proxy = mitmdump(*SHORT, *lane)
    with pauses:
        tunnel = Connection(proxy.port)
    with pauses:
        tunnel.socket.sendall(f"CONNECT 127.0.0.1:{pages.port} HTTP/1.1\r\n\r\n".encode())
    assert tunnel.response(has_body=False).startswith(b"HTTP/1.1 200")
    tunnel.ask(asking_for("/small"))
    time.sleep(2.0)  # the point of the test
    assert tunnel.ask(asking_for("/small")).endswith(b"x")


@pytest.mark.parametrize(("mode", "opening"), [("regular", connect), ("socks5", socks5)])
def test_a_tunnel_to_be_opened_in_which_nothing_is_said(
    mitmdump: Start, pages: Origin, lane: tuple[str, str], mode: str, opening: Callable[[socket.socket, str], None]
) -> None:
    proxy = mitmdump(*SHORT, *lane, "--set", "inspect_hosts=127.0.0.1", mode=mode)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        opening(sock, f"127.0.0.1:{pages.port}")
        assert ending(sock) == b""
    proxy.wait_log("closing connection: no request for 1 s")


def test_too_many_that_idle(mitmdump: Start, pages: Origin, lane: tuple[str, str]) -> None:
    """Half of the files that a process may open are for clients: then the longest idle go first."""
    proxy = mitmdump(*lane, mode=f"reverse:{pages.url}", around=("prlimit", "--nofile=160"))
    busy, idle = Connection(proxy.port), []
    for _ in range(120):
        idle.append(Connection(proxy.port))
        busy.ask(asking_for("/small"))
    for connection in idle[:20]:
        assert ending(connection.socket) == b""
    assert idle[-1].ask(asking_for("/small")).endswith(b"x")
    assert busy.ask(asking_for("/small")).endswith(b"x")


# In every lane


@pytest.fixture(scope="module")
def shared_pages() -> Iterator[Origin]:
    running = Origin()
    running.route("/small", Answer(headers=[FRESH], body=b"x"))
    yield running
    running.close()


@pytest.fixture(scope="module", params=LANES)
def slow(
    request: pytest.FixtureRequest, shared_pages: Origin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mitmdump]:
    """A proxy whose clients have little time."""
    arguments = (*SHORT, "--set", "handshake_timeout=2", "--set", f"fast_lane={request.param}")
    running = Mitmdump(arguments, confdir=tmp_path_factory.mktemp("confdir"), mode=f"reverse:{shared_pages.url}")
    yield running
    running.stop()


@pytest.mark.parametrize("first", [b"", asking_for("/small")], ids=["first", "after another"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@unless_late(BRIEF)
def test_a_head_that_dribbles(slow: Mitmdump, first: bytes, secure: bool, pauses: Pauses) -> None:
    with pauses:
        sock = opened(slow.port, secure)
    if first:
        with pauses:
            sock.sendall(first)
        assert read_responses(sock, 1)
    head = asking_for("/small").removesuffix(b"\r\n") + b"X-Long: "
    with pauses:
        sock.sendall(head)
    assert dribbled(sock, b"x").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
@unless_late(BRIEF)
def test_a_body_that_dribbles(slow: Mitmdump, framing: str, pauses: Pauses) -> None:
    with pauses:
        sock = opened(slow.port)
    with pauses:
        sock.sendall(f"POST /small HTTP/1.1\r\nHost: example.test\r\n{framing}\r\n\r\n".encode())
    piece = b"x" if "Length" in framing else b"1\r\nx\r\n"
    assert dribbled(sock, piece).startswith(b"HTTP/1.1 408 ")


@unless_late(BRIEF)
def test_a_body_that_comes_fast_enough(slow: Mitmdump, pauses: Pauses) -> None:
    with pauses:
        sock = opened(slow.port)
    with pauses:
        sock.sendall(b"POST /small HTTP/1.1\r\nHost: example.test\r\nContent-Length: 30000\r\n\r\n")
    for _ in range(30):
        with pauses:
            sock.sendall(bytes(1000))
        time.sleep(0.1)
    assert read_responses(sock, 1)[0].startswith(b"HTTP/1.1 200")


@unless_late(BRIEF)
def test_one_that_goes_on_idling(slow: Mitmdump, pauses: Pauses) -> None:
    with pauses:
        sock = opened(slow.port)
    for _ in range(3):
        with pauses:
            sock.sendall(asking_for("/small"))
        assert read_responses(sock, 1)
        time.sleep(0.3)  # the point of the test: less than it may idle
    assert ending(sock) == b""


@unless_late(BRIEF)
def test_a_handshake_that_does_not_end(slow: Mitmdump, pauses: Pauses) -> None:
    time.sleep(1.1)  # such lines are one a second, and another test may have caused the last
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="example.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    with pauses:
        sock = opened(slow.port)
    with pauses:
        sock.sendall(outgoing.read())
    assert ending(sock)  # what the proxy said, which we do not answer
    slow.wait_log("TLS handshake incomplete")


def test_a_reader_that_does_not_read(slow: Mitmdump, shared_pages: Origin) -> None:
    time.sleep(1.1)  # as above
    shared_pages.route("/huge", Answer(body=bytes(30 << 20)))
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", slow.port))
        sock.sendall(asking_for("/huge"))
        slow.wait_log("response not read by the client")


@unless_late(BRIEF)
def test_an_origin_has_its_own_time(slow: Mitmdump, shared_pages: Origin, pauses: Pauses) -> None:
    """A long poll, and a stream with pauses."""

    def late(_: Received) -> Answer:
        time.sleep(2)
        return Answer(body=b"at last")

    def paused() -> Iterator[bytes]:
        yield b"first"
        time.sleep(2)
        yield b"second"

    shared_pages.route("/late", late)
    shared_pages.route("/stream", lambda _: Answer(headers=[("Content-Type", "text/event-stream")], body=paused()))
    with pauses:
        sock = opened(slow.port)
    with pauses:
        sock.sendall(asking_for("/late"))
    assert read_responses(sock, 1)[0].endswith(b"at last")
    pauses.clear()
    with pauses:
        sock.sendall(asking_for("/stream"))
    received = b""
    while b"\r\n0\r\n" not in received:
        data = sock.recv(65536)
        assert data, received
        received += data
    assert b"second" in received


def opened(port: int, secure: bool = False) -> socket.socket:
    """Connect to a proxy, over TLS if wanted."""
    while True:
        sock = socket.create_connection(("127.0.0.1", port), timeout=100)
        if not secure:
            return sock
        with contextlib.suppress(ssl.SSLEOFError, ConnectionError):  # the handshake took too long on a loaded machine
            return trusting_anyone().wrap_socket(sock)


def dribbled(sock: socket.socket, piece: bytes) -> bytes:
    """Send a piece now and then until an answer comes; give it."""
    sock.settimeout(0.1)
    for _ in range(200):
        with contextlib.suppress(TimeoutError):
            return sock.recv(65536)
        sock.sendall(piece)
    raise AssertionError("the client may dribble as long as it likes")


@pytest.fixture(scope="module", params=LANES)
def tunnels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    """A proxy that looks into every tunnel."""
    arguments = (*SHORT, "--set", "inspect_hosts=*", "--set", f"fast_lane={request.param}")
    arguments = (*arguments, "--set", "connection_strategy=lazy")  # there is no server
    running = Mitmdump(arguments, confdir=tmp_path_factory.mktemp("confdir"))
    yield running
    running.stop()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@unless_late(BRIEF)
def test_a_first_line_that_dribbles_in_a_tunnel(tunnels: Mitmdump, secure: bool, pauses: Pauses) -> None:
    """It is not known yet whether it is a request's."""
    with pauses:
        sock = opened(tunnels.port)
    with pauses:
        connect(sock, "localhost:9")
    if secure:
        with pauses:
            sock = trusting_anyone().wrap_socket(sock, server_hostname="localhost")
    with pauses:
        sock.sendall(b"G")
    assert dribbled(sock, b"E").startswith(b"HTTP/1.1 408 ")
