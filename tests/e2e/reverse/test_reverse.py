"""The reverse proxy: persistence and framing as RFC 9112 has them, whatever version the origin speaks."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until


def is_open(sock: socket.socket, timeout: float = 0.5) -> bool:
    """Return whether nothing, not even an end of file, arrives for a while."""
    sock.settimeout(timeout)
    try:
        return bool(sock.recv(1))
    except TimeoutError:
        return True


def read_response(stream: Any) -> tuple[bytes, dict[str, str], bytes]:
    """Read one response by its own framing."""
    status = stream.readline().rstrip()
    fields: dict[str, str] = {}
    while line := stream.readline().rstrip():
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return status, fields, body
    length = fields.get("content-length")
    return status, fields, stream.read(int(length)) if length is not None else stream.read()


@dataclass
class Persistence:
    id: str
    request: bytes
    stays_open: bool
    connection: str | None = None


CASES = [
    Persistence("1.1", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("1.1 close", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", False, "close"),
    Persistence("1.1 CLOSE", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: CLOSE\r\n\r\n", False, "close"),
    Persistence("1.1 list", b"GET / HTTP/1.1\r\nHost: h\r\nConnection: TE, Close\r\nTE: x\r\n\r\n", False, "close"),
    Persistence("1.0", b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", False, "close"),
    Persistence("1.0 Keep-Alive", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True, "keep-alive"),
    Persistence("1.0 keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, "keep-alive"),
    Persistence("1.0 both", b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", False, "close"),
    Persistence("origin speaks 1.0", b"GET /1.0 HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("origin's end of connection", b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("1.0, end unknown", b"GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False, "close"),
    Persistence("HEAD", b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("204", b"GET /204 HTTP/1.1\r\nHost: h\r\n\r\n", True),
    Persistence("304", b"GET /304 HTTP/1.1\r\nHost: h\r\n\r\n", True),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    behind = Origin()
    behind.route("/1.0", Answer(version="HTTP/1.0", close=True))
    behind.route("/endless", Answer(raw=b"HTTP/1.0 200 OK\r\n\r\nuntil the end", version="HTTP/1.0"))
    behind.route("/chunked", Answer(body=[b"one ", b"two ", b"three"]))
    behind.route("/closes", Answer(headers=[("Connection", "close")], close=True))
    behind.route("/204", Answer(status=204, body=b""))
    behind.route("/304", Answer(status=304, body=b""))
    proxy = Mitmdump([], mode=f"reverse:{behind.url}", confdir=tmp_path_factory.mktemp("confdir"))
    yield proxy
    proxy.stop()
    behind.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_persistence_follows_the_request_alone(shared: Mitmdump, case: Persistence) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=100) as sock:
        stream = sock.makefile("rb")
        sock.sendall(case.request)
        bodyless = case.request.startswith(b"HEAD") or b"/204" in case.request or b"/304" in case.request
        if bodyless:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += stream.readline()
            assert head.startswith(b"HTTP/1.1 ")
        else:
            status, fields, body = read_response(stream)
            assert status.startswith(b"HTTP/1.1 200")
            assert fields.get("connection") == case.connection
            assert body
        assert is_open(sock) is case.stays_open
        if case.stays_open:
            sock.settimeout(100)
            sock.sendall(case.request)
            assert stream.readline().startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("fast_lane", ["on", "off"])
def test_a_dead_origin_is_502_until_it_is_back(
    mitmdump: Callable[..., Mitmdump], free_port: Callable[[], int], fast_lane: str
) -> None:
    port = free_port()
    proxy = mitmdump("--set", f"fast_lane={fast_lane}", mode=f"reverse:http://127.0.0.1:{port}")
    get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        stream = sock.makefile("rb")
        for _ in range(2):
            sock.sendall(get)
            status, fields, body = read_response(stream)
            assert status == b"HTTP/1.1 502 Bad Gateway"
            assert int(fields["content-length"]) == len(body)
            assert f"cannot connect to 127.0.0.1:{port}: connection refused".encode() in body
        with socket.create_server(("127.0.0.1", port)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback")

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            sock.sendall(get)
            assert read_response(stream)[2] == b"back"
            thread.join(100)


@pytest.mark.parametrize("kind", ["http", "https"])
def test_the_origin_is_dialled_only_when_a_request_needs_it(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], server_tls: ssl.SSLContext, curl: Any, kind: str
) -> None:
    """With TLS on both sides too, where mitmproxy would fetch the origin's certificate first."""
    server = origin(server_tls if kind == "https" else None)
    server.route("/", Answer(headers=[("Cache-Control", "max-age=600")]))
    options = () if kind == "http" else ("--set", "ssl_insecure=true")
    proxy = mitmdump(*options, mode=f"reverse:{kind}://localhost:{server.port}")
    url = f"{kind}://localhost:{proxy.port}/"
    with socket.create_connection(("127.0.0.1", proxy.port)):
        proxy.wait_log("client connect")
        assert curl("--cacert", str(proxy.ca), url).status == 200
    assert server.connections == 1
    server.close()
    hit = curl("--cacert", str(proxy.ca), url)
    assert (hit.status, hit.body) == (200, b"hello from the origin\n")
    assert "hit" in (hit.get("Cache-Status") or "")
    assert server.connections == 1


def test_eager_when_the_user_says_so(mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin]) -> None:
    server = origin()
    proxy = mitmdump("--set", "connection_strategy=eager", mode=f"reverse:{server.url}")
    with socket.create_connection(("127.0.0.1", proxy.port)):
        wait_until(lambda: server.connections == 1, what="a dial without a request")


def test_200_clients_at_once(shared: Mitmdump) -> None:
    async def one() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", shared.port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        writer.write(b"GET /1.0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    async def everyone() -> list[bytes]:
        return await asyncio.gather(*(one() for _ in range(200)))

    for answer in asyncio.run(everyone()):
        assert answer.count(b"HTTP/1.1 200 ") == 3
        assert answer.count(b"hello from the origin\n") == 3


def test_an_addon_cannot_break_the_framing(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], tmp_path: Path
) -> None:
    """Fields that addons delete or make up do not decide where a message ends."""
    script = tmp_path / "meddling.py"
    script.write_text(
        "def responseheaders(flow):\n"
        "    flow.response.headers.pop('transfer-encoding', None)\n"
        "    flow.response.headers.pop('content-length', None)\n"
        "    flow.response.headers.pop('connection', None)\n"
        "def requestheaders(flow):\n"
        "    flow.request.headers.pop('connection', None)\n"
        "    flow.request.http_version = 'HTTP/1.0'\n"
    )
    server = origin()
    server.route("/chunked", Answer(body=[b"one ", b"two ", b"three"]))
    proxy = mitmdump("-s", str(script), mode=f"reverse:{server.url}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        stream = sock.makefile("rb")
        for path, expected in (("/chunked", b"one two three"), ("/", b"hello from the origin\n")):
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            status, _, body = read_response(stream)
            assert (status[:12], body) == (b"HTTP/1.1 200", expected)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert read_response(stream)[1]["connection"] == "close"
        assert not is_open(sock)
    assert {request.version for request in server.requests} == {"HTTP/1.1"}
