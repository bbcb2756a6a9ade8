"""Exchanges without mitmproxy's layers in a real mitmdump: the same bytes and the same hooks as with them."""

import hashlib
import json
import random
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect, socks5, trusting_anyone, whose
from tests.support.origin import Answer, Origin, Received

RECORDER = """
import hashlib, json, os
from mitmproxy import ctx, http

NAMES = ("request", "response")

def hash_of(data):
    return hashlib.sha256(data).hexdigest()

def told(flow):
    state = {"error": flow.error and flow.error.msg, "live": flow.live, "server": flow.server_conn.address is not None}
    state["connected"] = flow.server_conn.timestamp_tcp_setup is not None
    for name in NAMES:
        message = getattr(flow, name)
        if message:
            data = message.data.get_state()
            for key in ("timestamp_start", "timestamp_end"):
                data[key] = data[key] is not None
            data["content"] = data["content"] is not None and hash_of(data["content"])
            state[name] = repr(sorted(data.items()))
    return state

class Recorder:
    fast_paths = {"exchanges"}

    def tell(self, hook, flow):
        with open(os.environ["RECORD"], "a") as file:
            print(json.dumps([hook, told(flow)]), file=file)

    def requestheaders(self, flow):
        self.tell("requestheaders", flow)
        if "X-Kill" in flow.request.headers:
            flow.kill()

    def request(self, flow):
        self.tell("request", flow)
        if flow.request.path == "/tally":
            counts = dict(line.split(": ") for line in ctx.master.commands.call("policy.stats"))
            flow.response = http.Response.make(200, f"{counts['exchanges']} {counts['handed over']}")
        elif "X-Made" in flow.request.headers:
            flow.response = http.Response.make(203, flow.request.headers["X-Made"])

    def responseheaders(self, flow):
        self.tell("responseheaders", flow)
        if "X-Stream" in flow.request.headers:
            flow.response.stream = True

    def response(self, flow):
        self.tell("response", flow)

    def error(self, flow):
        self.tell("error", flow)

addons = [Recorder()]
"""

BODY = bytes(range(256)) * 8


def slowly(path: str) -> Callable[[Received], Answer]:
    """Answer in pieces, cut at places that are random but the same each time."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Path: %s\r\n\r\n%s" % (len(BODY), path.encode(), BODY)
    dice = random.Random(path)
    cuts = sorted(dice.randrange(len(raw)) for _ in range(4))
    return lambda _: Answer(raw=[raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)])


ANSWERS: dict[str, Answer | Callable[[Received], Answer]] = {
    "/plain": Answer(body=b"a small body"),
    "/empty": Answer(body=b""),
    "/none": Answer(204),
    "/same": Answer(304, [("ETag", '"a"')]),
    "/gone": Answer(404, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
    "/text": Answer(headers=[("Content-Type", "text/plain")], body=b"to be encoded " * 200),
    "/fresh": Answer(headers=[("Cache-Control", "max-age=600")], body=b"to be stored"),
    "/keep": Answer(headers=[("Connection", "keep-alive"), ("Keep-Alive", "timeout=5")]),
    "/close": Answer(headers=[("Connection", "close")], close=True),
    "/chunked": Answer(body=[b"one", b"two"]),
    "/large": Answer(body=bytes(2_000_000)),
    "/hundred": Answer(body=bytes(100_000)),
    "/hints": Answer(raw=b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    "/old": Answer(version="HTTP/1.0", body=b"old"),
    "/until": Answer(raw=b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True),
    "/broken": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", close=True),
    "/short": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", close=True),
    "/nothing": Answer(raw=b"", close=True),
    **{f"/slow{number}": slowly(f"/slow{number}") for number in range(8)},
}
FIELDS = (
    "",
    "Accept-Encoding: gzip\r\n",
    "Connection: keep-alive\r\nCookie: a=1\r\nCookie: b=2\r\n",
    "X-Made: by an addon\r\n",
    "X-Kill: 1\r\n",
    "X-Stream: 1\r\n",
    "Connection: close\r\n",
    'If-None-Match: "a"\r\n',
    "Range: bytes=0-3\r\n",
    "Expect: 100-continue\r\n",
    "Max-Forwards: 0\r\n",
)


def requests(origin: Origin, prefix: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield many requests: their methods, and their bytes."""
    dice = random.Random(9)
    for number in range(count):
        path = dice.choice(list(ANSWERS))
        method = dice.choice(("GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS"))
        if method == "HEAD" and is_raw(path):
            method = "GET"  # with a body after HEAD, what the next request gets would be a matter of luck
        target = f"{prefix}{path}?{number}"
        fields = f"Host: 127.0.0.1:{origin.port}\r\n{dice.choice(FIELDS)}"
        body = BODY[: dice.choice((0, 3, 2000))] if method == "POST" else b""
        fields += f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        yield method, f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode() + body


def is_raw(path: str) -> bool:
    answer = ANSWERS[path]
    return not isinstance(answer, Answer) or answer.raw is not None


Open = Callable[[socket.socket, Origin], socket.socket]


def openly(sock: socket.socket, origin: Origin) -> socket.socket:
    """Speak HTTP at once."""
    return sock


def by_tls(sock: socket.socket, origin: Origin) -> socket.socket:
    """Speak HTTP inside of TLS, which the proxy opens."""
    tls = trusting_anyone().wrap_socket(sock, server_hostname="localhost")
    assert whose(tls.getpeercert(binary_form=True)) == "mitmproxy"
    return tls


def in_a_tunnel(sock: socket.socket, origin: Origin) -> socket.socket:
    """Speak HTTP inside of a tunnel that was asked for by CONNECT."""
    connect(sock, f"localhost:{origin.port}")
    return sock


def behind_socks(sock: socket.socket, origin: Origin) -> socket.socket:
    """Speak HTTP to a target that was asked for by SOCKS."""
    socks5(sock, f"localhost:{origin.port}")
    return sock


@dataclass(frozen=True)
class Way:
    """How clients reach an origin."""

    mode: str
    """The proxy's; {} is the origin's port."""
    opening: tuple[Open, ...] = ()
    is_origin_secure: bool = False
    options: tuple[str, ...] = ("ssl_insecure=true",)

    def open(self, proxy: int, origin: Origin) -> socket.socket:
        """Connect to the proxy, and do what comes before HTTP."""
        sock = socket.create_connection(("127.0.0.1", proxy), timeout=100)
        for step in self.opening:
            sock = step(sock, origin)
        return sock


LISTED = ("ssl_insecure=true", "inspect_hosts=localhost")
WAYS = {
    "reverse": Way("reverse:http://127.0.0.1:{}"),
    "regular": Way("regular"),
    "reverse to TLS": Way("reverse:https://localhost:{}", is_origin_secure=True),
    "TLS, reverse": Way("reverse:http://127.0.0.1:{}", (by_tls,)),
    "TLS, reverse to TLS": Way("reverse:https://localhost:{}", (by_tls,), True),
    "TLS, regular": Way("regular", (by_tls,)),
    "inspected": Way("regular", (in_a_tunnel, by_tls), True, LISTED),
    "inspected, lazily": Way("regular", (in_a_tunnel, by_tls), True, (*LISTED, "connection_strategy=lazy")),
    "in a tunnel": Way("regular", (in_a_tunnel,), False, LISTED),
    "socks5": Way("socks5", (behind_socks,), False, LISTED),
    "socks5, TLS": Way("socks5", (behind_socks, by_tls), True, LISTED),
}


class Client:
    """Sends one request after the other on one connection, as long as that goes."""

    def __init__(self, port: int, origin: Origin, way: Way = WAYS["reverse"]) -> None:
        self.port, self.origin, self.way = port, origin, way
        self.connection: socket.socket | None = None

    def ask(self, method: str, data: bytes) -> bytes:
        """Return the answer, byte for byte; b"<end>" after it where the connection ended."""
        if self.connection is None:
            self.connection = self.way.open(self.port, self.origin)
        self.connection.sendall(data)
        answer = b""
        while not is_whole(answer, method):
            piece = self.connection.recv(65_536)
            if not piece:
                self.connection.close()
                self.connection = None
                return answer + b"<end>"
            answer += piece
        return answer


def is_whole(answer: bytes, method: str) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    status = int(head.split()[1])
    if 100 <= status < 200:
        return is_whole(body, method)
    if re.search(rb"(?i)\r\nconnection: close", head):
        return False
    if method == "HEAD" or status in (204, 304):
        return True
    if re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return length is not None and len(body) >= int(length[1])


def summary(answer: bytes) -> tuple[str, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return same(head.decode("latin-1")), hashlib.sha256(body).hexdigest()


def same(text: str) -> str:
    """Leave out what differs between two runs: the second of the day, ages, ports."""
    text = re.sub(r"(?i)(date: |'date', b')[^\r']*", r"\1", text)
    text = re.sub(r"(?i)(age: |'age', b'|ttl=|max-age=)\d+", r"\1", text)
    return re.sub(r"(127\.0\.0\.1|localhost):\d+|'port', \d+|etag[^\r']*", "PORT", text)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "recorder.py"
    path.write_text(RECORDER)
    return path


Start = Callable[..., Mitmdump]


def started(mitmdump: Start, origin: Origin, script: Path, *options: str, way: Way = WAYS["reverse"]) -> Mitmdump:
    record = script.with_name("record.jsonl")
    record.unlink(missing_ok=True)
    settings = [part for option in ("via_name=us.test", *way.options, *options) for part in ("--set", option)]
    return mitmdump("-s", str(script), *settings, mode=way.mode.format(origin.port), env={"RECORD": str(record)})


def tally(proxy: Mitmdump, origin: Origin, way: Way = WAYS["reverse"]) -> tuple[int, int]:
    """How many exchanges began without mitmproxy's layers, this one too, and how many clients were handed over."""
    data = f"GET {prefix(way, origin)}/tally HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n\r\n"
    text = Client(proxy.port, origin, way).ask("GET", data.encode()).partition(b"\r\n\r\n")[2]
    begun, through = text.split()
    return int(begun), int(through)


def prefix(way: Way, origin: Origin) -> str:
    """Return what stands before the path in a target, by the form that a way wants."""
    is_absolute = way.mode == "regular" and in_a_tunnel not in way.opening
    return f"http://127.0.0.1:{origin.port}" if is_absolute else ""


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_same_bytes_same_hooks(
    mitmdump: Start, origin: Callable[..., Origin], script: Path, server_tls: ssl.SSLContext, way: Way
) -> None:
    seen: dict[str, tuple[list[object], ...]] = {}
    for lane in ("off", "on"):
        server = origin(server_tls) if way.is_origin_secure else origin()
        for path, answer in ANSWERS.items():
            server.route(path, answer)
        proxy = started(mitmdump, server, script, f"fast_lane={lane}", way=way)
        client = Client(proxy.port, server, way)
        asked = list(requests(server, prefix(way, server), 300 if way is WAYS["reverse"] else 120))
        answers: list[object] = [summary(client.ask(method, data)) for method, data in asked]
        begun, _ = tally(proxy, server, way)
        assert proxy.stop() == 0
        lines = script.with_name("record.jsonl").read_text().splitlines()
        told: list[object] = [json.loads(same(line)) for line in lines if "/tally" not in line]
        received: list[object] = [
            (r.method, r.target, [same(str(field)) for field in r.headers], r.body) for r in server.requests
        ]
        seen[lane] = answers, told, received
        assert begun > 20 if lane == "on" else begun == 0
        assert "Traceback" not in proxy.log()
    for off, on in zip(seen["off"], seen["on"], strict=True):
        assert len(off) == len(on)
        for number, (expected, got) in enumerate(zip(off, on, strict=True)):
            assert got == expected, f"number {number}"


def test_a_hit_does_not_overtake(mitmdump: Start, origin: Callable[[], Origin], script: Path) -> None:
    """With `fast_lane=on` a hit asked for while the origin is at work on the request before it has to wait."""
    server, asked, released = origin(), threading.Event(), threading.Event()

    def slow(_: Received) -> Answer:
        asked.set()
        assert released.wait(100)
        return Answer(body=b"slow")

    server.route("/slow", slow)
    server.route("/fresh", ANSWERS["/fresh"])
    proxy = mitmdump("--set", "fast_lane=on", mode=f"reverse:{server.url}")
    client, fresh = Client(proxy.port, server), b"GET /fresh HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(3):  # learnt, and answered before mitmproxy
        client.ask("GET", fresh)
    assert client.connection
    client.connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert asked.wait(100)
    client.connection.sendall(fresh)
    client.connection.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.connection.recv(1)
    released.set()
    client.connection.settimeout(100)
    answer = client.ask("GET", b"")
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"slow")


@pytest.mark.parametrize(
    "option",
    [
        *("body_size_limit=10m", "stream_large_bodies=5m", "proxy_debug=true", "fast_lane=off"),
        *("map_remote=|never|http://a.test", "ignore_hosts=never.test", "tcp_hosts=never.test", ""),
    ],
)
def test_the_gate(mitmdump: Start, origin: Callable[[], Origin], script: Path, option: str) -> None:
    server = origin()
    proxy = started(mitmdump, server, script, *([option] if option else []))
    client = Client(proxy.port, server)
    for _ in range(3):
        assert client.ask("GET", f"GET /x HTTP/1.1\r\nHost: {server.port}\r\n\r\n".encode())
    assert tally(proxy, server)[0] == (0 if option else 4)


REFUSING = """
from mitmproxy import http
class Refusing:
    fast_paths = {"exchanges"}
    def requestheaders(self, flow):
        if flow.request.path == "/no":
            flow.response = http.Response.make(403, b"refused")
addons = [Refusing()]
"""


@pytest.mark.parametrize("together", [True, False], ids=["with its body", "before its body"])
def test_the_body_of_a_refused_upload_is_no_request(
    mitmdump: Start, origin: Callable[[], Origin], tmp_path: Path, together: bool
) -> None:
    server, script = origin(), tmp_path / "refusing.py"
    server.route("", Answer(body=b"fine"))
    script.write_text(REFUSING)
    proxy = mitmdump("-s", str(script), mode=f"reverse:{server.url}")
    body = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(head + body if together else head)
        answer = b""
        while not answer.endswith(b"refused"):
            answer += sock.recv(65536)
        if not together:
            sock.sendall(body[:10])
            sock.sendall(body[10:])
        sock.sendall(b"GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while piece := sock.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.endswith(b"fine")
    assert [received.target for received in server.requests] == ["/after"]


def test_the_body_of_a_hit_is_no_request(mitmdump: Start, origin: Callable[[], Origin]) -> None:
    """A GET with a body, answered from the cache again and again."""
    server = origin()
    server.route("/kept", Answer(headers=[("Cache-Control", "max-age=600")], body=b"kept"))
    server.route("", Answer(body=b"fine"))
    proxy = mitmdump(mode=f"reverse:{server.url}")
    body = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    request = b"GET /kept HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    client = Client(proxy.port, server)
    for _ in range(5):
        assert client.ask("GET", request).endswith(b"kept")
    assert client.ask("GET", b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"fine")
    assert "/smuggled" not in [received.target for received in server.requests]
