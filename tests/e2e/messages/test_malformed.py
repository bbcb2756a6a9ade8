"""Malformed messages get a 4xx or 502, never a traceback, a hung connection, or another try at parsing them."""

import random
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, exchange_raw

TROUBLE = ("Traceback", "has crashed", "Addon error", "NotImplementedError", "AssertionError")


@pytest.fixture(scope="module")
def server() -> Iterator[Origin]:
    running = Origin()
    yield running
    running.close()


@pytest.fixture(scope="module")
def forward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    running = Mitmdump([], confdir=tmp_path_factory.mktemp("confdir"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def reverse(tmp_path_factory: pytest.TempPathFactory, server: Origin) -> Iterator[Mitmdump]:
    running = Mitmdump([], mode=f"reverse:{server.url}", confdir=tmp_path_factory.mktemp("confdir"))
    yield running
    running.stop()


@pytest.fixture(params=["forward", "reverse"])
def proxy(request: pytest.FixtureRequest, forward: Mitmdump, reverse: Mitmdump) -> Mitmdump:
    return forward if request.param == "forward" else reverse


@dataclass(frozen=True)
class Bad:
    id: str
    request: bytes
    status: int = 400


POST = b"POST http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n"
GET = b"GET http://127.0.0.1:1/ HTTP/1.1\r\n"
BAD = [
    Bad("no request line", b"hello\r\n\r\n"),
    Bad("a word too many", b"GET / now HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("no version", b"GET /\r\nHost: h\r\n\r\n"),
    Bad("strange version", b"GET / HTTQ/1.1\r\nHost: h\r\n\r\n"),
    Bad("HTTP/2 in words", b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
    Bad("HTTP/2 prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Bad("HTTP/0.9", b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505),
    Bad("oversized line", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431),
    Bad("oversized, whole", GET + b"Host: h\r\n" + b"X-Fill: " + b"a" * 66_000 + b"\r\n\r\n", 431),
    Bad("many fields", GET + b"Host: h\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431),
    Bad("endless head", GET + b"X: y\r\n" * 20_000, 431),
    Bad("CL and TE", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Bad("two CL", POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    Bad("CL is a word", POST + b"Content-Length: three\r\n\r\nabc"),
    Bad("negative CL", POST + b"Content-Length: -3\r\n\r\nabc"),
    Bad("CL +3", POST + b"Content-Length: +3\r\n\r\nabc"),
    Bad("unknown TE", POST + b"Transfer-Encoding: cow\r\n\r\nabc"),
    Bad("chunked not last", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\nabc"),
    Bad("compressed for the transfer", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    Bad("compressed without an end", POST + b"Transfer-Encoding: gzip\r\n\r\nabc"),
    Bad("TE with 1.0", POST.replace(b"1.1\r", b"1.0\r") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Bad("bad chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n"),
    Bad("huge chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\nabc"),
    Bad("chunk longer than it says", POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n"),
    Bad("endless chunk size", POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000),
    Bad("space before colon", GET + b"Host : h\r\n\r\n"),
    Bad("no colon", GET + b"Host h\r\n\r\n"),
    Bad("no name", GET + b": h\r\n\r\n"),
    Bad("bad name", GET + b"Host: h\r\nX(Y: z\r\n\r\n"),
    Bad("folded line", GET + b"Host: h\r\nX: a\r\n b\r\n\r\n"),
    Bad("begins with a fold", GET + b" X: y\r\nHost: h\r\n\r\n"),
    Bad("bare CR", GET + b"Host: h\r\nX: a\rb\r\n\r\n"),
    Bad("NUL", GET + b"Host: h\r\nX: a\0b\r\n\r\n"),
    Bad("two Hosts", GET + b"Host: h\r\nHost: i\r\n\r\n"),
    Bad("no Host", b"GET / HTTP/1.1\r\n\r\n"),
    Bad("broken authority", b"GET http://[::1/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("no authority", b"GET http:///path HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("port too large", b"GET http://h:99999/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("port a word", b"GET http://h:http/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("a space in the authority", b"GET http://a b/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("another scheme", b"GET gopher://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("a relative target", b"GET index.html HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("CONNECT without a port", b"CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("CONNECT to a path", b"CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n"),
    Bad("CONNECT to nothing", b"CONNECT :443 HTTP/1.1\r\nHost: h\r\n\r\n"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_a_bad_request_is_refused_and_the_connection_ended(proxy: Mitmdump, server: Origin, case: Bad) -> None:
    before = len(server.requests)
    answer = exchange_raw(proxy.port, case.request)
    assert answer.startswith(b"HTTP/1.1 %d " % case.status), answer[:200]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert not re.search(rb"HTTP/1\.1 \d", body)
    assert len(server.requests) == before
    assert not [word for word in TROUBLE if word in proxy.log()]


BAD_ANSWERS = [
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 two hundred\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabcd",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x-gzip , chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000,
    b"",
    b"HTTP/1.1 200",
]


@pytest.mark.parametrize("raw", BAD_ANSWERS, ids=lambda raw: repr(raw[:40]))
def test_a_bad_answer_is_502(reverse: Mitmdump, server: Origin, raw: bytes) -> None:
    server.route("/bad", Answer(raw=raw, close=True))
    request = b"GET /bad HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    answer = exchange_raw(reverse.port, request)
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert answer.endswith(b"hello from the origin\n"), "the connection was not usable afterwards"
    assert not [word for word in TROUBLE if word in reverse.log()]


def test_trailers_pass_both_ways(reverse: Mitmdump, server: Origin) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n"
    server.route("/trailers", Answer(raw=raw))
    request = b"POST /trailers HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = exchange_raw(reverse.port, request + b"2\r\nxy\r\n0\r\nX-Up: 1\r\n\r\n")
    assert answer.endswith(b"3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
    assert server.requests[-1].body == b"xy"
    old = exchange_raw(reverse.port, b"GET /trailers HTTP/1.0\r\n\r\n")
    assert old.endswith(b"\r\n\r\nabc")


def test_empty_lines_before_a_request_are_ignored(reverse: Mitmdump) -> None:
    request = b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    assert exchange_raw(reverse.port, request).count(b"HTTP/1.1 200 ") == 2


def test_half_a_request_ends_with_its_client(proxy: Mitmdump) -> None:
    for half in (b"GET / HT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"):
        exchange_raw(proxy.port, half, eof=True)
    assert not [word for word in TROUBLE if word in proxy.log()]


SEED = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def test_random_damage_never_hangs_or_crashes(proxy: Mitmdump) -> None:
    chance = random.Random(19)
    for _ in range(150):
        damaged = bytearray(SEED)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randint(0, 2)] = bytes(
                chance.choices(b"\r\n\t :/[]%\x00\xff09azGET", k=chance.randint(0, 3))
            )
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as sock:
            sock.sendall(bytes(damaged))
            sock.shutdown(socket.SHUT_WR)
            try:
                while sock.recv(65536):
                    pass
            except TimeoutError:
                pytest.fail(f"no end after {bytes(damaged)!r}\n{proxy.log()[-1500:]}")
    assert not [word for word in TROUBLE if word in proxy.log()], proxy.log()[-3000:]


def test_a_silent_client_delays_no_other(mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin]) -> None:
    server = origin()
    proxy = mitmdump(mode=f"reverse:{server.url}")
    quiet = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(20)]
    for sock in quiet[10:]:
        sock.sendall(b"GET / HTTP/1.1\r\nHos")
    answer = exchange_raw(proxy.port, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"hello from the origin\n")
    for sock in quiet:
        sock.close()
