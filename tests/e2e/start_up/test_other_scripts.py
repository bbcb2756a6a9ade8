"""Other people's scripts beside ours do what they do with bare mitmdump."""

import contextlib
import gzip
import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
SMALL = b"<p>All work and no play makes a dull page.</p>\n" * 100
LARGE = SMALL * 500
"""Over the 1 MiB up to which bodies of known length are buffered."""

SCRIPT = '''
"""Does to each flow what its path says, by `hook/action/…`."""
from mitmproxy import http
from mitmproxy.flow import Error

def shine(data):
    return data.replace(b"dull", b"shiny")

def each_letter(data):
    return data.replace(b"a", b"b")

def bit_by_bit(data):
    yield from (part.swapcase() for part in (data[:7], data[7:]) if part)

def longer(data):
    return data.replace(b"o", b"00")

def broken(data):
    raise ValueError("broken")

class Held:
    """Holds everything back until the end, as a script does that parses."""
    def __init__(self):
        self.data = b""
    def __call__(self, data):
        self.data += data
        return shine(self.data) if not data else []

def replace(flow):
    flow.response = http.Response.make(203, b"<p>mine</p>" * 300, {"Content-Type": "text/html", "X-Mine": "1"})

def assign(message, attribute, change):
    setattr(message, attribute, change(getattr(message, attribute)))

def coded(flow, coding):
    flow.response.decode()
    flow.response.encode(coding)

def stream(callable):
    def act(flow):
        flow.response.headers.pop("content-length", None)
        flow.response.stream = callable
    return act

def upload(callable):
    def act(flow):
        flow.request.headers.pop("content-length", None)
        flow.request.headers["transfer-encoding"] = "chunked"
        flow.request.stream = callable
    return act

ACTIONS = {
    "stream-true": lambda flow: setattr(flow.response, "stream", True),
    "stream-call": stream(each_letter),
    "stream-bits": stream(bit_by_bit),
    "stream-longer": stream(longer),
    "stream-held": lambda flow: stream(Held())(flow),
    "upload-call": upload(each_letter),
    "upload-bits": upload(bit_by_bit),
    "stream-broken": stream(broken),
    "upload-broken": lambda flow: setattr(flow.request, "stream", broken),
    "error": lambda flow: setattr(flow, "error", Error("none of the connection's")),
    "raw": lambda flow: assign(flow.response, "raw_content", each_letter),
    "content": lambda flow: assign(flow.response, "content", shine),
    "text": lambda flow: assign(flow.response, "text", str.upper),
    "request-raw": lambda flow: assign(flow.request, "raw_content", each_letter),
    "gzip": lambda flow: coded(flow, "gzip"),
    "decode": lambda flow: flow.response.decode(),
    "uncoded": lambda flow: flow.response.headers.pop("content-encoding", None),
    "untagged": lambda flow: flow.response.headers.pop("etag", None),
    "told": lambda flow: flow.response.headers.update({"X-Seen": f"{len(flow.response.raw_content)} "
        f"{flow.response.headers.get('content-encoding')} {flow.response.headers.get('etag')}"}),
    "asked": lambda flow: flow.response.headers.update({"X-Seen": f"{flow.response.headers.get('content-encoding')}"}),
    "replace": replace,
    "kill": lambda flow: flow.kill(),
}

def acting(hook):
    def act(flow):
        parts = flow.request.path.strip("/").split("/")
        if parts[0] == hook:
            ACTIONS[parts[1]](flow)
    return act

requestheaders, request = acting("requestheaders"), acting("request")
responseheaders, response = acting("responseheaders"), acting("response")
'''

STREAMS = ("stream-true", "stream-call", "stream-bits", "stream-longer", "stream-held")
WHOLE = ("raw", "content", "text", "gzip", "decode", "uncoded", "untagged", "told", "replace", "kill", "error")
PATHS = (
    *(f"responseheaders/{action}" for action in (*STREAMS, "uncoded", "untagged", "asked", "kill", "error")),
    *(f"response/{action}" for action in WHOLE),
    *(f"{hook}/{action}" for hook in ("requestheaders", "request") for action in ("replace", "kill")),
)


@dataclass(frozen=True)
class Got:
    """What a client got that does not depend on how it was sent."""

    status: int
    """0 when there was no answer, or none that came whole."""
    body: bytes
    seen: str | None
    mine: str | None


def pages(request: Received) -> Answer:
    """Answer with a page in the size and framing that the path says."""
    kind = request.target.rsplit("/", 1)[-1]
    fields = [("Content-Type", "text/html"), ("ETag", '"v1"')]
    if "stored" in kind:
        fields.append(("Cache-Control", "max-age=60"))
    body = LARGE if "large" in kind else SMALL
    return Answer(200, fields, [body[:1000], body[1000:]] if "chunked" in kind else body)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "other.py"
    path.write_text(SCRIPT)
    return path


def ask(proxy: Mitmdump, url: str) -> Got:
    """Ask for something compressed; whatever breaks off counts alike, but not an answer without an end."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    try:
        connection.request("GET", url, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        body = response.read()
        body = gzip.decompress(body) if response.getheader("Content-Encoding") == "gzip" else body
        return Got(response.status, body, response.getheader("X-Seen"), response.getheader("X-Mine"))
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException):
        return Got(0, b"", None, None)
    finally:
        connection.close()


@pytest.mark.timeout(600)
def test_as_with_bare_mitmdump(script: Path, mitmdump: Start, origin: Callable[..., Origin]) -> None:
    """Loaded after ours and before ours, in both lanes, for misses and for hits."""
    server = origin()
    server.route("/", pages)
    stock = mitmdump("-s", str(script), script=None)
    after = mitmdump(*_scripts("policy.py", str(script)), script=None)
    before = mitmdump("--set", "fast_lane=off", *_scripts(str(script), "policy.py"), script=None)
    for path in PATHS:
        for kind in ("small", "large-chunked", "small-stored", "large-stored"):
            url = f"{server.url}/{path}/{kind}"
            expected = ask(stock, url)
            for proxy in (after, before) * (2 if "stored" in kind else 1):
                assert ask(proxy, url) == expected, (path, kind, proxy is after)
    assert "Traceback" not in after.log() + before.log()


def _scripts(*names: str) -> list[str]:
    return [part for name in names for part in ("-s", str(ADDONS / name if name == "policy.py" else name))]


@pytest.mark.parametrize("action", ["requestheaders/upload-call", "requestheaders/upload-bits", "request/request-raw"])
def test_uploads(
    action: str, script: Path, mitmdump: Start, origin: Callable[..., Origin], curl: Any, tmp_path: Path
) -> None:
    server = origin()
    server.route("/", pages)
    stock, ours = mitmdump("-s", str(script), script=None), mitmdump("-s", str(script))
    upload = tmp_path / "upload"
    for body in (b"a dull upload", b"a dull upload " * 100_000):
        upload.write_bytes(body)
        for proxy in (stock, ours):
            got = curl("-x", proxy.url, "--data-binary", f"@{upload}", f"{server.url}/{action}/small")
            assert got.status == 200
        assert server.requests[-1].body == server.requests[-2].body != body


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_a_stream_that_raises_breaks_the_exchange_off(
    fast_lane: str, script: Path, mitmdump: Start, origin: Callable[..., Origin]
) -> None:
    """No client waits forever, or gets a plain body marked as compressed; the proxy continues."""
    server = origin()
    server.route("/", pages)
    proxy = mitmdump("-s", str(script), "--set", f"fast_lane={fast_lane}", mode=f"reverse:{server.url}")
    for kind in ("small", "small-chunked", "large-chunked", "small-stored", "large-stored"):
        for _ in range(2 if "stored" in kind else 1):
            assert ask(proxy, f"/responseheaders/stream-broken/{kind}").status == 0, kind
    post = "POST /requestheaders/upload-broken/small HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\n"
    get = "GET /plain/small HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as sock:
        sock.sendall(f"{post}{'x' * 30}{get}".encode())
        answers = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answers.startswith(b"HTTP/1.1 502 ")
    assert SMALL in answers
    assert server.requests[-1].body == b"", "the request that follows was taken for what is missing of the upload"
    proxy.wait_log("ValueError: broken")


FOLLOWED = (
    *("request/replace", "request/kill", "responseheaders/kill", "response/kill", "response/replace"),
    "responseheaders/stream-broken",
)


@pytest.mark.parametrize("path", FOLLOWED)
def test_no_request_waits_for_a_response_that_a_script_holds(
    path: str, mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path
) -> None:
    """Of eight simultaneous requests the script holds only the first; the others are answered at once.

    A wait would be noticed because the proxy's clock is slowed down: five seconds take minutes.
    """
    hook, action = path.split("/")
    text = (
        SCRIPT
        + f"""
import asyncio, time
done = []
def first(flow):
    if not done:
        done.append(1)
        ACTIONS[{action!r}](flow)
{hook} = first

def running():
    loop, begun = asyncio.get_running_loop(), time.monotonic()
    loop.time = lambda: begun + (time.monotonic() - begun) / 50
"""
    )
    path_of_script = tmp_path / "first.py"
    path_of_script.write_text(text)
    server, proxy = origin(), mitmdump("-s", str(path_of_script))
    gate = threading.Event()

    def slow(_: Received) -> Answer:
        gate.wait(30)
        return Answer(200, [("Content-Type", "text/html"), ("Cache-Control", "max-age=60")], SMALL)

    server.route("/", slow)
    clients = [socket.create_connection(("127.0.0.1", proxy.port), timeout=100) for _ in range(8)]
    for client in clients:
        client.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_until(lambda: len(server.requests) >= 1 or hook == "request", 20, "a request upstream")
    gate.set()
    replies = []
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            replies.append(client.recv(12))
    assert sum(reply.startswith(b"HTTP/1.1 200") for reply in replies) >= 7


SLOW_TO_GREET = """
import asyncio

class Slow:
    fast_paths = {"hits", "exchanges", "tunnels"}
    async def client_connected(self, client):
        await asyncio.sleep(0.3)

addons = [Slow()]
"""


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_what_came_while_a_script_was_busy_with_the_client(mitmdump: Start, tmp_path: Path, fast_lane: str) -> None:
    """mitmproxy's task for the connection finds it there at once, and an answer that closes the connection."""
    (tmp_path / "slow.py").write_text(SLOW_TO_GREET)
    proxy = mitmdump("-s", str(tmp_path / "slow.py"), "--set", f"fast_lane={fast_lane}", mode="socks5")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(b"GET / no SOCKS at all\r\n\r\n")
        while sock.recv(65536):
            pass
    proxy.wait_log("client disconnect")
    proxy.stop()
    assert "crashed" not in proxy.log()
