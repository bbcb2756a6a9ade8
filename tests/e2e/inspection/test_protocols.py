"""What an opened host speaks: HTTP/2, WebSocket, and a ClientHello in whatever pieces; what is neither TLS nor HTTP."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
import websockets.sync.server
from tests.support.mitmdump import Mitmdump
from tests.support.openings import REQUEST, connect, for_two_threads, read_all, read_connected, trusting_anyone, whose
from tests.support.origin import Answer, Origin

Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    """Yield a proxy that opens localhost and *.example.test."""
    hosts = ("--set", "inspect_hosts=localhost", "--set", "inspect_hosts=*.example.test")
    options = (*hosts, "--set", "ssl_insecure=true", "--set", "flow_detail=3")
    running = Mitmdump(options, confdir=tmp_path_factory.mktemp("confdir"))
    yield running
    running.stop()


def test_http2_on_both_sides(mitmdump: Start, origin: StartOrigin, curl: Any) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=600")]))
    inner = mitmdump("--set", "cache=off", mode=f"reverse:{server.url}")
    outer = mitmdump("--set", "inspect_hosts=*", "--set", "ssl_insecure=true")
    result = curl("-x", outer.url, "--cacert", str(outer.ca), "--http2", f"https://localhost:{inner.port}/")
    assert (result.heads[-1].split()[0], result.body) == ("HTTP/2", b"hello from the origin\n")
    outer.wait_log(rf"GET https://localhost:{inner.port}/ HTTP/2")
    result = curl("-x", outer.url, "--cacert", str(outer.ca), "--http2", f"https://localhost:{inner.port}/")
    inner.wait_log(rf"GET {server.url}/ HTTP/2")
    assert "hit" in (result.get("cache-status") or ""), "a request without a body was taken for an upload"
    assert len(server.requests) == 1


def test_a_proxy_reached_over_tls_opens_hosts_too(
    proxy: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path, curl: Any
) -> None:
    server = origin(server_tls)
    to_proxy = ("-x", f"https://localhost:{proxy.port}", "--proxy-cacert", str(proxy.ca))
    opened = curl(*to_proxy, "--cacert", str(proxy.ca), f"https://localhost:{server.port}/")
    assert opened.status == 200, opened.stderr
    assert opened.get("via")
    untouched = curl(*to_proxy, "--cacert", str(ca_file), f"https://127.0.0.1:{server.port}/")
    assert (untouched.status, untouched.get("via")) == (200, None), untouched.stderr


@contextmanager
def echoing(tls: ssl.SSLContext | None) -> Iterator[int]:
    """Serve WebSocket echoes on a free port, which is given."""

    def echo(connection: websockets.sync.server.ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with websockets.sync.server.serve(echo, "127.0.0.1", 0, ssl=tls, open_timeout=100) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.socket.getsockname()[1]
        server.shutdown()


def say(url: str, through: Mitmdump, trust: Path | None, text: str) -> None:
    """Send a text message, then a binary one, over a WebSocket through a proxy; both are echoed."""
    tls = for_two_threads(ssl.create_default_context(cafile=str(trust))) if trust else None
    with websockets.sync.client.connect(url, proxy=through.url, ssl=tls, compression=None, open_timeout=100) as client:
        client.send(text)
        assert client.recv(timeout=100) == text
        client.send(bytes(range(256)) * 1000)
        assert client.recv(timeout=100) == bytes(range(256)) * 1000


def test_websocket_messages_of_a_listed_host_are_visible(proxy: Mitmdump, server_tls: ssl.SSLContext) -> None:
    with echoing(server_tls) as port:
        say(f"wss://localhost:{port}/", proxy, proxy.ca, "seen by the proxy, over TLS")
    proxy.wait_log("seen by the proxy, over TLS")
    with echoing(None) as port:
        say(f"ws://localhost:{port}/", proxy, None, "seen by the proxy, in the clear")
    proxy.wait_log("seen by the proxy, in the clear")


def test_websocket_of_any_other_host_is_untouched(proxy: Mitmdump, server_tls: ssl.SSLContext, ca_file: Path) -> None:
    for tls, scheme, trust in ((server_tls, "wss", ca_file), (None, "ws", None)):
        with echoing(tls) as port:
            say(f"{scheme}://127.0.0.1:{port}/", proxy, trust, "not for the proxy")
        proxy.wait_log(rf"→ 127\.0\.0\.1:{port} closed, \d{{6}} bytes up, \d{{6}} bytes down")
    assert "not for the proxy" not in proxy.log()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_that_speaks_first_is_passed_through(proxy: Mitmdump, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"{host}:{server.getsockname()[1]}"

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 ready\r\n")
                connection.sendall(read_all(connection).upper())

        threading.Thread(target=greet, daemon=True).start()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
            connect(sock, target)
            assert sock.recv(100) == b"220 ready\r\n"
            sock.sendall(b"starttls")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"STARTTLS"
    proxy.wait_log(rf"tunnel .* → {target} opened, the server speaks first")


def shake_hands(tls: ssl.SSLObject) -> bool:
    """Go on with a handshake and say whether it is done."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@pytest.mark.parametrize(("sni", "expected"), [("a.example.test", "mitmproxy"), ("other.test", "trustme")])
@pytest.mark.parametrize("how", ["byte by byte", "with the CONNECT"])
def test_a_client_hello_in_whatever_pieces(
    proxy: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, sni: str, expected: str, how: str
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting_anyone().wrap_bio(incoming, outgoing, server_hostname=sni)
    assert not shake_hands(tls)
    hello, target = outgoing.read(), f"127.0.0.1:{origin(server_tls).port}"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if how == "byte by byte":
            connect(sock, target)
            for byte in hello:
                sock.send(bytes([byte]))
        else:
            sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + hello)
            read_connected(sock)
        while not shake_hands(tls):
            incoming.write(sock.recv(65536))
        assert whose(tls.getpeercert(binary_form=True)) == expected


@pytest.mark.parametrize(("first", "is_opened"), [("1603030000", False), ("1603050001 01", True)])
def test_no_client_hello_that_servers_understand_goes_round_inspection(
    proxy: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, first: str, is_opened: bool
) -> None:
    """OpenSSL skips an empty record, and does not look at the version of the first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting_anyone().wrap_bio(incoming, outgoing, server_hostname="localhost")
    assert not shake_hands(tls)
    hello, is_done = outgoing.read(), False
    hello = hello[5 + len(bytes.fromhex(first)[5:]) :]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        connect(sock, f"localhost:{origin(server_tls).port}")
        sock.sendall(bytes.fromhex(first) + b"\x16\x03\x01" + len(hello).to_bytes(2) + hello)
        with contextlib.suppress(ConnectionError):
            while not is_done and (data := sock.recv(65536)):
                incoming.write(data)
                is_done = shake_hands(tls)
    assert is_done == is_opened
    assert not is_done or whose(tls.getpeercert(binary_form=True)) == "mitmproxy"


UNREADABLE = [
    b"\x16\x03\x01\0\0\x16\x03\x01\0\x10" + bytes(16),
    b"\x80\x2e\x01\x03\x03\0\3\0\0\0\x20\0\0\x2f" + bytes(34),
]


@pytest.mark.parametrize("hello", UNREADABLE, ids=["after an empty record", "in the form of SSL 2.0"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_unreadable_client_hello_reaches_no_host_that_may_be_listed(
    proxy: Mitmdump, hello: bytes, host: str
) -> None:
    """The name that decides about an address cannot be read."""
    way = ("127.0.0.1", proxy.port)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(way, timeout=100) as client:
        connect(client, f"{host}:{server.getsockname()[1]}")
        with server.accept()[0] as accepted:
            client.sendall(hello)
            client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                assert read_all(accepted) == b""


@pytest.mark.parametrize("is_in_tunnel", [False, True])
def test_a_long_client_hello_ends_its_connection(proxy: Mitmdump, is_in_tunnel: bool) -> None:
    """mitmproxy would wait for 16 MiB, and read them anew for each piece."""
    way = ("127.0.0.1", proxy.port)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        contextlib.suppress(ConnectionError),
        socket.create_connection(way, timeout=30) as sock,
    ):
        if is_in_tunnel:
            connect(sock, f"localhost:{server.getsockname()[1]}")
        piece = bytes(10000)
        sock.sendall(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff")
        for _ in range(12):
            sock.sendall(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece)
        assert not sock.recv(100)
    assert max(map(len, proxy.log().splitlines())) < 2000


@pytest.mark.parametrize(("host", "has_via"), [("localhost", True), ("127.0.0.1", False)])
def test_plain_http_in_a_tunnel_is_opened_for_listed_hosts(
    proxy: Mitmdump, origin: StartOrigin, host: str, has_via: bool
) -> None:
    server = origin()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        connect(sock, f"{host}:{server.port}")
        sock.sendall(REQUEST)
        assert b"hello from the origin" in read_all(sock)
    assert (server.requests[0].get("via") is not None) is has_via


@pytest.mark.parametrize("said", [b"", b"hi", b"GET", b"\x16", b"\x16\x03\x01"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_that_ends_before_it_said_enough(proxy: Mitmdump, host: str, said: bytes) -> None:
    """Data of an unknown protocol is passed on with its end, and the server's reply, too."""
    way = ("127.0.0.1", proxy.port)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(way, timeout=100) as client:
        connect(client, f"{host}:{server.getsockname()[1]}")
        accepted, _ = server.accept()
        with accepted:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            assert read_all(accepted) == said
            accepted.sendall(b"noted")
        assert read_all(client) == b"noted"
        port = client.getsockname()[1]
    proxy.wait_log(rf"127\.0\.0\.1:{port}\] client disconnect")
