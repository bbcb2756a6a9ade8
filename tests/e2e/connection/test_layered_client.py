"""HTTP/1.1 inside intercepted TLS and tunnels: the same connection, whether our code or mitmproxy's layers respond."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websockets.sync.client
from tests.support.files import rewrite
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect, for_two_threads, read_all, trusting_anyone
from tests.support.origin import Answer, Origin, Received
from tests.support.pauses import Pauses, unless_late
from tests.support.sockets import reset_when_closed
from tests.support.waiting import wait_until
from tests.support.websocket_server import Chat, serving

Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]

pytestmark = pytest.mark.timeout(120)
BODY = b"x" * 1000
OPENED = ("--set", "inspect_hosts=localhost", "--set", "ssl_insecure=true")
COUNTS = """
from mitmproxy import ctx, http

class Counts:
    fast_paths = {"exchanges", "hits"}
    def requestheaders(self, flow):
        if flow.request.path == "/counts":
            flow.response = http.Response.make(200, " ".join(ctx.master.commands.call("policy.stats")))

addons = [Counts()]
"""


@pytest.fixture(scope="module")
def server(ca: object) -> Iterator[Origin]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)  # type: ignore[attr-defined]
    running = Origin(context)
    running.route("", Answer(body=BODY))
    running.route("/fresh", Answer(headers=[("Cache-Control", "max-age=600")], body=BODY))
    running.route("/echo", lambda received: Answer(body=received.body))
    running.route("/large", Answer(body=bytes(8_000_000)))
    yield running
    running.close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    folder = tmp_path_factory.mktemp("confdir")
    (folder / "counts.py").write_text(COUNTS)
    running = Mitmdump(("-s", str(folder / "counts.py"), *OPENED), confdir=folder)
    yield running
    wait_until(lambda: clients(running, "connect") == clients(running, "disconnect"), 20, "the end of all clients")
    running.stop()
    assert "Traceback" not in running.log()
    assert "rror" not in running.log()


def clients(proxy: Mitmdump, what: str) -> int:
    return proxy.log().count(f"client {what}\n")


class Inspected:
    """A client inside of TLS inside of a tunnel."""

    def __init__(self, proxy: Mitmdump, server: Origin) -> None:
        sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=100)
        self.port = sock.getsockname()[1]
        connect(sock, f"localhost:{server.port}")
        self.tls = trusting_anyone().wrap_socket(sock, server_hostname="localhost")
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.tls.sendall(data)

    def get(self, path: str = "/", fields: str = "", method: str = "GET", body: bytes = b"") -> bytes:
        """Send a request, and return its response's body."""
        self.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode() + body)
        return self.response()

    def response(self) -> bytes:
        """Read a response to its end, and return its body."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 1"):
            return self.response()
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        length = int(lengths[0])
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def _more(self) -> None:
        piece = self.tls.recv(65536)
        assert piece, "closed"
        self._buffer += piece

    def counts(self) -> dict[str, int]:
        words = self.get("/counts").decode().replace("handed over", "handed_over").split()
        return {name.strip(":"): int(count) for name, count in zip(words[::2], words[1::2], strict=True)}


@pytest.fixture
def client(proxy: Mitmdump, server: Origin) -> Iterator[Inspected]:
    inspected = Inspected(proxy, server)
    yield inspected
    inspected.tls.close()


def test_it_is_taken(client: Inspected) -> None:
    before = client.counts()["exchanges"]
    for _ in range(3):
        assert client.get() == BODY
    assert client.counts()["exchanges"] == before + 4


def test_hits_need_no_hook(client: Inspected) -> None:
    for _ in range(3):
        assert client.get("/fresh") == BODY
    before = client.counts()
    for _ in range(5):
        assert client.get("/fresh") == BODY
    after = client.counts()
    assert (after["hits"] - before["hits"], after["exchanges"] - before["exchanges"]) == (5, 1)


def test_a_hit_is_of_its_own_host(proxy: Mitmdump, client: Inspected, origin: Callable[[], Origin]) -> None:
    """The same bytes in a tunnel to another place are another request."""
    other = origin()
    other.route("/fresh", Answer(headers=[("Cache-Control", "max-age=600")], body=b"other"))
    for _ in range(4):
        assert client.get("/fresh") == BODY
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        connect(sock, f"localhost:{other.port}")
        sock.sendall(b"GET /fresh HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert read_all(sock).endswith(b"other")


ODD = {
    "expect": ("Expect: 100-continue\r\nContent-Length: 4\r\n", b"body", b"body"),
    "chunked": ("Transfer-Encoding: chunked\r\n", b"4\r\nbody\r\n0\r\n\r\n", b"body"),
    "large": ("Content-Length: 2000000\r\n", bytes(2_000_000), bytes(2_000_000)),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("first", [0, 2])
def test_mitmproxy_has_what_is_its(client: Inspected, server: Origin, odd: str, first: int) -> None:
    """And the connection to the origin with it."""
    for _ in range(first):
        assert client.get() == BODY
    fields, body, answer = ODD[odd]
    # Of a connection of which only TLS has been spoken the origin's thread may not have heard yet.
    wait_until(lambda: server.connections == server.server.accepted, 100, "the origin to begin with each connection")
    connections = server.connections
    got = client.get("/echo", fields, "POST", body)
    assert got == answer, got[:500]
    assert client.get() == BODY
    assert server.connections == connections


def test_websockets_after_requests(mitmdump: Start, server_tls: ssl.SSLContext) -> None:
    with serving(Chat(), server_tls) as url:
        proxy = mitmdump(*OPENED)
        target = url.split("/")[2]
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
            connect(sock, target)
            trusting = for_two_threads(trusting_anyone())
            with websockets.sync.client.connect(
                url, sock=sock, ssl=trusting, server_hostname="localhost", open_timeout=60
            ) as chat:
                assert json.loads(chat.recv()) == {"say": "welcome"}
                chat.send("hello")
                assert json.loads(chat.recv()) == {"heard": "hello"}
        proxy.wait_log("client disconnect")
        assert "rror" not in proxy.log()


def test_many_requests_at_once(client: Inspected) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
    assert all(client.response() == BODY for _ in range(100))


def test_a_large_response_to_a_slow_client(client: Inspected) -> None:
    client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(0.3)
    assert client.response() == bytes(8_000_000)


def test_a_request_byte_by_byte(client: Inspected) -> None:
    """It is none of another protocol, which would pass by all policies."""
    for _ in range(2):
        for byte in b"GET /counts HTTP/1.1\r\nHost: localhost\r\n\r\n":
            client.send(bytes([byte]))
            time.sleep(0.001)
        assert client.response().startswith(b"hits:")


def test_another_protocol_inside_of_tls(proxy: Mitmdump, server_tls: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def shout() -> None:
            accepted, _ = listening.accept()
            with server_tls.wrap_socket(accepted, server_side=True) as connection:
                connection.sendall(connection.recv(100).upper())

        threading.Thread(target=shout, daemon=True).start()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
            connect(sock, f"localhost:{listening.getsockname()[1]}")
            with trusting_anyone().wrap_socket(sock, server_hostname="localhost") as tls:
                tls.sendall(b"*1\r\n$4\r\nping\r\n")
                assert tls.recv(100) == b"*1\r\n$4\r\nPING\r\n"


@pytest.mark.parametrize("how", ["closing alert", "end of file", "reset"])
def test_one_that_leaves_is_gone(proxy: Mitmdump, server: Origin, how: str) -> None:
    client = Inspected(proxy, server)
    assert client.get() == BODY
    if how == "closing alert":
        assert client.tls.unwrap()
    elif how == "reset":
        reset_when_closed(client.tls)
    client.tls.close()
    proxy.wait_log(rf"127.0.0.1:{client.port}\]? ?.*client disconnect")
    proxy.wait_log(rf"127.0.0.1:{client.port}\]? ?.*server disconnect")


def test_one_that_leaves_while_the_origin_works(proxy: Mitmdump, server: Origin) -> None:
    asked, released = threading.Event(), threading.Event()

    def slow(_: Received) -> Answer:
        asked.set()
        released.wait(100)
        return Answer(body=BODY)

    server.route("/slow", slow)
    client = Inspected(proxy, server)
    client.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert asked.wait(100)
    client.tls.close()
    proxy.wait_log(rf"127.0.0.1:{client.port}\]? ?.*client disconnect")
    released.set()


@pytest.mark.parametrize("how", ["closed", "cut"])
def test_an_origin_that_ends_its_connection(
    mitmdump: Start, origin: StartOrigin, server_tls: ssl.SSLContext, how: str
) -> None:
    """It is dialled again, with TLS; a body that ends with a connection that was cut is none."""
    running = origin(server_tls)
    close = how == "closed"
    running.route("/once", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", close=close))
    proxy = mitmdump(*OPENED)
    client = Inspected(proxy, running)
    for _ in range(3):
        assert client.get("/once") == b"1"
    assert running.connections == (3 if close else 1)
    assert "<< 502" not in proxy.log()


def test_an_origin_with_an_untrusted_certificate(mitmdump: Start, server: Origin) -> None:
    proxy = mitmdump("--set", "inspect_hosts=localhost", "--set", "connection_strategy=lazy")
    client = Inspected(proxy, server)
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"502 Bad Gateway" in client.tls.recv(65536)
    proxy.wait_log(re.escape("ertificate verify failed"))


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def impatient(mitmdump: Start) -> Mitmdump:
    return mitmdump(*OPENED, "--set", "keepalive_timeout=1", "--set", "head_timeout=1")


@pytest.mark.parametrize("first", [b"", b"GET / HT"], ids=["nothing", "a beginning"])
@pytest.mark.parametrize("after", [0, 1])
@unless_late(0.8)
def test_time_is_up_for_one_that_says_nothing_more(
    impatient: Mitmdump, server: Origin, first: bytes, after: int, pauses: Pauses
) -> None:
    with pauses:
        client = Inspected(impatient, server)
    for _ in range(after):
        with pauses:
            assert client.get() == BODY
    with pauses:
        client.send(first)
    assert client.tls.recv(65536)[:12] == (b"HTTP/1.1 408" if first else b"")
    impatient.wait_log("closing connection: .* for 1 s")


def test_an_option_that_is_set_meanwhile(mitmdump: Start, server: Origin, tmp_path: Path) -> None:
    """Addons that are loaded later get all events, also on existing connections."""
    script = tmp_path / "later.py"
    rewrite(script, "addons = []\n")
    proxy = mitmdump(*OPENED, "-s", str(script))
    client = Inspected(proxy, server)
    assert client.get() == BODY
    rewrite(
        script, "def response(flow):\n    flow.response.headers['X-Seen'] = 'yes'\n    flow.response.text = 'seen'\n"
    )
    wait_until(lambda: proxy.log().count("later.py") >= 2, 20, "the script's reload")
    wait_until(lambda: client.get() == b"seen", 20, "its hooks")


def test_sigterm_waits_for_an_answer(mitmdump: Start, origin: StartOrigin, server_tls: ssl.SSLContext) -> None:
    running, asked = origin(server_tls), threading.Event()

    def slow(_: Received) -> Answer:
        asked.set()
        time.sleep(1)
        return Answer(body=BODY)

    running.route("/slow", slow)
    proxy = mitmdump(*OPENED)
    client = Inspected(proxy, running)
    client.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert asked.wait(100)
    proxy.process.send_signal(signal.SIGTERM)
    assert client.response() == BODY
    assert proxy.wait_exit() == 0


async def test_hundreds_of_clients(proxy: Mitmdump, server: Origin) -> None:
    def one(number: int) -> None:
        client = Inspected(proxy, server)
        for turn in range(number % 4):
            assert client.get(f"/?{number}{turn}") == BODY
        client.tls.close()

    await asyncio.gather(*(asyncio.to_thread(one, number) for number in range(100)))


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: loc", b"G"])
@pytest.mark.parametrize("first", [0, 1])
def test_half_a_request_ends_with_its_half_of_tls(client: Inspected, said: bytes, first: int) -> None:
    """The client says that nothing more comes (RFC 8446, section 6.1) but leaves its socket open."""
    for _ in range(first):
        assert client.get() == BODY
    client.send(said)
    client.tls.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.tls.unwrap()
    with socket.socket(fileno=client.tls.detach()) as bare:
        bare.settimeout(100)
        read_all(bare)  # up to its end
