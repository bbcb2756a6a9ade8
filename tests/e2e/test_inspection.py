"""inspect_hosts: listed hosts are opened with the proxy's CA, every other host stays untouched, in every mode."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
import websockets.sync.server
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]


@pytest.fixture
def secure(origin: StartOrigin, server_tls: ssl.SSLContext) -> Origin:
    return origin(server_tls)


def issuer(port: int, target: str, sni: str | None, how: str = "connect") -> str:
    """Reach a TLS origin through the proxy and say whose certificate is shown there: "mitmproxy" or "trustme"."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        opening = socks5 if how == "socks5" else connect
        opening(sock, target)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(sock, server_hostname=sni) as tls:
            certificate = tls.getpeercert(binary_form=True) or b""
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b"hello from the origin" in read_all(tls)
    return "mitmproxy" if b"mitmproxy" in certificate else "trustme"


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def connect(sock: socket.socket, target: str) -> None:
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 200 ")


def socks5(sock: socket.socket, target: str) -> None:
    host, _, port = target.rpartition(":")
    sock.sendall(b"\x05\x01\x00")
    assert sock.recv(2) == b"\x05\x00"
    name = host.encode()
    sock.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + int(port).to_bytes(2, "big"))
    assert sock.recv(10)[:2] == b"\x05\x00"


@dataclass(frozen=True)
class Case:
    id: str
    hosts: tuple[str, ...]
    name: str
    sni: str | None
    expected: str


CASES = [
    Case("nothing listed", (), "localhost", "localhost", "trustme"),
    Case("all", ("*",), "localhost", "localhost", "mitmproxy"),
    Case("the name", ("localhost",), "localhost", "localhost", "mitmproxy"),
    Case("another name", ("*.example.test",), "localhost", "localhost", "trustme"),
    Case("excluded", ("*", "!localhost"), "localhost", "localhost", "trustme"),
    Case("the name, another SNI", ("localhost",), "localhost", "a.example.test", "trustme"),
    Case("the name, no SNI", ("localhost",), "localhost", None, "mitmproxy"),
    Case("the address", ("127.0.0.1",), "127.0.0.1", "a.example.test", "mitmproxy"),
    Case("an address by its SNI", ("*.example.test",), "127.0.0.1", "a.example.test", "mitmproxy"),
    Case("an address by another SNI", ("*.example.test",), "127.0.0.1", "localhost", "trustme"),
    Case("another port", ("localhost:1",), "localhost", "localhost", "trustme"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_opened(mitmdump: Start, secure: Origin, case: Case) -> None:
    hosts = [part for glob in case.hosts for part in ("--set", f"inspect_hosts={glob}")]
    proxy = mitmdump(*hosts, "--set", "ssl_insecure=true", script="inspection.py")
    assert issuer(proxy.port, f"{case.name}:{secure.port}", case.sni) == case.expected
    if "another SNI" in case.id and case.name == "localhost":
        proxy.wait_log(f"localhost:{secure.port} is left untouched: its SNI a.example.test is not in inspect_hosts")


@pytest.fixture
def through(mitmdump: Start, secure: Origin, request: pytest.FixtureRequest) -> Mitmdump:
    options = ("--set", "inspect_hosts=*.example.test", "--set", "ssl_insecure=true")
    mode = {"upstream": f"upstream:{mitmdump().url}" if request.param == "upstream" else "", "socks5": "socks5"}
    return mitmdump(*options, mode=mode[request.param])


@pytest.mark.parametrize("through", ["upstream", "socks5"], indirect=True)
def test_other_modes(through: Mitmdump, secure: Origin, request: pytest.FixtureRequest) -> None:
    how = "socks5" if "socks5" in request.node.name else "connect"
    assert issuer(through.port, f"127.0.0.1:{secure.port}", "a.example.test", how) == "mitmproxy"
    assert issuer(through.port, f"127.0.0.1:{secure.port}", "localhost", how) == "trustme"
    assert issuer(through.port, f"localhost:{secure.port}", "localhost", how) == "trustme"


def test_a_listed_host_is_fetched_over_verified_tls(mitmdump: Start, secure: Origin, ca_file: Path, curl: Any) -> None:
    proxy = mitmdump("--set", "inspect_hosts=localhost", "--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    result = curl("-x", proxy.url, "--cacert", str(proxy.ca), f"https://localhost:{secure.port}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")
    assert "Via" in dict(secure.requests[0].headers)
    proxy.wait_log(rf"GET https://localhost:{secure.port}/")
    stranger = mitmdump("--set", "inspect_hosts=localhost")
    result = curl("-x", stranger.url, "--cacert", str(stranger.ca), f"https://localhost:{secure.port}/")
    assert result.status == 502
    assert b"verify failed" in result.body


def test_http2_on_both_sides(mitmdump: Start, origin: StartOrigin, curl: Any) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=600")]))
    inner = mitmdump("--set", "cache=off", mode=f"reverse:{server.url}")
    outer = mitmdump("--set", "inspect_hosts=*", "--set", "ssl_insecure=true")
    result = curl("-x", outer.url, "--cacert", str(outer.ca), "--http2", f"https://localhost:{inner.port}/")
    assert (result.heads[-1].split()[0], result.body) == ("HTTP/2", b"hello from the origin\n")
    outer.wait_log(rf"GET https://localhost:{inner.port}/ HTTP/2")
    result = curl("-x", outer.url, "--cacert", str(outer.ca), "--http2", f"https://localhost:{inner.port}/")
    assert "hit" in (result.get("cache-status") or ""), "a request without a body was taken for an upload"
    assert len(server.requests) == 1


def test_websocket_messages_of_a_listed_host_are_visible(mitmdump: Start, server_tls: ssl.SSLContext) -> None:
    def echo(connection: websockets.sync.server.ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    proxy = mitmdump("--set", "inspect_hosts=localhost", "--set", "ssl_insecure=true", "--set", "flow_detail=3")
    with websockets.sync.server.serve(echo, "127.0.0.1", 0, ssl=server_tls) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"wss://localhost:{server.socket.getsockname()[1]}/"
        trust = ssl.create_default_context(cafile=str(proxy.ca))
        with websockets.sync.client.connect(url, proxy=proxy.url, ssl=trust) as client:
            client.send("seen by the proxy")
            assert client.recv(timeout=20) == "seen by the proxy"
        server.shutdown()
    proxy.wait_log("seen by the proxy")


def test_a_server_that_speaks_first_is_passed_through(mitmdump: Start) -> None:
    proxy = mitmdump("--set", "inspect_hosts=*")
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"127.0.0.1:{server.getsockname()[1]}"

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 ready\r\n")
                connection.sendall(read_all(connection).upper())

        threading.Thread(target=greet, daemon=True).start()
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as sock:
            connect(sock, target)
            assert sock.recv(100) == b"220 ready\r\n"
            sock.sendall(b"starttls")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b"STARTTLS"
    proxy.wait_log(rf"tunnel .* → {target} opened, the server speaks first")


def test_mitmproxys_own_options_win(mitmdump: Start, secure: Origin) -> None:
    insecure = ("--set", "ssl_insecure=true")
    ignoring = mitmdump(*insecure, "--set", "inspect_hosts=*", "--ignore-hosts", "localhost")
    assert issuer(ignoring.port, f"localhost:{secure.port}", "localhost") == "trustme"
    assert issuer(ignoring.port, f"127.0.0.1:{secure.port}", "a.example.test") == "mitmproxy"
    allowing = mitmdump(*insecure, "--allow-hosts", "localhost")
    assert issuer(allowing.port, f"localhost:{secure.port}", "localhost") == "mitmproxy"
    assert issuer(allowing.port, f"127.0.0.1:{secure.port}", "a.example.test") == "trustme"
    raw = mitmdump(*insecure, "--tcp-hosts", "127.0.0.1", "--set", "inspect_hosts=localhost", "--set", "flow_detail=3")
    assert issuer(raw.port, f"localhost:{secure.port}", "localhost") == "mitmproxy"


def test_fail_open_leaves_a_pinned_host_alone_for_a_while(
    mitmdump: Start, secure: Origin, ca_file: Path, curl: Any
) -> None:
    options = ("--set", "inspect_hosts=localhost", "--set", "ssl_insecure=true")
    pinned = ("--cacert", str(ca_file), f"https://localhost:{secure.port}/")
    closed = mitmdump(*options)
    assert curl("-x", closed.url, *pinned).code == 60
    assert curl("-x", closed.url, *pinned).code == 60
    failing = mitmdump(*options, "--set", "inspect_fail_open=on", "--set", "inspect_fail_open_ttl=1h")
    assert curl("-x", failing.url, *pinned).code == 60
    failing.wait_log(f"localhost:{secure.port} is left untouched for 3600 s: a client refused our certificate")
    assert curl("-x", failing.url, *pinned).status == 200
    failing.wait_log(rf"tunnel .* → localhost:{secure.port} opened, a client refused our certificate")


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (r"inspect_hosts=.*\.example\.com", "is a regular expression; write *.example.com"),
        ("inspect_hosts=[ab.example.com", "has a [ without a ]; write ab.example.com"),
        ("inspect_fail_open=maybe", "option inspect_fail_open='maybe': choose one of"),
        ("inspect_fail_open_ttl=soon", "option inspect_fail_open_ttl='soon': write a duration"),
        ("connect_timeout=0", "option connect_timeout='0': write a duration above zero"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line(mitmdump: Start, option: str, complaint: str) -> None:
    proxy = mitmdump("--set", option, script="inspection.py", wait=False)
    assert proxy.wait_exit() == 1
    assert complaint in proxy.log()
    assert "Traceback" not in proxy.log()
