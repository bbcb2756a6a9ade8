"""A connection that is handed over to mitmproxy: the same client, every byte, each hook once."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

RECORDER = """
import json, os
class Recorder:
    fast_paths = {"exchanges", "tunnels"}
    def note(self, hook, client):
        with open(os.environ["RECORD"], "a") as file:
            print(json.dumps([hook, client.id]), file=file)
    def client_connected(self, client): self.note("client_connected", client)
    def client_disconnected(self, client): self.note("client_disconnected", client)
    def request(self, flow): self.note("request " + flow.request.path, flow.client_conn)
addons = [Recorder()]
"""
Start = Callable[..., Mitmdump]


def get(path: str, fields: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n".encode()


def read(sock: socket.socket, bodies: int) -> bytes:
    """Read so many bodies, each of which ends with a line feed."""
    data = b""
    while data.count(b"body\n") < bodies:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return data


@pytest.fixture
def server(origin: Callable[[], Origin]) -> Origin:
    running = origin()
    running.route("", Answer(body=b"a body\n"))
    return running


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "pipelined"])
@pytest.mark.parametrize("odd", ["Expect: 100-continue\r\n", "TE: trailers\r\n", "Host: \r\n"])
def test_a_client_stays_the_same(mitmdump: Start, server: Origin, tmp_path: Path, odd: str, together: bool) -> None:
    record, script = tmp_path / "record.jsonl", tmp_path / "recorder.py"
    script.write_text(RECORDER)
    proxy = mitmdump("-s", str(script), mode=f"reverse:{server.url}", env={"RECORD": str(record)})
    asked = [get("/1"), get("/2"), get("/3", odd), get("/4")]
    if odd.startswith("Host"):
        asked = asked[:2]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        if together:
            sock.sendall(b"".join(asked))
            read(sock, len(asked))
        else:
            for request in asked:
                sock.sendall(request)
                read(sock, 1)
    wait_until(lambda: "client_disconnected" in record.read_text(), 20, "the end")
    noted = [json.loads(line) for line in record.read_text().splitlines()]
    assert [hook for hook, _ in noted] == [
        "client_connected",
        *(f"request /{number + 1}" for number in range(len(asked))),
        "client_disconnected",
    ]
    assert len({client for _, client in noted}) == 1
    assert proxy.log().count("client connect") == 1
    assert "Traceback" not in proxy.log()


def test_what_was_sent_before_is_sent_first(mitmdump: Start, server: Origin) -> None:
    """A large response is still on its way to a slow client when what follows is handed over."""
    large = os.urandom(3_000_000)
    server.route("/large", Answer(body=large))
    proxy = mitmdump(mode=f"reverse:{server.url}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(get("/large") + get("/after", "TE: trailers\r\n"))
        data = b""
        while not data.endswith(b"a body\n"):
            piece = sock.recv(65536)
            assert piece
            data += piece
    _, _, rest = data.partition(b"\r\n\r\n")
    assert rest.startswith(large)
    assert rest[len(large) :].startswith(b"HTTP/1.1 200 ")


def test_what_is_no_http_is_handed_over_at_once(mitmdump: Start, server: Origin) -> None:
    proxy = mitmdump(mode=f"reverse:{server.url}")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
        sock.sendall(b"SSH-2.0-client")  # no line end, and no more to come
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(65536) == b""
    proxy.wait_log("Client closed connection before completing request headers")
