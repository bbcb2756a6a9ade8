"""Bodies through the real mitmdump: large ones in little memory, endless ones bit by bit, all of them whole."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from mitmproxy import http
from mitmproxy.io import read_flows_from_paths
from tests.support.bulk import Bulk, Memory
from tests.support.h2_origin import TrailingOrigin
from tests.support.mitmdump import ADDONS, Mitmdump, environment
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

MIB = 1024 * 1024
ALLOWED = 64 * MIB
EVENTS = [b"data: %d\n\n" % number for number in range(4)]


@pytest.fixture
def bulk(server_tls: Any) -> Iterator[Callable[..., Bulk]]:
    """Start an origin of large bodies; ended with the test."""
    started: list[Bulk] = []

    def start(tls: bool = False) -> Bulk:
        started.append(Bulk(server_tls if tls else None))
        return started[-1]

    yield start
    for running in started:
        running.close()


def transfer(*arguments: str) -> tuple[int, int, int]:
    """Run curl, keeping nothing; give status, bytes down, bytes up."""
    said = "%{http_code} %{size_download} %{size_upload}"
    command = ["curl", "-sS", "--noproxy", "", "-o", "/dev/null", "-w", said, "--max-time", "100", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment(), timeout=110)
    status, down, up = done.stdout.decode().split()
    assert done.returncode == 0, done.stderr
    return int(status), int(down), int(up)


@pytest.mark.parametrize("mode", ["forward", "reverse", "inspected"])
@pytest.mark.parametrize("size", [256 * MIB, pytest.param(1024 * MIB, marks=pytest.mark.deep)], ids=["256m", "1g"])
@pytest.mark.timeout(400)
def test_large_bodies_take_little_memory(
    mode: str, size: int, mitmdump: Callable[..., Mitmdump], bulk: Callable[..., Bulk], tmp_path: Path, ca_file: Path
) -> None:
    origin = bulk(tls=mode == "inspected")
    trusted = ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", "--set", "inspect_hosts=*")
    proxy = mitmdump(*trusted, mode=f"reverse:{origin.url}" if mode == "reverse" else None)
    base = proxy.url if mode == "reverse" else origin.url
    through = () if mode == "reverse" else ("-x", proxy.url, "--cacert", str(proxy.ca))
    upload = tmp_path / "upload"
    with upload.open("wb") as file:
        file.truncate(size)
    assert transfer(*through, f"{base}/1000")[0] == 200
    memory = Memory(proxy.pid)
    assert transfer(*through, f"{base}/{size}")[:2] == (200, size)
    assert transfer(*through, f"{base}/{size}/chunked")[:2] == (200, size)
    status, down, _ = transfer(*through, "-H", "Accept-Encoding: zstd", f"{base}/{size}/encoded")
    assert (status, down < size / 10) == (200, True)
    assert transfer(*through, "-T", str(upload), f"{base}/up")[::2] == (200, size)
    assert origin.received == size
    assert transfer(*through, "-T", str(upload), "-H", "Transfer-Encoding: chunked", f"{base}/up")[0] == 200
    assert origin.received == size
    assert memory.growth() < ALLOWED


class Drip:
    """An answer that never ends by itself: each piece is sent when the test asks for it."""

    def __init__(self, media_type: str, *fields: tuple[str, str]) -> None:
        self.asked = threading.Semaphore(0)
        self.answer = Answer(headers=[("Content-Type", media_type), *fields], body=self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        for event in EVENTS:
            assert self.asked.acquire(timeout=100)
            yield event


STREAMS: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def end_streams() -> Iterator[None]:
    """End what was streamed, and let go of its pipe."""
    yield
    while STREAMS:
        with STREAMS.pop() as client:
            client.kill()


def stream(*arguments: str) -> subprocess.Popen[bytes]:
    """Run curl so that what comes can be read as it comes."""
    command = ["curl", "-sS", "-N", "--noproxy", "", "--max-time", "60", *arguments]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), bufsize=0)
    STREAMS.append(started)
    return started


ENDLESS = {
    "events": ("text/event-stream", (), ()),
    "events, encoded": ("text/event-stream", (), ("--compressed",)),
    "events, storable": ("text/event-stream", (("Cache-Control", "max-age=60"),), ()),
    "events, storable, encoded": ("text/event-stream", (("Cache-Control", "max-age=60"),), ("--compressed",)),
    "lines": ("application/x-ndjson", (), ()),
    "who knows what": ("application/octet-stream", (), ()),
}


@pytest.mark.parametrize(("media_type", "fields", "arguments"), ENDLESS.values(), ids=ENDLESS)
def test_endless_answers_come_piece_by_piece(
    media_type: str,
    fields: tuple[tuple[str, str], ...],
    arguments: tuple[str, ...],
    mitmdump: Callable[..., Mitmdump],
    origin: Callable[..., Origin],
) -> None:
    server, proxy, drip = origin(), mitmdump(), Drip(media_type, *fields)
    server.route("/", drip.answer)
    client = stream("-x", proxy.url, *arguments, f"{server.url}/")
    assert client.stdout
    for event in EVENTS:
        drip.asked.release()
        assert client.stdout.read(len(event)) == event
    assert client.wait(100) == 0


def test_events_come_one_by_one_over_http2(mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin]) -> None:
    server, drip = origin(), Drip("text/event-stream")
    server.route("/", drip.answer)
    proxy = mitmdump(mode=f"reverse:{server.url}")
    client = stream("--http2", "-k", "-w", "HTTP/%{http_version}", f"https://127.0.0.1:{proxy.port}/")
    assert client.stdout
    for event in EVENTS:
        drip.asked.release()
        assert client.stdout.read(len(event)) == event
    assert client.stdout.read() == b"HTTP/2"
    assert client.wait(100) == 0


WATCH = '''
"""Tells what becomes of each response's body."""
import logging
from proxy_policies.flows import flow_state
from proxy_policies.body import Stage
from proxy_policies.addon_chain import build_addons

class Tap:
    def __init__(self):
        self.size = 0
    def feed(self, data):
        self.size += len(data)
    def finish(self):
        logging.info(f"tap: finished after {self.size}")
    def abort(self):
        logging.info(f"tap: aborted after {self.size}")

class Watch:
    name = "watch"
    def responseheaders(self, flow):
        flow_state.state_of(flow).response_body.tap(Stage.CLIENT, Tap())

addons = build_addons(Watch())
'''


@pytest.fixture
def watched(tmp_path: Path, mitmdump: Callable[..., Mitmdump]) -> Callable[..., Mitmdump]:
    """Start a proxy that logs what its taps receive."""
    script = tmp_path / "watch.py"
    script.write_text(WATCH)
    addons = str(ADDONS)
    return lambda *arguments: mitmdump("-s", str(script), *arguments, script=None, env={"PYTHONPATH": addons})


def test_taps_learn_that_a_body_came_whole(
    watched: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), watched()
    server.route("/small", Answer(body=b"x" * 10))
    server.route("/large", Answer(body=b"x" * 3 * MIB))
    server.route("/chunked", Answer(body=[b"x" * 10, b"y" * 10]))
    server.route("/none", Answer(204, body=b""))
    for path, size in (("small", 10), ("large", 3 * MIB), ("chunked", 20), ("none", 0)):
        assert len(curl("-x", proxy.url, f"{server.url}/{path}").body) == size
        proxy.wait_log(f"tap: finished after {size}\n")
    assert curl("-I", "-x", proxy.url, f"{server.url}/large").get("content-length") == str(3 * MIB)
    assert "aborted" not in proxy.log()


def test_taps_learn_that_the_client_left(watched: Callable[..., Mitmdump], origin: Callable[..., Origin]) -> None:
    server, proxy = origin(), watched()
    drip = Drip("text/event-stream")
    server.route("/", drip.answer)
    client = stream("-x", proxy.url, f"{server.url}/")
    assert client.stdout
    drip.asked.release()
    assert client.stdout.read(len(EVENTS[0])) == EVENTS[0]
    client.kill()
    client.wait()
    proxy.wait_log(f"tap: aborted after {len(EVENTS[0])}\n")
    drip.asked.release(9)


def test_taps_learn_that_the_origin_broke_off(
    watched: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), watched()
    server.route("/", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 100, close=True))
    assert curl("-x", proxy.url, f"{server.url}/").code != 0
    proxy.wait_log("tap: aborted after 100\n")


FOREIGN = """
def response(flow):
    flow.response.headers["X-Seen"] = str(len(flow.response.content))
"""


def test_another_script_still_finds_the_content(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, tmp_path: Path
) -> None:
    script = tmp_path / "foreign.py"
    script.write_text(FOREIGN)
    server, proxy = origin(), mitmdump("-s", str(script))
    server.route("/", Answer(headers=[("Content-Type", "text/plain")], body=b"x" * 3 * MIB))
    for accepts in ((), ("--compressed",)):
        result = curl("-x", proxy.url, f"{server.url}/", *accepts)
        assert (result.get("x-seen"), len(result.body)) == (str(3 * MIB), 3 * MIB)


@pytest.mark.parametrize("size", [5000, 3 * MIB], ids=["small", "large"])
def test_another_script_may_ask_for_streaming(
    size: int, mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, tmp_path: Path
) -> None:
    """Its wish comes when our head says "encoded" already."""
    script = tmp_path / "foreign.py"
    script.write_text("def responseheaders(flow):\n    flow.response.stream = True\n")
    server, proxy = origin(), mitmdump("-s", str(script))
    server.route("/", Answer(headers=[("Content-Type", "text/plain")], body=b"x" * size))
    result = curl("-x", proxy.url, f"{server.url}/", "--compressed")
    assert (result.code, result.get("content-encoding"), result.body) == (0, "zstd", b"x" * size)


def test_what_is_streamed_by_a_late_decision_is_stored_all_the_same(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, tmp_path: Path
) -> None:
    """mitmproxy decides when 100 KiB have come of a body of unknown length that a script wants whole."""
    script = tmp_path / "foreign.py"
    script.write_text("def response(flow):\n    pass\n")
    server = origin()
    proxy = mitmdump("-s", str(script), "--set", "stream_large_bodies=100k")
    parts = [b"x" * 50_000] * 6
    server.route("/", lambda _: Answer(headers=[("Cache-Control", "max-age=600")], body=iter(parts)))
    for cached in ("", "; hit"):
        result = curl("-x", proxy.url, f"{server.url}/")
        assert (result.code, result.body) == (0, b"".join(parts))
        assert cached in (result.get("cache-status") or "")
    assert len(server.requests) == 1


@pytest.mark.parametrize("accepts", [(), ("--compressed",)], ids=["plain", "encoded"])
@pytest.mark.parametrize("size", [10, 3 * MIB], ids=["small", "large"])
def test_modify_body_still_works(
    size: int, accepts: tuple[str, ...], mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), mitmdump("--modify-body", "/~s/secret/public")
    server.route("/", Answer(headers=[("Content-Type", "text/plain")], body=b"." * size + b"secret"))
    result = curl("-x", proxy.url, f"{server.url}/", *accepts)
    assert (result.status, result.body) == (200, b"." * size + b"public")


def test_saved_flows_have_their_bodies_whole(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, tmp_path: Path
) -> None:
    server, proxy = origin(), mitmdump("-w", str(tmp_path / "flows"))
    server.route("/", Answer(body=b"down" * MIB))
    upload = tmp_path / "upload"
    upload.write_bytes(b"up" * MIB)
    assert curl("-x", proxy.url, "-T", str(upload), f"{server.url}/").status == 200
    assert proxy.stop() == 0
    (flow,) = cast(list[http.HTTPFlow], read_flows_from_paths([str(tmp_path / "flows")]))
    assert flow.response
    assert (len(flow.request.raw_content or b""), len(flow.response.raw_content or b"")) == (2 * MIB, 4 * MIB)


def test_an_upload_reaches_the_origin_as_it_comes(mitmdump: Callable[..., Mitmdump], bulk: Callable[..., Bulk]) -> None:
    """A chunked upload, whose length is unknown, is not held back."""
    origin, proxy = bulk(), mitmdump()
    with socket.create_connection(("127.0.0.1", proxy.port), 20) as client:
        head = f"PUT {origin.url}/ HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode() + b"5\r\nhello\r\n")
        wait_until(lambda: origin.arrived == 5, 20, "the first chunk")
        client.sendall(b"6\r\n world\r\n0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert origin.received == 11


@pytest.mark.parametrize("buffered", [False, True], ids=["streamed", "buffered"])
@pytest.mark.parametrize("accepts", [(), ("--compressed",)], ids=["plain", "encoded"])
def test_trailers_of_http2_arrive(
    accepts: tuple[str, ...],
    buffered: bool,
    mitmdump: Callable[..., Mitmdump],
    server_tls: Any,
    ca_file: Path,
    tmp_path: Path,
) -> None:
    head = [("content-type", "text/plain"), ("trailer", "x-checksum")]
    server = TrailingOrigin(server_tls, head, b"x" * 5000, [("x-checksum", "abc")])
    whole = ("--modify-body", "/~s/y/z") if buffered else ()
    proxy = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", "--set", "inspect_hosts=*", *whole)
    body, got = tmp_path / "body", tmp_path / "head"
    through = ("-x", proxy.url, "--cacert", str(proxy.ca), "-o", str(body), "-D", str(got), "--http2", *accepts)
    done = subprocess.run(["curl", "-sS", "--max-time", "100", *through, server.url], env=environment(), timeout=110)
    server.close()
    assert (done.returncode, body.read_bytes()) == (0, b"x" * 5000)
    head_and_trailers = got.read_text().lower()
    assert ("content-encoding: zstd" in head_and_trailers) is bool(accepts)
    if not buffered:  # curl reads no trailers after a Content-Length
        assert "x-checksum: abc" in head_and_trailers
    assert "Lowercased" not in proxy.log()


def test_a_get_over_http2_is_answered_from_the_cache(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    """HTTP/2 does not say at a request's head how long its body is: a GET is no upload for that."""
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=60")]))
    proxy = mitmdump(mode=f"reverse:{server.url}")
    for _ in range(2):
        got = curl("--http2", "-k", f"https://127.0.0.1:{proxy.port}/")
        assert (got.heads[-1].split(" ")[0], got.status) == ("HTTP/2", 200)
    assert len(server.requests) == 1
