"""What a proxy owes each hop, through the real mitmdump."""

import base64
import contextlib
import hashlib
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received, exchange_raw

type Start = Callable[..., Mitmdump]
type Serve = Callable[..., Origin]

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
OURS = r"1\.1 proxy-policies-[0-9a-f]{8}"


def test_what_is_for_one_hop_stays_on_it(mitmdump: Start, origin: Serve, curl: Any) -> None:
    server = origin()
    hop = [("Connection", "close, X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5"), ("X-End", "2")]
    server.route("/", Answer(headers=[*hop, ("Proxy-Authenticate", "Basic"), ("Upgrade", "h2c")], close=True))
    proxy = mitmdump(script="hops.py")
    through = ["-x", proxy.url, "--proxy-user", "user:pass", "-H", "TE: trailers, gzip", "-H", "X-Private: 1"]
    got = curl(*through, "-H", "Connection: close, X-Private, TE", f"{server.url}/")
    request = server.requests[0]
    for name in ("Proxy-Authorization", "Proxy-Connection", "X-Private", "Keep-Alive"):
        assert request.get(name) is None, name
    assert (request.get("TE"), request.get("Connection")) == ("trailers", "TE")
    for name in ("X-Secret", "Keep-Alive", "Proxy-Authenticate", "Upgrade"):
        assert got.get(name) is None, name
    assert (got.status, got.get("X-End"), got.body) == (200, "2", b"hello from the origin\n")


def test_via_both_ways(mitmdump: Start, origin: Serve, curl: Any) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Via", "1.0 inner")]))
    proxy = mitmdump(script="hops.py")
    got = curl("-x", proxy.url, "-H", "Via: 1.1 outer", f"{server.url}/")
    assert re.fullmatch(f"1.1 outer, {OURS}", server.requests[0].get("Via") or "")
    assert re.fullmatch(f"1.0 inner, {OURS}", got.get("Via") or "")
    curl("-x", proxy.url, "--http1.0", f"{server.url}/")
    assert (server.requests[1].get("Via") or "").startswith("1.0 proxy-policies-")


@pytest.mark.parametrize(("name", "via"), [("edge.example", "1.1 edge.example"), ("", None)])
def test_via_is_the_users_to_name(mitmdump: Start, origin: Serve, curl: Any, name: str, via: str | None) -> None:
    server, proxy = origin(), mitmdump("--set", f"via_name={name}", script="hops.py")
    got = curl("-x", proxy.url, f"{server.url}/")
    assert (server.requests[0].get("Via"), got.get("Via")) == (via, via)


def loop_of_two(mitmdump: Start, free_port: Callable[[], int], kind: str) -> int:
    one, other = free_port(), free_port()
    for port, following in ((one, other), (other, one)):
        mitmdump(mode=f"{kind}:http://127.0.0.1:{following}@{port}", script="hops.py")
    return one


@pytest.mark.parametrize("body", [[], ["-d", "small"], ["-T", "-", "-H", "Transfer-Encoding: chunked"]])
def test_a_loop_ends_with_508(mitmdump: Start, free_port: Callable[[], int], curl: Any, body: list[str]) -> None:
    got = curl(*body, f"http://127.0.0.1:{loop_of_two(mitmdump, free_port, 'reverse')}/")
    assert got.status == 508
    assert got.body.startswith(b"The request came back to this proxy: 1.1 proxy-policies-")


def test_a_loop_of_connects_ends(mitmdump: Start, free_port: Callable[[], int]) -> None:
    port = loop_of_two(mitmdump, free_port, "upstream")
    asked = b"CONNECT nowhere.test:80 HTTP/1.1\r\nHost: nowhere.test:80\r\nVia: 1.0 client\r\n\r\n"
    answer = answered(port, asked, b"refused HTTP CONNECT request: 508 Loop Detected")
    assert answer.startswith(b"HTTP/1.1 508 ")


KINDS = {"tcp": socket.SOCK_STREAM, "tls": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@pytest.mark.parametrize("host", ["127.1", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_connection_comes_back_for_ever(mitmdump: Start, free_port: Callable[[], int], kind: str, host: str) -> None:
    """Where there is no Via, the proxy knows itself by whatever it is called."""
    port = free_port()
    proxy = mitmdump(mode=f"reverse:{kind}://{host}:{port}@127.0.0.1:{port}", script="hops.py")
    with socket.socket(type=KINDS[kind]) as client:
        client.connect(("127.0.0.1", port))
        with contextlib.suppress(OSError):
            client.sendall(b"anybody there?")
        proxy.wait_log(r"cannot connect to .*: it is this proxy")
    proxy.stop()
    assert proxy.log().count("client connect") == 1


@pytest.mark.parametrize("lane", ["on", "off"])
def test_no_client_comes_back_as_one_of_this_machine(mitmdump: Start, lane: str) -> None:
    """A tunnel to the proxy itself would begin anew as a client of 127.0.0.1, whom others' limits do not concern."""
    proxy = mitmdump("--set", f"fast_lane={lane}")
    for host in ("0.0.0.0", "127.1", "[::ffff:127.0.0.1]"):  # mitmproxy knows 127.0.0.1 and localhost
        target = f"{host}:{proxy.port}"
        for line in (f"CONNECT {target}", f"GET http://{target}/"):
            asked = f"{line} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n".encode()
            assert answered(proxy.port, asked, b"it is this proxy").startswith(b"HTTP/1.1 502 "), line


def answered(port: int, request: bytes, end: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=100) as client:
        client.sendall(request)
        got = b""
        while end not in got:
            data = client.recv(4096)
            assert data, got
            got += data
        return got


@pytest.fixture
def server(origin: Serve) -> Origin:
    return origin()


def seen(server: Origin) -> dict[str, str | None]:
    return {name: server.requests[-1].get(name) for name in FORWARDED}


def test_a_reverse_proxy_tells_whom_a_request_is_from(mitmdump: Start, server: Origin, curl: Any) -> None:
    proxy = mitmdump(mode=f"reverse:{server.url}", script="hops.py")
    curl("-H", "Host: shop.example:8080", "-H", "X-Forwarded-For: spoof", "-H", "Forwarded: for=spoof", proxy.url)
    assert seen(server) == {
        "Forwarded": 'for=127.0.0.1;host="shop.example:8080";proto=http',
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "shop.example:8080",
    }
    assert server.requests[-1].get("Host") == f"127.0.0.1:{server.port}"


def test_a_trusted_client_is_believed(mitmdump: Start, server: Origin, curl: Any) -> None:
    trust = ("--set", "forwarded_trust=127.0.0.0/8", "--set", "forwarded_headers=x-forwarded")
    proxy = mitmdump(*trust, mode=f"reverse:{server.url}", script="hops.py")
    curl("-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: https", proxy.url)
    assert seen(server) == {
        "Forwarded": None,
        "X-Forwarded-For": "203.0.113.9, 127.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": f"127.0.0.1:{proxy.port}",
    }


def test_a_forward_proxy_tells_nothing_unless_asked(mitmdump: Start, server: Origin, curl: Any) -> None:
    proxy = mitmdump(script="hops.py")
    curl("-x", proxy.url, "-H", "X-Forwarded-For: mine", f"{server.url}/")
    assert seen(server) == dict.fromkeys(FORWARDED) | {"X-Forwarded-For": "mine"}


def handshake(request: Received) -> Answer:
    key = (request.get("Sec-WebSocket-Key") or "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    fields = f"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {accept}"
    return Answer(raw=f"HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n\r\n".encode() + b"\x81\x05hello")


def test_a_websocket_handshake_goes_through(mitmdump: Start, server: Origin) -> None:
    server.route("/", handshake)
    proxy = mitmdump(mode=f"reverse:{server.url}", script="hops.py")
    fields = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    asked = f"GET / HTTP/1.1\r\nHost: x\r\n{fields}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    got = answered(proxy.port, asked.encode(), b"hello")
    head = got.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 101")
    assert b"\r\nupgrade: websocket" in head
    assert b"\r\nconnection: upgrade" in head
    assert (server.requests[0].get("Connection"), server.requests[0].get("Upgrade")) == ("Upgrade", "websocket")


def test_credentials_go_to_the_next_proxy_only(mitmdump: Start, server: Origin, curl: Any) -> None:
    inner = mitmdump("--set", "proxyauth=user:pass")
    outer = mitmdump(mode=f"upstream:{inner.url}", script="hops.py")
    assert curl("-x", outer.url, f"{server.url}/").status == 407
    got = curl("-x", outer.url, "--proxy-user", "user:pass", f"{server.url}/")
    assert got.status == 200
    assert len((got.get("Via") or "").split(",")) == 2
    outer = mitmdump("--set", "upstream_auth=user:pass", mode=f"upstream:{inner.url}", script="hops.py")
    assert curl("-x", outer.url, f"{server.url}/").status == 200
    assert curl("-x", outer.url, "--proxytunnel", f"{server.url}/").status == 200  # HTTP in a tunnel
    assert [request.get("Proxy-Authorization") for request in server.requests] == [None] * 3


def test_max_forwards(mitmdump: Start, server: Origin) -> None:
    proxy = mitmdump(script="hops.py")
    head = f"Host: 127.0.0.1:{server.port}\r\nCookie: secret\r\nConnection: close\r\n"
    trace = exchange_raw(proxy.port, f"TRACE {server.url}/x HTTP/1.1\r\n{head}Max-Forwards: 0\r\n\r\n".encode())
    assert b"message/http" in trace
    assert b"TRACE /x HTTP/1.1\r\n" in trace
    assert b"secret" not in trace
    assert server.requests == []
    exchange_raw(proxy.port, f"OPTIONS {server.url}/x HTTP/1.1\r\n{head}Max-Forwards: 5\r\n\r\n".encode())
    assert server.requests[0].get("Max-Forwards") == "4"


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("via_name=my proxy", "option via_name='my proxy': write a name such as proxy.example"),
        (
            "forwarded_headers=yes",
            "option forwarded_headers='yes': choose one of auto, off, forwarded, x-forwarded",
        ),
        (
            "forwarded_trust=home",
            "option forwarded_trust='home': 'home' is not a valid network; write such as 10.0.0.0/8",
        ),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line(mitmdump: Start, option: str, complaint: str) -> None:
    proxy = mitmdump("--set", option, script="hops.py", wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape(complaint))
    assert "Traceback" not in proxy.log()


def test_http2_on_both_sides(mitmdump: Start, server: Origin, curl: Any) -> None:
    server.route("/", Answer(headers=[("Connection", "X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5")]))
    inner = mitmdump("--set", "via_name=inner", mode=f"reverse:{server.url}", script="hops.py")
    outer = mitmdump("--set", "via_name=outer", "--set", "ssl_insecure=true", script="hops.py")
    through = ("-x", outer.url, "--cacert", str(outer.ca), "--http2")
    got = curl(*through, "-H", "TE: trailers", f"https://localhost:{inner.port}/")
    assert (got.heads[-1].split()[0], got.status, got.body) == ("HTTP/2", 200, b"hello from the origin\n")
    assert got.get("Via") == "1.1 inner, 2.0 outer"
    for name in ("Connection", "Keep-Alive", "X-Secret"):
        assert got.get(name) is None, name
    assert server.requests[0].get("Via") == "2.0 outer, 2.0 inner"
    assert server.requests[0].get("TE") == "trailers"
    assert server.requests[0].get("X-Forwarded-Proto") == "https"
    assert server.requests[0].get("X-Forwarded-Host") == f"localhost:{inner.port}"


CLAIMS = (
    *("X-Real-IP", "x_real_ip", "X-REAL.IP", "X_Forwarded_For", "X-Forwarded-Prefix", "X-Forwarded-Client-Cert"),
    *("True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Cluster-Client-IP", "X-Original-URL"),
    *("X_Rewrite_URL", "X-Original-Host", "Front-End-Https", "Client-Cert", "X-User-Id"),
    *("X-Authenticated-Userid", "CF-IPCountry", "X-Appengine-Cron", "X-Envoy-Internal", "X-Custom-IP-Authorization"),
    *("Proxy", "Remote_User", "X-Remote-Group", "X-WebAuth-User", "X-Auth-Request-Email", "Fly-Client-IP"),
)


@pytest.mark.parametrize("style", ["auto", "off"])
def test_a_client_that_is_not_trusted_says_nothing_of_itself(mitmdump: Start, server: Origin, style: str) -> None:
    options = ("--set", f"forwarded_headers={style}", "--set", "forwarded_drop=X-User-*")
    proxy = mitmdump(*options, mode=f"reverse:{server.url}")
    fields = "".join(f"{name}: 6.6.6.6\r\n" for name in (*CLAIMS, "X-Mine"))
    plain = f"GET /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n"
    chunked = "Transfer-Encoding: chunked\r\nConnection: X-Hop\r\n"
    late = f"POST /a HTTP/1.1\r\nHost: h\r\n{chunked}\r\n0\r\n{fields}X-Hop: 1\r\n\r\n"
    exchange_raw(proxy.port, (plain * 2 + late + plain.replace("/1.1", "/1.1\r\nConnection: close")).encode())
    assert len(server.requests) == 4
    for request in server.requests:
        assert not [name for name, value in request.headers if "6.6.6.6" in value and name != "X-Mine"], request
    assert [name for name, _ in server.requests[2].trailers] == ["X-Mine"]


def test_a_trusted_client_says_all_of_it(mitmdump: Start, server: Origin) -> None:
    proxy = mitmdump("--set", "forwarded_trust=127.0.0.1", mode=f"reverse:{server.url}")
    exchange_raw(proxy.port, b"GET / HTTP/1.1\r\nHost: h\r\nX-Real-IP: 6.6.6.6\r\nConnection: close\r\n\r\n")
    assert server.requests[0].get("X-Real-IP") == "6.6.6.6"
