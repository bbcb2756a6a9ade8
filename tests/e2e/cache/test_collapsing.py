"""Simultaneous requests for one URL: one upstream request if the response can be shared, else no client waits for it.

Tests check what reaches the origin, and in which order, not times.
"""

import itertools
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.arrivals import wait_until_read
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.sockets import reset_when_closed
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

FRESH = [("Cache-Control", "max-age=60"), ("Content-Type", "application/octet-stream")]
PATIENCE = 100.0


class Client:
    """One HTTP/1.1 client on a connection of its own."""

    def __init__(self, proxy: Mitmdump, url: str, *fields: str, method: str = "GET", reads: bool = True) -> None:
        host = url.split("/")[2]
        lines = [f"{method} {url} HTTP/1.1", f"Host: {host}", "Connection: close", *fields]
        self.socket = socket.socket()
        if not reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", proxy.port))
        self.socket.settimeout(PATIENCE)
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._data = bytearray()
        self.is_finished = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        if reads:
            self._reader.start()

    def _read(self) -> None:
        try:
            while data := self.socket.recv(1 << 20):
                self._data += data
        except OSError:
            pass
        self.socket.close()
        self.is_finished = True

    def read_on(self) -> None:
        """Begin to read at last."""
        self._reader.start()

    def leave(self) -> None:
        """Go away in the middle of it."""
        reset_when_closed(self.socket)
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def end(self) -> "Client":
        """Wait until the answer is over."""
        self._reader.join(PATIENCE)
        assert self.is_finished
        return self

    @property
    def received(self) -> bytes:
        return bytes(self._data)

    @property
    def head(self) -> str:
        return self.received.partition(b"\r\n\r\n")[0].decode()

    @property
    def status(self) -> int:
        return int(self.head.split()[1]) if self.head else 0

    @property
    def body(self) -> bytes | None:
        """The body, None unless it came whole."""
        data = self.received.partition(b"\r\n\r\n")[2]
        if length := re.search(r"(?i)^content-length: (\d+)\r?$", self.head, re.MULTILINE):
            return data if len(data) == int(length[1]) else None
        parts, at = list[bytes](), 0
        while (end := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:end], 16)
            if not size:
                return b"".join(parts)
            parts.append(data[end + 2 : end + 2 + size])
            at = end + 2 + size + 2
        return None


class Gate:
    """Holds an origin's responses until it is opened, and counts the waiting ones."""

    def __init__(self) -> None:
        self.waiting = 0
        self._lock, self._open = threading.Lock(), threading.Event()

    def __call__(self) -> None:
        with self._lock:
            self.waiting += 1
        assert self._open.wait(PATIENCE)

    def answer(self, *parts: Any, **named: Any) -> Answer:
        """Answer once it is open."""
        self()
        return Answer(*parts, **named)

    def reached(self, count: int) -> None:
        wait_until(lambda: self.waiting >= count, PATIENCE, f"{count} requests at the origin, not {self.waiting}")

    def open(self) -> None:
        self._open.set()


def crowd(proxy: Mitmdump, url: str, count: int, *fields: str) -> list[Client]:
    return [Client(proxy, url, *fields) for _ in range(count)]


def settle(seconds: float = 1.0) -> None:
    """Let what should not happen have the time to: too short a time can only hide a failure, never make one."""
    time.sleep(seconds)


STORES = ["memory", "disk"]


def stored_in(kind: str, folder: Path) -> tuple[str, str]:
    return ("--set", f"cache={kind}" if kind == "memory" else f"cache=disk:{folder / 'store'}")


@pytest.mark.parametrize("lane", ["off", "on"])
def test_an_origin_however_slow_is_asked_once(lane: str, mitmdump: Start, origin: Origins) -> None:
    server, gate = origin(), Gate()
    proxy = mitmdump("--set", f"fast_lane={lane}")
    server.route("/", lambda _: gate.answer(headers=FRESH, body=b"one"))
    clients = crowd(proxy, f"{server.url}/", 30)
    gate.reached(1)
    wait_until_read(proxy)
    settle(6.0)  # a lock that gives up gives up after 5 s (nginx's proxy_cache_lock_timeout)
    gate.open()
    assert {client.end().body for client in clients} == {b"one"}
    assert len(server.requests) == 1
    assert sum("; collapsed" in client.head for client in clients) == 29


def test_leaders_that_break_off_queue_no_followers(proxy: Mitmdump, origin: Origins) -> None:
    """The body is sent once it is complete, so no client has received a part of it."""
    server, gates = origin(), [Gate(), Gate(), Gate()]

    def raw() -> Iterator[bytes]:
        gate = gates[min(len(server.requests), len(gates)) - 1]
        yield b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 8\r\n\r\nhalf"
        gate()

    server.route("/", lambda _: Answer(raw=raw(), close=True))
    clients = [Client(proxy, f"{server.url}/")]
    gates[0].reached(1)
    settle(0.3)  # its head is known then
    clients += crowd(proxy, f"{server.url}/", 7)
    wait_until_read(proxy)
    gates[0].open()
    gates[1].reached(1)
    gates[1].open()
    wait_until(lambda: gates[2].waiting == 6, 6)  # long before the one that leads by then would be given up
    gates[2].open()
    assert [client.end().status for client in clients] == [502] * 8


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("length", [True, False])
def test_followers_get_the_body_as_it_comes(
    kind: str, length: bool, mitmdump: Start, origin: Origins, tmp_path: Path
) -> None:
    server, gate, proxy = origin(), Gate(), mitmdump(*stored_in(kind, tmp_path))
    first, last = os.urandom(1_500_000), os.urandom(500_000)

    def body() -> Iterator[bytes]:
        yield first
        gate()
        yield last

    def raw() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 2000000\r\n\r\n"
        yield from body()

    server.route("/", lambda _: Answer(raw=raw(), close=True) if length else Answer(headers=FRESH, body=body()))
    clients = [Client(proxy, f"{server.url}/")]
    gate.reached(1)
    clients += crowd(proxy, f"{server.url}/", 5)
    wait_until(lambda: all(len(client.received) >= len(first) for client in clients), PATIENCE)
    gate.open()
    assert {client.end().body == first + last for client in clients} == {True}
    assert len(server.requests) == 1
    assert "; hit" in Client(proxy, f"{server.url}/").end().head


NOT_SHARED = {
    "vary": ([("Vary", "Cookie"), ("Cache-Control", "max-age=60")], True),
    "no-store": ([("Cache-Control", "no-store")], False),
    "nothing": ([], False),
}


@pytest.mark.parametrize("case", NOT_SHARED)
def test_whom_the_leaders_answer_does_not_serve_goes_on_at_once(case: str, proxy: Mitmdump, origin: Origins) -> None:
    server, leads, others = origin(), Gate(), Gate()
    headers, differ = NOT_SHARED[case]

    def answer(request: Received) -> Answer:
        (leads if len(server.requests) == 1 else others)()
        return Answer(headers=headers, body=(request.get("cookie") or "").encode())

    server.route("/", answer)
    clients = [Client(proxy, f"{server.url}/", *([f"Cookie: user={n}"] if differ else [])) for n in range(10)]
    leads.reached(1)
    wait_until_read(proxy)
    leads.open()
    others.reached(9)  # all of them at once, not one after the other
    others.open()
    for number, client in enumerate(clients):
        assert client.end().body == (f"user={number}".encode() if differ else b"")


def test_equal_variants_are_shared_among_equals(proxy: Mitmdump, origin: Origins) -> None:
    server, gate = origin(), Gate()

    def answer(request: Received) -> Answer:
        gate()
        return Answer(headers=[*FRESH, ("Vary", "X-Color")], body=(request.get("x-color") or "").encode())

    server.route("/", answer)
    gate.open()
    Client(proxy, f"{server.url}/", "X-Color: red").end()
    gate = Gate()
    clients = [Client(proxy, f"{server.url}/", f"X-Color: {color}") for color in ["blue", "green"] * 5]
    gate.reached(2)
    wait_until_read(proxy)
    gate.open()
    assert [client.end().body for client in clients] == [b"blue", b"green"] * 5
    assert len(server.requests) == 3


VALIDATED = [
    [("Cache-Control", "public, max-age=0"), ("ETag", '"v1"')],
    [("ETag", '"v1"')],
    [("Cache-Control", "no-cache"), ("ETag", '"v1"')],
    [("Last-Modified", "Thu, 01 Jan 2037 00:00:00 GMT")],
]


@pytest.mark.parametrize("headers", VALIDATED, ids=lambda headers: headers[0][1])
def test_validations_are_shared_by_who_asked_before_they_began(
    headers: list[tuple[str, str]], proxy: Mitmdump, origin: Origins
) -> None:
    server, leads, others = origin(), Gate(), Gate()

    def answer(request: Received) -> Answer:
        (leads if len(server.requests) == 1 else others)()
        asked = request.get("if-none-match") or request.get("if-modified-since")
        return Answer(304, headers) if asked else Answer(headers=headers, body=b"one")

    server.route("/", answer)
    clients = crowd(proxy, f"{server.url}/", 20)
    leads.reached(1)
    wait_until_read(proxy)
    leads.open()
    others.reached(1)
    settle()
    others.open()
    assert {client.end().body for client in clients} == {b"one"}
    assert len(server.requests) == 2  # one for them all
    late = Client(proxy, f"{server.url}/").end()
    assert (late.body, len(server.requests)) == (b"one", 3)


def test_who_asks_while_a_validation_is_under_way_does_not_wait_for_it(proxy: Mitmdump, origin: Origins) -> None:
    server, first, second = origin(), Gate(), Gate()
    headers = [("Cache-Control", "max-age=0"), ("ETag", '"v1"')]

    def answer(request: Received) -> Answer:
        if request.get("if-none-match"):
            (first if len(server.requests) == 2 else second)()
            return Answer(304, headers)
        return Answer(headers=headers, body=b"one")

    server.route("/", answer)
    Client(proxy, f"{server.url}/").end()
    early = Client(proxy, f"{server.url}/")
    first.reached(1)
    late = Client(proxy, f"{server.url}/")
    second.reached(1)  # although the first has no answer yet
    second.open()
    assert late.end().body == b"one"
    first.open()
    assert early.end().body == b"one"


@pytest.mark.parametrize("when", ["before the head", "in the body"])
@pytest.mark.parametrize("lane", ["off", "on"])
def test_a_leader_that_leaves_takes_nothing_away(when: str, lane: str, mitmdump: Start, origin: Origins) -> None:
    server, gate = origin(), Gate()
    proxy = mitmdump("--set", f"fast_lane={lane}")
    parts = [os.urandom(300_000), os.urandom(300_000)]

    def body() -> Iterator[bytes]:
        yield parts[0]
        if when == "in the body":
            gate()
        yield parts[1]

    def answer(_: Received) -> Answer:
        if when == "before the head":
            gate()
        return Answer(headers=FRESH, body=body())

    server.route("/", answer)
    leader = Client(proxy, f"{server.url}/")
    gate.reached(1)
    followers = crowd(proxy, f"{server.url}/", 4)
    if when == "in the body":
        wait_until(lambda: all(len(client.received) > 300_000 for client in followers), PATIENCE)
    else:
        wait_until_read(proxy)
    leader.leave()
    settle()
    gate.open()
    assert {client.end().body == b"".join(parts) for client in followers} == {True}
    assert len(server.requests) == 1
    assert "; hit" in Client(proxy, f"{server.url}/").end().head


@pytest.mark.parametrize("lane", ["off", "on"])
def test_a_leader_that_resets_its_connection_takes_nothing_away(lane: str, mitmdump: Start, origin: Origins) -> None:
    server, gate = origin(), Gate()
    proxy = mitmdump("--set", f"fast_lane={lane}")

    def answer(_: Received) -> Answer:
        gate()
        return Answer(headers=FRESH, body=b"for all")

    server.route("/", answer)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as leader:
        leader.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: {server.url.removeprefix('http://')}\r\n\r\n".encode())
        gate.reached(1)
        followers = crowd(proxy, f"{server.url}/", 4)
        wait_until_read(proxy)
        reset_when_closed(leader)
    settle()
    gate.open()
    assert [client.end().body for client in followers] == [b"for all"] * 4
    assert len(server.requests) == 1


def test_a_leader_that_breaks_off_breaks_its_followers_off(proxy: Mitmdump, origin: Origins) -> None:
    server, gate = origin(), Gate()

    def raw() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield b"4\r\nhalf\r\n"
        gate()

    server.route("/", lambda _: Answer(raw=raw(), close=True))
    clients = [Client(proxy, f"{server.url}/")]
    gate.reached(1)
    clients += crowd(proxy, f"{server.url}/", 4)
    wait_until(lambda: all(b"half" in client.received for client in clients), PATIENCE)
    gate.open()
    assert [client.end().body for client in clients] == [None] * 5
    assert "; hit" not in Client(proxy, f"{server.url}/").head


@pytest.mark.parametrize("status", [500, 503])
def test_a_leader_that_fails_queues_no_followers(status: int, proxy: Mitmdump, origin: Origins) -> None:
    server, leads, others = origin(), Gate(), Gate()

    def answer(_: Received) -> Answer:
        is_first = len(server.requests) == 1
        (leads if is_first else others)()
        return Answer(status) if is_first else Answer(headers=FRESH, body=b"one")

    server.route("/", answer)
    clients = crowd(proxy, f"{server.url}/", 8)
    leads.reached(1)
    wait_until_read(proxy)
    leads.open()
    others.reached(1)
    others.open()
    assert sorted(client.end().status for client in clients) == [200] * 7 + [status]


@pytest.mark.parametrize("kind", STORES)
def test_slow_clients_delay_no_others(kind: str, mitmdump: Start, origin: Origins, tmp_path: Path) -> None:
    server, gate = origin(), Gate()
    proxy = mitmdump(*stored_in(kind, tmp_path), "--set", "encode=off")
    body = os.urandom(1_000_000) * 24  # far more than is held in memory, or stored

    def parts() -> Iterator[bytes]:
        yield body[:100_000]
        gate()
        for at in range(100_000, len(body), 1_000_000):
            yield body[at : at + 1_000_000]

    server.route("/", lambda _: Answer(headers=FRESH, body=parts()))
    leader = Client(proxy, f"{server.url}/")
    gate.reached(1)
    slow, quick = Client(proxy, f"{server.url}/", reads=False), crowd(proxy, f"{server.url}/", 2)
    wait_until(lambda: all(len(client.received) > 90_000 for client in quick), PATIENCE)
    gate.open()
    assert {client.end().body == body for client in (*quick, leader)} == {True}
    assert len(server.requests) == 1
    slow.read_on()
    assert slow.end().body == body


def test_a_slow_leader_holds_up_no_follower(mitmdump: Start, origin: Origins) -> None:
    server, gate = origin(), Gate()
    proxy = mitmdump("--set", "encode=off")
    body = os.urandom(1_000_000) * 12

    def parts() -> Iterator[bytes]:
        yield body[:100_000]
        gate()
        yield body[100_000:]

    server.route("/", lambda _: Answer(headers=FRESH, body=parts()))
    leader = Client(proxy, f"{server.url}/", reads=False)
    gate.reached(1)
    followers = crowd(proxy, f"{server.url}/", 3)
    wait_until(lambda: all(len(client.received) > 90_000 for client in followers), PATIENCE)
    gate.open()
    assert {client.end().body == body for client in followers} == {True}
    leader.read_on()
    assert leader.end().body == body
    assert len(server.requests) == 1


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("length", ["known", "unknown"])
def test_a_slow_leader_holds_up_no_follower_however_long_the_body_is(
    length: str, leaves: bool, mitmdump: Start, origin: Origins
) -> None:
    server, gate = origin(), Gate()
    proxy = mitmdump("--set", "encode=off", "--set", "cache_max_object=256m", "--set", "send_timeout=0")
    body = os.urandom(1_000_000) * 40  # more than is held in memory, twice

    def parts() -> Iterator[bytes]:
        yield body[:100_000]
        gate()
        for at in range(100_000, len(body), 1_000_000):
            yield body[at : at + 1_000_000]

    def with_length() -> Iterator[bytes]:
        lines = [*FRESH, ("Content-Length", str(len(body)))]
        yield "\r\n".join(["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in lines), "", ""]).encode()
        yield from parts()

    known = Answer(raw=with_length()) if length == "known" else None
    server.route("/", lambda _: known or Answer(headers=FRESH, body=parts()))
    leader = Client(proxy, f"{server.url}/", reads=False)
    gate.reached(1)
    followers = crowd(proxy, f"{server.url}/", 2)
    wait_until(lambda: all(len(client.received) > 90_000 for client in followers), PATIENCE)
    gate.open()
    assert {client.end().body == body for client in followers} == {True}
    if leaves:
        leader.leave()
    else:
        leader.read_on()
        assert leader.end().body == body
    assert len(server.requests) == 1
    assert "Traceback" not in proxy.log()


@pytest.mark.parametrize("lane", ["off", "on"])
def test_a_leader_that_has_held_up_its_origin_already_holds_up_no_follower(
    lane: str, mitmdump: Start, origin: Origins
) -> None:
    server, body = origin(), os.urandom(1_000_000) * 15
    proxy = mitmdump("--set", "encode=off", "--set", "send_timeout=0", "--set", f"fast_lane={lane}")
    server.route("/", Answer(headers=FRESH, body=body))
    leader = Client(proxy, f"{server.url}/", reads=False)
    wait_until(lambda: server.requests, PATIENCE)
    settle()  # until no client reads any more of the response
    followers = crowd(proxy, f"{server.url}/", 2)
    assert {client.end().body == body for client in followers} == {True}
    assert len(server.requests) == 1
    leader.leave()


def test_head_and_conditional_requests_among_gets(proxy: Mitmdump, origin: Origins) -> None:
    server, gate = origin(), Gate()
    headers = [*FRESH, ("ETag", '"v1"')]
    server.route("/", lambda _: gate.answer(headers=headers, body=b"one"))
    get = Client(proxy, f"{server.url}/")
    gate.reached(1)
    head = Client(proxy, f"{server.url}/", method="HEAD")
    known = Client(proxy, f"{server.url}/", 'If-None-Match: "v1"')
    part = Client(proxy, f"{server.url}/", 'If-None-Match: W/"old"')
    wait_until_read(proxy)
    gate.open()
    assert [client.end().status for client in (get, head, known, part)] == [200, 200, 304, 200]
    assert (get.body, part.body) == (b"one", b"one")
    assert len(server.requests) == 1


KNOWN, OLD = 'If-None-Match: "v1"', 'If-None-Match: "v0"'
SINCE = "If-Modified-Since: Fri, 01 Jan 2027 00:00:00 GMT"
HEAD = "X-Head: yes"
"""Asked with HEAD."""

CONDITIONAL = {
    "of one tag": ("max-age=60", [KNOWN] * 12, 1),
    "of two tags": ("max-age=60", [KNOWN, OLD] * 6, 2),
    "that may not be shared": ("no-store", [KNOWN] * 12, 12),
    "that is one client's": ("private, max-age=60", [KNOWN] * 12, 12),
    "that is validated each time": ("max-age=0", [KNOWN] * 12, 2),
    "of one date": ("max-age=60", [SINCE] * 12, 1),
    "of one date that is validated each time": ("max-age=0", [SINCE] * 12, 2),
    "of a date and a tag": ("max-age=60", [SINCE, OLD] * 6, 2),
    "of heads": ("max-age=60", [HEAD] * 12, 1),
    "of heads that may not be shared": ("no-store", [HEAD] * 12, 12),
    "of heads and tags": ("max-age=60", [HEAD, KNOWN] * 6, 2),
}


class ConditionalCrowd:
    """Twelve clients at once for a URL of their own, of whom one asks first; the origin holds all answers back."""

    def __init__(self, proxy: Mitmdump, server: Origin, case: str) -> None:
        control, self.asks, self.expected = CONDITIONAL[case]
        self._headers = [("Cache-Control", control)]
        self._proxy, self._url = proxy, f"{server.url}/{case.replace(' ', '-')}"
        self.leads, self.others, self.asked = Gate(), Gate(), itertools.count()
        server.route(f"/{case.replace(' ', '-')}", self._answer)
        self.clients = [self._client(self.asks[0])]

    def _client(self, ask: str) -> Client:
        return Client(self._proxy, self._url, ask, method="HEAD" if ask == HEAD else "GET")

    def _answer(self, request: Received) -> Answer:
        (self.others if next(self.asked) else self.leads)()
        if request.get("if-modified-since"):
            return Answer(304, self._headers)
        tagged = [*self._headers, ("ETag", '"v1"')]
        is_known = request.get("if-none-match") == '"v1"'
        return Answer(304, tagged) if is_known else Answer(headers=tagged, body=b"one")

    def join(self) -> None:
        """Have the others ask, too, now that the first is under way."""
        self.leads.reached(1)
        self.clients += [self._client(ask) for ask in self.asks[1:]]


@pytest.mark.parametrize("lane", ["off", "on"])
def test_simultaneous_conditional_requests(lane: str, mitmdump: Start, origin: Origins) -> None:
    """A 304 is for all who asked with the same conditions; others have the whole asked for, once for them all.

    So is a head.
    """
    server, proxy = origin(), mitmdump("--set", f"fast_lane={lane}")
    crowds = [ConditionalCrowd(proxy, server, case) for case in CONDITIONAL]
    for crowd in crowds:
        crowd.join()
    wait_until_read(proxy)
    for crowd in crowds:
        crowd.leads.open()
    for crowd in crowds:
        crowd.others.reached(crowd.expected - 1)
    settle()
    for crowd in crowds:
        crowd.others.open()
    for crowd in crowds:
        for client, ask in zip(crowd.clients, crowd.asks, strict=True):
            assert client.end().status == (304 if ask in (KNOWN, SINCE) else 200)
            assert ask != OLD or client.body == b"one"
    assert [next(crowd.asked) for crowd in crowds] == [crowd.expected for crowd in crowds]


def test_ranges_are_shared_by_those_of_the_same(proxy: Mitmdump, origin: Origins) -> None:
    """As they come, too."""
    server, gate = origin(), Gate()
    body = os.urandom(6_000_000)

    def answer(request: Received) -> Answer:
        first, last = map(int, re.findall(r"\d+", request.get("range") or ""))

        def parts() -> Iterator[bytes]:
            yield (
                'HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nETag: "v1"\r\n'
                f"Content-Range: bytes {first}-{last}/6000000\r\nContent-Length: {last + 1 - first}\r\n\r\n"
            ).encode()
            yield body[first : last - 99]
            gate()
            yield body[last - 99 : last + 1]

        return Answer(raw=parts(), close=True)

    server.route("/", answer)
    wanted = ["0-2999999", "2000000-4999999"] * 4
    clients = [Client(proxy, f"{server.url}/", f"Range: bytes={part}") for part in wanted]
    gate.reached(2)
    wait_until(lambda: all(len(client.received) > 2_999_900 for client in clients), PATIENCE)
    gate.open()
    assert [client.end().status for client in clients] == [206] * 8
    assert {client.body == body[:3_000_000] for client in clients[::2]} == {True}
    assert {client.body == body[2_000_000:5_000_000] for client in clients[1::2]} == {True}
    assert len(server.requests) == 2


@pytest.mark.parametrize("lane", ["off", "on"])
def test_ranges_of_a_whole_that_is_coming(lane: str, mitmdump: Start, origin: Origins) -> None:
    """A range that has arrived, or is next to arrive, is served from it; other requests are forwarded at once."""
    server, proxy, gate = origin(), mitmdump("--set", f"fast_lane={lane}", "--set", "encode=off"), Gate()
    body = os.urandom(9_000_000)

    def whole() -> Iterator[bytes]:
        yield b'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: "v1"\r\nContent-Length: 9000000\r\n\r\n'
        yield body[:5_000_000]
        gate()
        yield body[5_000_000:]

    def answer(request: Received) -> Answer:
        if request.get("range") is None:
            return Answer(raw=whole(), close=True)
        first, last = map(int, re.findall(r"\d+", request.get("range") or ""))
        return Answer(206, [*FRESH, ("Content-Range", f"bytes {first}-{last}/9000000")], body[first : last + 1])

    server.route("/", answer)
    leader = Client(proxy, f"{server.url}/")
    wait_until(lambda: len(leader.received) > 5_000_000, PATIENCE)
    here = [Client(proxy, f"{server.url}/", f"Range: bytes={part}") for part in ("0-99", "2500000-4999999")]
    later = Client(proxy, f"{server.url}/", "Range: bytes=8000000-8000099")
    of_another = Client(proxy, f"{server.url}/", "Range: bytes=0-99", 'If-Range: "v0"')
    open_ended = Client(proxy, f"{server.url}/", "Range: bytes=4000000-")
    assert [client.end().status for client in (*here, later)] == [206] * 3
    assert [
        client.body == part for client, part in zip(here, (body[:100], body[2_500_000:5_000_000]), strict=True)
    ] == [
        True,
        True,
    ]
    assert later.body == body[8_000_000:8_000_100]
    wait_until(lambda: len(open_ended.received) > 1_000_000, PATIENCE)
    gate.open()
    assert (of_another.end().status, of_another.body == body) == (200, True)
    assert (open_ended.end().status, open_ended.body == body[4_000_000:]) == (206, True)
    assert leader.end().body == body
    assert len(server.requests) == 2


def test_a_purged_response_gets_no_new_followers(proxy: Mitmdump, origin: Origins) -> None:
    server, gate = origin(), Gate()

    def answer(request: Received) -> Answer:
        if request.method == "POST":
            return Answer(204)
        number = sum(request.method == "GET" for request in server.requests)
        if number == 1:
            gate()
        return Answer(headers=FRESH, body=b"old" if number == 1 else b"new")

    server.route("/", answer)
    early = Client(proxy, f"{server.url}/")
    gate.reached(1)
    Client(proxy, f"{server.url}/", "Content-Length: 0", method="POST").end()
    assert Client(proxy, f"{server.url}/").end().body == b"new"
    gate.open()
    assert early.end().body == b"old"
    assert Client(proxy, f"{server.url}/").end().body == b"new"


def test_over_http2(mitmdump: Start, origin: Origins, curl: Any, server_tls: ssl.SSLContext, ca_file: Path) -> None:
    server, gate = origin(server_tls), Gate()
    proxy = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", "--set", "inspect_hosts=*")
    server.route("/", lambda _: gate.answer(headers=FRESH, body=iter([b"one", b"two"])))
    target = ("--http2", "-x", proxy.url, "--cacert", str(proxy.ca), f"{server.url}/")
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(curl(*target))) for _ in range(6)]
    for thread in threads:
        thread.start()
    gate.reached(1)
    settle(2)
    gate.open()
    for thread in threads:
        thread.join(PATIENCE)
    assert [result.body for result in results] == [b"onetwo"] * 6
    assert len(server.requests) == 1
