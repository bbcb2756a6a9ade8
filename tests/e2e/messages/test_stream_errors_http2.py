"""What is wrong with one HTTP/2 stream is an error of that stream: the others of its connection go on."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.support import h2_frames
from tests.support.h2_frames import DATA, END_STREAM, PRIORITY, RST_STREAM, WINDOW_UPDATE, Lines, frame, head
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM = 1, 3, 5, 6, 7


def request(path: bytes = b"/", *, method: bytes = b"GET") -> Lines:
    return [(b":method", method), (b":scheme", b"https"), (b":authority", b"shop.test"), (b":path", path)]


POST = request(method=b"POST")
MALFORMED: dict[str, Lines] = {
    "a capital in a name": [*request(), (b"X-Upper", b"1")],
    "no path": request()[:3],
    "no method": request()[1:],
    "a path twice": [*request(), (b":path", b"/2")],
    "an authority twice": [*request(), (b":authority", b"evil.test")],
    "a pseudo-field that is not known": [*request(), (b":protocol2", b"x")],
    "a pseudo-field of responses": [*request(), (b":status", b"200")],
    "a pseudo-field after others": [*request()[:3], (b"x", b"1"), request()[3]],
    "connection": [*request(), (b"connection", b"close")],
    "transfer-encoding": [*POST, (b"transfer-encoding", b"chunked")],
    "te": [*request(), (b"te", b"gzip")],
    "a length that is none": [*POST, (b"content-length", b"five")],
    "another host": [*request(), (b"host", b"evil.test")],
}
EVIL = request(b"/2", method=b"POST")
LENGTHS: dict[str, bytes] = {
    "a length without a body": head(3, [*EVIL, (b"content-length", b"5")]),
    "a length without a body, of a GET": head(3, [*request(b"/2"), (b"content-length", b"5")]),
    "a length without a body, of a HEAD": head(3, [*request(b"/2", method=b"HEAD"), (b"content-length", b"5")]),
    "less than was said": head(3, [*EVIL, (b"content-length", b"5")], ends=False)
    + frame(DATA, b"abc", flags=END_STREAM, stream=3),
    "more than was said": head(3, [*EVIL, (b"content-length", b"5")], ends=False) + frame(DATA, b"abcdef", stream=3),
    "less than was said before trailers": head(3, [*EVIL, (b"content-length", b"5")], ends=False)
    + frame(DATA, b"abc", stream=3)
    + head(3, [(b"x", b"1")]),
    "only trailers": head(3, [*EVIL, (b"content-length", b"5")], ends=False) + head(3, [(b"x", b"1")]),
}
"""Requests whose Content-Length is not that of their content (RFC 9113, section 8.1.1)."""
UNREAD = {*MALFORMED, *(name for name in LENGTHS if name.startswith("a length"))}
"""Their heads are refused: no flow is made for them."""
WRONG: dict[str, bytes] = {
    **LENGTHS,
    **{name: head(3, lines) for name, lines in MALFORMED.items()},
    "trailers that do not end it": head(3, POST, ends=False) + head(3, [(b"x", b"1")], ends=False),
    "pseudo-fields in trailers": head(3, POST, ends=False) + head(3, [(b":path", b"/2")]),
    "data after the end": head(3, request(b"/slow")) + frame(DATA, b"abc", stream=3),
    "fields after the end": head(3, request(b"/slow")) + head(3, [(b"x", b"1")]),
    "a window update of nothing": head(3, POST, ends=False) + frame(WINDOW_UPDATE, bytes(4), stream=3),
    "a window too wide": head(3, POST, ends=False) + frame(WINDOW_UPDATE, b"\x7f\xff\xff\xff", stream=3),
    "a short priority": head(3, POST, ends=False) + frame(PRIORITY, bytes(4), stream=3),
}


@pytest.fixture(scope="module")
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(scope="module")
def server(released: threading.Event) -> Iterator[Origin]:
    def slow(_: Received) -> Answer:
        released.wait(60)
        return Answer(body=b"at last")

    running = Origin()
    running.route("/slow", slow)
    yield running
    running.close()


@pytest.fixture(scope="module")
def proxy(server: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    arguments = ("--set", "cache=off", "--set", "flow_detail=0", "--set", "access_log=-")
    running = Mitmdump(arguments, confdir=tmp_path_factory.mktemp("confdir"), mode=f"reverse:{server.url}")
    yield running
    running.stop()


def outcomes(sock: object, until: Callable[[dict[int, object]], bool]) -> dict[int, object]:
    """Read until enough is known: each stream's reset code, or "ended"; 0: the connection is over."""
    known: dict[int, object] = {}
    for received in h2_frames.frames(sock):  # type: ignore[arg-type]
        if received.kind == RST_STREAM:
            known[received.stream] = int.from_bytes(received.payload)
        elif received.kind == h2_frames.GOAWAY:
            known[0] = received.payload[8:]
        elif received.kind in (DATA, h2_frames.HEADERS) and received.flags & END_STREAM:
            known.setdefault(received.stream, "ended")
        if 0 in known or until(known):
            return known
    return {**known, 0: "closed"}


def lines(proxy: Mitmdump, status: int) -> int:
    """Count the lines of the access log for requests that were refused with a status."""
    return len(re.findall(rf'"request":null,"host":[^,]*,"status":{status},', proxy.log()))


@pytest.mark.parametrize("kind", WRONG)
def test_others_of_the_connection_go_on(proxy: Mitmdump, server: Origin, released: threading.Event, kind: str) -> None:
    released.clear()
    asked, refused = len(server.requests), lines(proxy, 400)
    with h2_frames.connect(proxy.port) as sock:
        sock.sendall(head(1, request(b"/slow")) + WRONG[kind])
        wrong = outcomes(sock, lambda known: 3 in known)
        assert wrong.keys() == {3}, wrong
        assert kind not in LENGTHS or wrong[3] == PROTOCOL_ERROR
        assert wrong[3] in (PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, "ended")
        sock.sendall(head(5, request(b"/after")))
        assert outcomes(sock, lambda known: 5 in known) == {5: "ended"}
        released.set()
        assert outcomes(sock, lambda known: 1 in known) == {1: "ended"}
    if kind in UNREAD:
        wait_until(lambda: lines(proxy, 400) == refused + 1)
    targets = [received.target for received in server.requests[asked:]]
    assert "/2" not in targets
    assert "Traceback" not in proxy.log()


def test_streams_beyond_the_limit_are_refused(proxy: Mitmdump, released: threading.Event) -> None:
    """100 are open; each one more is refused, and may be asked for again when there is room."""
    released.clear()
    with h2_frames.connect(proxy.port) as sock:
        sock.sendall(b"".join(head(1 + 2 * number, request(b"/slow")) for number in range(150)))
        refused = outcomes(sock, lambda known: len(known) == 50)
        assert refused == {1 + 2 * number: REFUSED_STREAM for number in range(100, 150)}
        released.set()
        answered = outcomes(sock, lambda known: len(known) == 100)
        assert answered == {1 + 2 * number: "ended" for number in range(100)}
        wait_until(lambda: lines(proxy, 503) == 50)
        sock.sendall(head(301, request(b"/after")))
        assert outcomes(sock, lambda known: 301 in known) == {301: "ended"}


def test_what_garbles_the_compression_ends_the_connection(proxy: Mitmdump) -> None:
    with h2_frames.connect(proxy.port) as sock:
        sock.sendall(head(1, POST, ends=False) + frame(h2_frames.HEADERS, b"\xff\xff\xff", flags=5, stream=1))
        assert 0 in outcomes(sock, lambda _: False)
