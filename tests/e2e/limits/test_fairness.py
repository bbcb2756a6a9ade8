"""No client holds the event loop: one that asks for a great deal at once, and one beside it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.pipelining import Bystander, pipeline

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("timing")]

FRESH = ("Cache-Control", "max-age=1000")


@pytest.fixture(scope="module", params=["off", "on", "all"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    server = Origin()
    server.route("/cached", lambda received: Answer(headers=[FRESH], body=received.target.encode()))
    server.route("/echo", lambda received: Answer(body=_said(received)))
    arguments = ("--set", f"fast_lane={request.param}", "--set", "flow_detail=0")
    running = Mitmdump(arguments, confdir=tmp_path_factory.mktemp("confdir"), mode=f"reverse:{server.url}")
    yield running
    running.stop()
    server.close()


def _said(received: Received) -> bytes:
    return f"{received.target} {received.body.decode()}".encode()


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: example.test\r\n\r\n".encode()


def post(target: str, body: str) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: example.test\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


CROWDS: dict[str, tuple[list[bytes], Callable[[int], str]]] = {
    "hits": ([get(f"/cached/{number % 7}") for number in range(400)], lambda n: f"/cached/{n % 7}"),
    "misses": ([get(f"/echo/{number}") for number in range(200)], lambda n: f"/echo/{n} "),
    "posts": ([post("/echo", str(number)) for number in range(60)], lambda n: f"/echo {n}"),
}


@pytest.mark.parametrize("kind", CROWDS)
def test_pipelined_requests_leave_others_their_turn(proxy: Mitmdump, kind: str) -> None:
    requests, expected = CROWDS[kind]
    pipeline(proxy.port, requests[:8])
    with Bystander(proxy.port, get("/cached/other")) as beside:
        responses, took = pipeline(proxy.port, requests)
    bodies = [response.partition(b"\r\n\r\n")[2].decode() for response in responses]
    assert bodies == [expected(number) for number in range(len(requests))]
    print(f"{kind}: {took:.2f} s, beside it {beside.longest:.3f} s ({beside.asked})")
    assert beside.asked > 3
    assert beside.longest < max(0.5, took / 4)


def test_no_more_is_read_than_can_be_worked_off(proxy: Mitmdump) -> None:
    """A client that asks without an end and takes no answer."""
    before = proxy.resident()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as sock:
        sock.settimeout(1.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 << 20:
                sent += sock.send(get("/cached/1") * 1000)
        assert sent < 64 << 20
        assert proxy.resident() - before < 32 << 20
