"""What has come of a body is sent on when its origin pauses, compressed or not, whatever its type."""

import socket
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli
import pytest
import zstandard
from tests.support.mitmdump import Mitmdump, environment
from tests.support.origin import Answer, Origin

DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31).decompress,
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
    "deflate": lambda: zlib.decompressobj().decompress,
}
TYPES = ("application/json", "text/plain", "text/html", "application/json;stream=watch", "application/stream+json")
LINES = [b'{"number": %d, "text": "%s"}\n' % (number, b"x" * number) for number in range(3)]


class Paused:
    """A chunked body whose next line is sent once the one before has been seen by the client."""

    def __init__(self) -> None:
        self.seen = threading.Semaphore(0)

    def __iter__(self) -> Iterator[bytes]:
        for line in LINES:
            yield line
            assert self.seen.acquire(timeout=100), "the client did not see the line before the next one"


def read_chunk(stream: Any) -> bytes:
    size = int(stream.readline(), 16)
    data = bytes(stream.read(size))
    stream.readline()
    return data


@pytest.fixture
def server(origin: Callable[..., Origin]) -> Origin:
    return origin()


def offer(server: Origin, media_type: str, *fields: tuple[str, str]) -> Paused:
    body = Paused()
    server.route("/", lambda _: Answer(200, [("Content-Type", media_type), *fields], body))
    return body


def read_lines(port: int, request: str, coding: str, body: Paused) -> None:
    """Read each line as it comes; only then does the origin send the next."""
    decode = DECODERS[coding]()
    with socket.create_connection(("127.0.0.1", port), timeout=100) as client:
        client.sendall(request.encode())
        stream = client.makefile("rb")
        fields = [line.strip().lower() for line in iter(stream.readline, b"\r\n")]
        assert f"content-encoding: {coding}".encode() in fields
        for line in LINES:
            text = b""
            while text != line:
                text += decode(read_chunk(stream))
            body.seen.release()


@pytest.mark.parametrize("lane", ["off", "on"])
def test_lines_come_one_by_one(lane: str, mitmdump: Callable[..., Mitmdump], server: Origin) -> None:
    proxy = mitmdump("--set", f"fast_lane={lane}", "--set", "encode=gzip,br,zstd,deflate")
    for coding in DECODERS:
        for number, media_type in enumerate(TYPES):
            storable = [("Cache-Control", "max-age=60")] if number % 2 else []
            body = offer(server, media_type, *storable)
            request = f"GET {server.url}/{coding}{number} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n"
            read_lines(proxy.port, request, coding, body)
    assert "rror" not in proxy.log()


@pytest.mark.parametrize("behind", ["-w", "hardump", "responseheaders", "stream"])
def test_beside_what_looks_at_flows(
    behind: str, mitmdump: Callable[..., Mitmdump], server: Origin, tmp_path: Any
) -> None:
    script = tmp_path / "other.py"
    script.write_text(
        "def responseheaders(flow):\n    pass\n"
        if behind == "responseheaders"
        else "def responseheaders(flow):\n    flow.response.stream = lambda data: iter([data[:3], data[3:]])\n"
    )
    arguments = {"-w": ("-w", str(tmp_path / "flows")), "hardump": ("--set", f"hardump={tmp_path / 'all.har'}")}
    proxy = mitmdump(*arguments.get(behind, ("-s", str(script))))
    body = offer(server, "text/plain")
    read_lines(proxy.port, f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", "gzip", body)


def test_over_http2(mitmdump: Callable[..., Mitmdump], server: Origin) -> None:
    body = offer(server, "application/json")
    proxy = mitmdump(mode=f"reverse:{server.url}")
    command = ["curl", "-sSN", "--noproxy", "", "--http2", "-k", "--compressed", "--max-time", "60"]
    client = subprocess.Popen(
        [*command, f"https://127.0.0.1:{proxy.port}/"], stdout=subprocess.PIPE, env=environment(), bufsize=0
    )
    assert client.stdout
    for line in LINES:
        assert client.stdout.read(len(line)) == line
        body.seen.release()
    assert client.wait(100) == 0


def test_a_script_that_wants_whole_bodies_gets_no_endless_ones(
    mitmdump: Callable[..., Mitmdump], server: Origin, tmp_path: Any
) -> None:
    """What trickles on and on is not kept from the client for good."""
    script = tmp_path / "whole.py"
    script.write_text("def response(flow):\n    flow.response.headers['X-Seen'] = 'yes'\n")
    proxy, body = mitmdump("-s", str(script)), offer(server, "text/plain")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as client:
        client.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        stream = client.makefile("rb")
        for _ in iter(stream.readline, b"\r\n"):
            pass
        for line in LINES:
            assert read_chunk(stream) == line
            body.seen.release()
        assert read_chunk(stream) == b""
