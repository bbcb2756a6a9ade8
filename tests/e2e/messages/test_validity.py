"""Messages are valid or refused, and what is valid passes byte for byte: every mode, every lane, the same verdict."""

import re
import socket
from dataclasses import dataclass

import pytest
from tests.support.mitmdump import Both
from tests.support.raw_origin import RawOrigin, talk

PLAIN = b"GET %s/plain HTTP/1.1\r\nHost: %s\r\n\r\n"


def ask(both: Both, raw_origin: RawOrigin, mode: str, request: bytes) -> list[bytes]:
    """Send a request alone, and as the second of a connection; give the two answers."""
    host = f"127.0.0.1:{raw_origin.port}".encode()
    base = b"http://" + host if mode == "regular" else b""
    request = request.replace(b"{BASE}", base).replace(b"{HOST}", host)
    port = both.ports[mode]
    alone = talk(port, request)
    second = talk(port, PLAIN % (base, host), request)
    return [alone, second.partition(b"plain answer")[2]]


@dataclass(frozen=True)
class Bad:
    id: str
    request: bytes
    status: int = 400
    modes: tuple[str, ...] = ("regular", "reverse")


END = b" HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
GET = b"GET {BASE}/ HTTP/1.1\r\n"
HOST = b"Host: {HOST}\r\n"
BAD = [
    *(Bad(f"method {name!r}", name + b" {BASE}/" + END) for name in (b"GE:T", b'G"ET', b"G\xe9T", b"G(ET", b"G\x01ET")),
    *(Bad(f"method {name!r}", name + b" {BASE}/" + END, 501) for name in (b"head", b"Connect")),
    *(
        Bad(f"target {path!r}", b"GET {BASE}" + path + END)
        for path in (b"/c#x", b"/a\x01b", b"/a\x7fb", b"/a\tb", b"/a b")
    ),
    Bad("target is a word", b"GET index.html" + END),
    Bad("target is a fragment", b"GET #x" + END),
    Bad("* for GET", b"GET *" + END),
    Bad("user in the target", b"GET http://u:p@{HOST}/" + END),
    Bad("fragment without a path", b"GET http://{HOST}#x" + END),
    Bad("authority-form", b"GET {HOST}" + END),
    Bad("two blanks", b"GET  {BASE}/" + END),
    Bad("a tab", b"GET\t{BASE}/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    Bad("port 0", b"GET http://h:0/" + END),
    Bad("zone with an escape", b"CONNECT [fe80::1%x\x1b[2J]:80" + END),
    *(
        Bad(f"Host {name!r}", GET + b"Host: " + name + b"\r\n\r\n")
        for name in (
            b"a b",
            b"<script>",
            b"a:b",
            b"u@h",
            b"a/x",
            b"a, b",
            b"a,b",
            b"[::1",
            b"a#b",
            b"a?b",
            b"\xe4",
            b"h:99999",
        )
    ),
    Bad("empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    Bad("two Hosts alike", GET + HOST + HOST + b"\r\n"),
    *(
        Bad(f"value {value!r}", GET + HOST + b"X: a" + value + b"b\r\n\r\n")
        for value in (b"\r", b"\0", b"\x01", b"\x0b", b"\x0c", b"\x1b", b"\x7f")
    ),
    Bad("form feed around a length", GET + HOST + b"Content-Length: \x0c0\r\n\r\n"),
    *(
        Bad(f"length {value!r}", GET + HOST + b"Content-Length: " + value + b"\r\n\r\n")
        for value in (
            b"",
            b"9223372036854775808",
            b"18446744073709551619",
            b"0" * 29 + b"3",
            b"2, 3",
            b"0x2",
            b"2;",
            b",",
        )
    ),
    *(
        Bad(
            f"trailer {trailer!r}",
            b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + trailer + b"\r\n\r\n",
        )
        for trailer in (b"X : a", b"X: a\r\n b")
    ),
    Bad(
        "trailer with a control",
        b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\x01\r\n\r\n",
    ),
    Bad(
        "trailer without a name",
        b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX (: a\r\n\r\n",
    ),
    Bad(
        "line feed in an extension",
        b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n",
    ),
]


@pytest.mark.parametrize("mode", ["regular", "reverse"])
def test_what_is_not_valid_is_refused(both: Both, raw_origin: RawOrigin, mode: str) -> None:
    wrong = []
    for case in BAD:
        before = len([one for one in raw_origin.heads if b"/plain" not in one])
        for answer in ask(both, raw_origin, mode, case.request):
            if not answer.startswith(b"HTTP/1.1 %d " % case.status) or b"connection: close" not in answer.lower():
                wrong.append((case.id, answer[:60]))
        # A body that turns out to be broken may have been under way.
        if len([one for one in raw_origin.heads if b"/plain" not in one]) != before and b"chunked" not in case.request:
            wrong.append((case.id, b"it reached the origin"))
    assert not wrong
    assert "\x1b" not in both.process.log()
    assert "Traceback" not in both.process.log()


@dataclass(frozen=True)
class Good:
    """A request that is legal, and what the origin gets of it: the request line's target, and fields."""

    id: str
    request: bytes
    target: bytes
    fields: tuple[bytes, ...] = ()
    body: bytes = b""
    modes: tuple[str, ...] = ("regular", "reverse")


CHUNKED = b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = [
    Good("raw UTF-8 in the path", "GET {BASE}/ä?ö".encode() + END, "/ä?ö".encode()),
    Good("odd but legal in the path", b'GET {BASE}/%e4/%zz/|{}^`"<>?a[]=\\' + END, b'/%e4/%zz/|{}^`"<>?a[]=\\'),
    Good("a query and no path", b"GET http://{HOST}?x=1" + END, b"/?x=1"),
    Good("no path", b"GET http://{HOST}" + END, b"/"),
    Good("scheme in capitals", b"GET HTTP://{HOST}/a" + END, b"/a"),
    Good("OPTIONS *", b"OPTIONS *" + END, b"*", modes=("reverse",)),
    Good("OPTIONS for the server as a whole", b"OPTIONS http://{HOST}" + END, b"*"),
    Good("OPTIONS for its root", b"OPTIONS http://{HOST}/" + END, b"/"),
    Good("absolute-form wins", b"GET http://{HOST}/a HTTP/1.1\r\nHost: other.test\r\n\r\n", b"/a", (b"Host: {HOST}",)),
    Good("any token is a method", b"b*!e {BASE}/" + END, b"/"),
    Good("8-bit in a value", GET + HOST + b"X: \xe4\xff \t\xc3\xa4\r\n\r\n", b"/", (b"X: \xe4\xff \t\xc3\xa4",)),
    Good("HTTP/1.2", b"GET {BASE}/ HTTP/1.2\r\n" + HOST + b"\r\n", b"/"),
    Good(
        "equal lengths",
        b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        b"/",
        (b"Content-Length: 2",),
        b"ab",
    ),
    Good(
        "equal lengths in one",
        b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Content-Length: 2, 2\r\n\r\nab",
        b"/",
        (b"Content-Length: 2",),
        b"ab",
    ),
    Good(
        "zeros before a length",
        b"POST {BASE}/ HTTP/1.1\r\n" + HOST + b"Content-Length: 002\r\n\r\nab",
        b"/",
        (b"Content-Length: 2",),
        b"ab",
    ),
    Good("blank before an extension", CHUNKED + b"2 ; x=1\r\nab\r\n0\t;y\r\n\r\n", b"/", (), b"ab"),
    Good("extensions", CHUNKED + b'2;x="y z"\r\nab\r\n0;\r\nX-T: 1\r\n\r\n', b"/", (), b"ab"),
]


@pytest.mark.parametrize("mode", ["regular", "reverse"])
def test_what_is_valid_passes_as_it_came(both: Both, raw_origin: RawOrigin, mode: str) -> None:
    wrong: list[tuple[str, object]] = []
    host = f"127.0.0.1:{raw_origin.port}".encode()
    for case in (case for case in GOOD if mode in case.modes):
        raw_origin.heads.clear()
        raw_origin.bodies.clear()
        answers = ask(both, raw_origin, mode, case.request)
        got = [one for one in zip(raw_origin.heads, raw_origin.bodies, strict=False) if b"/plain" not in one[0]]
        if len(got) != 2 or not all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers):
            wrong.append((case.id, answers))
        for head, body in got:
            lines = head.split(b"\r\n")
            wanted = [line.replace(b"{HOST}", host) for line in case.fields]
            if lines[0].split(b" ")[1] != case.target or body != case.body or not set(wanted) <= set(lines):
                wrong.append((case.id, head))
    assert not wrong


# Responses

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
BAD_ANSWERS = {
    "bare CR in a value": OK + b"X: a\rContent-Length: 5\r\n" + EMPTY,
    **{
        f"{byte!r} in a value": OK + b"X: a" + byte + b"b\r\n" + EMPTY
        for byte in (b"\0", b"\x01", b"\x0b", b"\x1b", b"\x7f")
    },
    **{f"{byte!r} in the reason": b"HTTP/1.1 200 O" + byte + b"K\r\n" + EMPTY for byte in (b"\r", b"\0", b"\x1b")},
    **{
        f"status {word!r}": b"HTTP/1.1 " + word + b" X\r\n" + EMPTY
        for word in (b"99", b"600", b"999", b"0200", b"+200", b"2 0")
    },
    "an empty line first": b"\r\n" + OK + EMPTY,
    "ICY": b"ICY 200 OK\r\n" + EMPTY,
    "a fold first": OK + b" X: y\r\n" + EMPTY,
    "a length beyond 64 bits": OK + b"Content-Length: 18446744073709551619\r\n\r\nabc",
    "a length beyond 63 bits": OK + b"Content-Length: 9223372036854775808\r\n\r\nabc",
    "unequal lengths": OK + b"Content-Length: 2, 3\r\n\r\nabc",
    "an empty length": OK + b"Content-Length:\r\n\r\nabc",
    "103 with a bad name": b"HTTP/1.1 103 Early Hints\r\nBad Name: x\r\n\r\n" + OK + EMPTY,
    "103 with a bare CR": b"HTTP/1.1 103 Early Hints\r\nX: a\rb\r\n\r\n" + OK + EMPTY,
    "100 with a control": b"HTTP/1.1 100 Continue\r\nX: a\x01b\r\n\r\n" + OK + EMPTY,
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc",
}
GOOD_ANSWERS = {
    "a fold": (OK + b"X: a\r\n\t b\r\n" + EMPTY, b"X: a b"),
    "a blank before the colon": (OK + b"X : a\r\n" + EMPTY, b"X: a"),
    "equal lengths": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", b"Content-Length: 2"),
    "8-bit": (b"HTTP/1.1 200 \xe4\r\nX: \xff\r\n" + EMPTY, b"X: \xff"),
    "no reason": (b"HTTP/1.1 200\r\n" + EMPTY, b"Content-Length: 0"),
    "blank before an extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n2 ; x\r\nab\r\n0\r\n\r\n", b"ab"),
}


def test_answers_are_held_to_what_requests_are(both: Both, raw_origin: RawOrigin) -> None:
    wrong: list[tuple[str, bytes]] = []
    for name, raw in BAD_ANSWERS.items():
        raw_origin.answer = raw
        wrong += [
            (name, one)
            for one in ask(both, raw_origin, "reverse", b"GET /x" + END)
            if not one.startswith(b"HTTP/1.1 502 ")
        ]
    for name, (raw, line) in GOOD_ANSWERS.items():
        raw_origin.answer = raw
        for one in ask(both, raw_origin, "reverse", b"GET /x" + END):
            if not (one.startswith(b"HTTP/1.1 200") and line in re.split(rb"\r\n", one)):
                wrong.append((name, one))
    raw_origin.answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nContent-Length: 5\r\nKeep-Alive: x\r\n\r\n" + OK + EMPTY
    )
    for one in ask(both, raw_origin, "reverse", b"GET /x" + END):
        if not one.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n"):
            wrong.append(("103 with a length", one))
    raw_origin.answer = b""
    assert not wrong
    assert "Traceback" not in both.process.log()


def test_a_client_that_ends_its_half_is_answered(both: Both, raw_origin: RawOrigin) -> None:
    raw_origin.pause = 0.3
    try:
        for mode in ("regular", "reverse"):
            base = f"http://127.0.0.1:{raw_origin.port}" if mode == "regular" else ""
            with socket.create_connection(("127.0.0.1", both.ports[mode]), timeout=100) as sock:
                sock.sendall(f"GET {base}/half HTTP/1.1\r\nHost: 127.0.0.1:{raw_origin.port}\r\n\r\n".encode() * 3)
                sock.shutdown(socket.SHUT_WR)
                got = b""
                while data := sock.recv(65536):
                    got += data
            assert got.startswith(b"HTTP/1.1 200 "), mode
            assert got.endswith(b"an answer"), mode
            assert got.count(b"an answer") == 3, mode
    finally:
        raw_origin.pause = 0.0
