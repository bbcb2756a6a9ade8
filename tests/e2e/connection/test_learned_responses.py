"""Hits without mitmproxy's layers: the same requests on both paths, and all conditions that require the layers.

A request sent in two pieces goes through the layers, a whole one does not, in the same proxy at the same time.
"""

from __future__ import annotations

import functools
import itertools
import re
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.fast_lane import ALL, FRESH, Connection, Start, handed_over, hits, script
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(100)

HTML = b"<p>the same words over and over</p>\n" * 200


def at_its_time(response: bytes) -> tuple[bytes, list[int]]:
    """Take out what a second more or less changes."""
    pattern = rb"(?m)(^Age: |; ttl=)(\d+)"
    return re.sub(pattern, rb"\1", response), [int(value) for _, value in re.findall(pattern, response)]


def assert_same(fast: bytes, slow: bytes, took: float) -> None:
    """Assert that two responses differ in nothing but the seconds, `took` at most, that were between them."""
    (fast_rest, fast_times), (slow_rest, slow_times) = at_its_time(fast), at_its_time(slow)
    assert fast_rest == slow_rest
    assert all(abs(one - other) <= 1 + took for one, other in zip(fast_times, slow_times, strict=True))


def origin_with_pages(origin: Callable[..., Origin]) -> Origin:
    running = origin()
    text = ("Content-Type", "text/html")
    dated = ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
    running.route("/tagged", Answer(headers=[FRESH, text, ("ETag", '"one"')], body=HTML))
    running.route("/dated", Answer(headers=[FRESH, text, dated], body=HTML))
    running.route("/varied", Answer(headers=[FRESH, text, ("Vary", "Accept-Language")], body=HTML))
    running.route(
        "/small", Answer(headers=[FRESH, ("Set-Cookie", "a=b"), ("X-Twice", "1"), ("X-Twice", "2")], body=b"x")
    )
    running.route("/empty", Answer(headers=[FRESH], body=b""))
    running.route("/moved", Answer(301, headers=[FRESH, ("Location", "/small")], body=b"moved"))
    running.route("/private", Answer(headers=[("Cache-Control", "private")], body=b"mine"))
    return running


PATHS = ["/tagged", "/dated", "/varied", "/small", "/empty", "/moved"]
FIELDS = [
    *(
        "",
        "Accept-Encoding: gzip",
        "Accept-Encoding: zstd, br;q=0.5",
        "Accept-Encoding: identity",
        "Accept-Language: de",
    ),
    *('If-None-Match: "one"', 'If-None-Match: W/"one"', 'If-None-Match: "two"', "If-None-Match: *"),
    "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT",
    *("Range: bytes=0-9", "Range: bytes=-5", "Range: bytes=1-", "Range: bytes=0-1,4-5", "Range: bytes=99999999-"),
    *('Range: bytes=0-3\r\nIf-Range: "one"', "Cache-Control: max-age=500", "Cache-Control: no-cache", "Cookie: a=b"),
    *(
        "Authorization: Basic eDp5",
        "Connection: keep-alive",
        "Connection: close",
        "Accept-Encoding: gzip\r\nRange: bytes=0-9",
    ),
]


@pytest.mark.parametrize(("mode", "cache"), [("forward", "memory"), ("reverse", "memory"), ("reverse", "disk")])
def test_both_lanes_answer_the_same(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path, mode: str, cache: str
) -> None:
    pages = origin_with_pages(origin)
    store = cache if cache == "memory" else f"disk:{tmp_path / 'store'}"
    more = (*ALL, "--set", f"cache={store}")
    proxy = mitmdump(*more, mode=f"reverse:{pages.url}" if mode == "reverse" else None)
    base = "" if mode == "reverse" else pages.url
    compared = 0
    for path, fields in itertools.product(PATHS, FIELDS):
        lines = f"{fields}\r\n" if fields else ""
        request = f"GET {base}{path} HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n{lines}\r\n".encode()
        begun = time.monotonic()
        if "close" in fields:
            fresh = [Connection(proxy.port) for _ in range(5)]
            fast = [one.ask(request) for one in fresh[:4]][-1]
            slow = fresh[4].ask(request, in_pieces=True)
        else:
            connection = Connection(proxy.port)
            fast = [connection.ask(request) for _ in range(4)][-1]
            slow = connection.ask(request, in_pieces=True)
        if b"; hit" in slow or b" 304 " in slow:
            assert_same(fast, slow, time.monotonic() - begun)
            compared += 1
    assert compared > 80
    wait_until(lambda: hits(proxy) >= 80, what="hits in the fast lane")
    assert "Traceback" not in proxy.log()


def test_head(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    pages = origin_with_pages(origin)
    proxy = mitmdump(*ALL)
    connection = Connection(proxy.port)
    connection.ask(f"GET {pages.url}/tagged HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode())
    answers, begun = [], time.monotonic()
    for _ in range(3):
        connection.socket.sendall(f"HEAD {pages.url}/tagged HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode())
        answers.append(connection.response(has_body=False))
    assert_same(answers[2], answers[0], time.monotonic() - begun)
    wait_until(lambda: hits(proxy))


def test_hits_are_printed_like_other_flows(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    pages = origin_with_pages(origin)
    proxy = mitmdump(*ALL)
    connection = Connection(proxy.port)
    for _ in range(5):
        connection.ask(f"GET {pages.url}/small HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode())
    connection.socket.close()
    proxy.wait_log("client disconnect")
    printed = re.findall(rf"(?m)^127\.0\.0\.1:\d+: GET {pages.url}/small\n +<< 200 \w+ 1b$", proxy.log())
    assert len(printed) == 5
    assert len(set(printed)) == 1
    assert len(pages.requests) == 1


def test_pipelined_with_a_miss_between(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    pages = origin_with_pages(origin)
    proxy = mitmdump(*ALL)
    connection = Connection(proxy.port)

    def request(path: str) -> bytes:
        return f"GET {pages.url}{path} HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode()

    for _ in range(4):
        connection.ask(request("/small"))
        connection.ask(request("/empty"))
    for _ in range(20):
        paths = ["/small", "/empty", "/small", "/private", "/small", "/empty"]
        connection.socket.sendall(b"".join(map(request, paths)))
        bodies = [connection.response(has_body=True).partition(b"\r\n\r\n")[2] for _ in paths]
        assert bodies == [b"x", b"", b"x", b"mine", b"x", b""]
    wait_until(lambda: hits(proxy) >= 60, what="hits in the fast lane")


def test_what_expires_is_asked_for_again(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    pages = origin()
    pages.route("/", Answer(headers=[("Cache-Control", "max-age=1")], body=b"x"))
    proxy = mitmdump(*ALL)
    connection = Connection(proxy.port)
    request = f"GET {pages.url}/ HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode()
    while not hits(proxy):  # on a slow machine it may expire before it is asked for again
        connection.ask(request)
    asked = len(pages.requests)
    time.sleep(1.1)  # the point of the test
    connection.ask(request)
    assert len(pages.requests) == asked + 1


FOREIGN = "class Watcher:\n    def {}(self, flow): pass\naddons = [Watcher()]\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--set", "fast_lane=off"), ""),
        ((*ALL, "--set", "header_rules=//X-Test/1"), ""),
        ((*ALL, "--set", "cache=off"), ""),
        ((*ALL, "--set", "flow_detail=2"), ""),
        ((*ALL, "--proxyauth", "any"), ""),
        *(
            ((*ALL,), FOREIGN.format(hook))
            for hook in ("client_connected", "requestheaders", "request", "responseheaders", "response")
        ),
    ],
    ids=[
        "off",
        "header_rules",
        "cache=off",
        "flow_detail",
        "proxyauth",
        "client_connected",
        "requestheaders",
        "request",
        "responseheaders",
        "response",
    ],
)
def test_left_to_the_slow_lane(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    pages = origin_with_pages(origin)
    proxy = mitmdump(*script(tmp_path, text), *arguments)
    connection = Connection(proxy.port)
    credentials = "Proxy-Authorization: Basic eDp5"
    for _ in range(4):
        connection.ask(
            f"GET {pages.url}/small HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n{credentials}\r\n\r\n".encode()
        )
    assert hits(proxy) == 0


def test_credentials_are_asked_for_though_it_was_learnt(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path
) -> None:
    """proxyauth set while the proxy runs: what was learnt before counts no more."""
    pages, policies = origin_with_pages(origin), tmp_path / "policies.yaml"
    rewrite(policies, "fast_lane: 'on'\n")
    proxy = mitmdump("--set", f"policy_file={policies}")
    connection = Connection(proxy.port)
    request = f"GET {pages.url}/small HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode()
    for _ in range(4):
        assert connection.ask(request).startswith(b"HTTP/1.1 200")
    wait_until(lambda: hits(proxy))
    rewrite(policies, "fast_lane: 'on'\nproxyauth: 'me:secret'\n")
    wait_until(lambda: Connection(proxy.port).ask(request).startswith(b"HTTP/1.1 407"), 20, "the new option")
    assert connection.ask(request).startswith(b"HTTP/1.1 407")


@pytest.mark.parametrize("fields", ["", "Connection: close\r\n"], ids=["kept open", "closed"])
def test_a_connection_for_each_request(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path, fields: str
) -> None:
    """What is answered whole by the fast lane needs no connection to the origin, and nothing of mitmproxy's."""
    pages = origin_with_pages(origin)
    proxy = mitmdump(*ALL, mode=f"reverse:{pages.url}")
    request = f"GET /small HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n".encode()

    def ask() -> bytes:
        connection = Connection(proxy.port)
        answer = connection.ask(request)
        if fields:
            assert connection.socket.recv(1) == b""
        connection.socket.close()
        return answer

    begun = time.monotonic()
    slow = [ask() for _ in range(3)][-1]
    wait_until(lambda: proxy.log().count("client disconnect") == 3)
    before = pages.connections, handed_over(proxy), hits(proxy)
    for _ in range(5):
        assert_same(ask(), slow, time.monotonic() - begun)
    wait_until(lambda: proxy.log().count("client disconnect") == 8)
    assert (pages.connections, handed_over(proxy)) == before[:2]
    assert hits(proxy) == before[2] + 5
    assert "kill" not in proxy.log()
    assert "rror" not in proxy.log()


def test_something_else_after_hits_on_a_new_connection(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path
) -> None:
    """The client goes on to mitmproxy; it is announced once, and its first answer needed no mitmproxy."""
    pages = origin_with_pages(origin)
    proxy = mitmdump(*ALL)
    small = f"GET {pages.url}/small HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode()
    teacher = Connection(proxy.port)
    for _ in range(3):
        teacher.ask(small)
    for following in ("miss", "tunnel", "nothing"):
        connection = Connection(proxy.port)
        assert connection.ask(small).endswith(b"\r\n\r\nx")
        if following == "miss":
            assert connection.ask(small.replace(b"/small", b"/private")).endswith(b"mine")
            assert connection.ask(small).endswith(b"\r\n\r\nx")
        elif following == "tunnel":
            connection.socket.sendall(f"CONNECT 127.0.0.1:{pages.port} HTTP/1.1\r\n\r\n".encode())
            assert connection.response(has_body=False).startswith(b"HTTP/1.1 200")
            assert connection.ask(b"GET /private HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"mine")
        connection.socket.close()
    wait_until(lambda: proxy.log().count("client disconnect") == 3)
    assert proxy.log().count("client connect") == 4
    assert "rror" not in proxy.log()
    assert "kill" not in proxy.log()


def test_an_origin_that_speaks_tls(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    """Such a proxy listens for datagrams, too."""
    pages = origin(server_tls)
    pages.route("/small", Answer(headers=[FRESH], body=b"x"))
    trusting = ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    proxy = mitmdump(*ALL, *trusting, mode=f"reverse:https://localhost:{pages.port}")
    request = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(3):
        assert Connection(proxy.port).ask(request).endswith(b"x")
    assert handed_over(proxy) == 0
    assert hits(proxy) == 1
    assert len(pages.requests) == 1


def taught(proxy: Mitmdump, request: bytes) -> None:
    teacher = Connection(proxy.port)
    while not hits(proxy):
        teacher.ask(request)


def test_a_thousand_at_once_on_a_new_connection(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    """More than is read at once: a request that is cut there goes on with what follows it, misses among it."""
    pages = origin_with_pages(origin)
    proxy = mitmdump(*ALL, mode=f"reverse:{pages.url}")
    small, miss, tagged = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in ("/small", "/private", "/tagged")
    )
    taught(proxy, small)
    taught(proxy, tagged)
    for first in (1, 1000, 2500):
        connection, asked = Connection(proxy.port), small * first + miss + tagged + small * 500 + miss
        threading.Thread(target=connection.socket.sendall, args=(asked,), daemon=True).start()
        expected = [b"x"] * first + [b"mine", HTML] + [b"x"] * 500 + [b"mine"]
        answers = [connection.response(has_body=True).partition(b"\r\n\r\n")[2] for _ in expected]
        assert answers == expected
    assert hits(proxy) > 2000


def test_who_is_refused_is_answered_nothing(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    """As block_global does, which does not block loopback."""
    pages, flag = origin_with_pages(origin), tmp_path / "refuse"
    refuse = f"""
import pathlib
from mitmproxy.addons import block
def refuse(self, client):
    if pathlib.Path({str(flag)!r}).exists():
        client.error = "no"
block.Block.client_connected = refuse
"""
    proxy = mitmdump(*script(tmp_path, refuse), *ALL, mode=f"reverse:{pages.url}")
    request = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
    taught(proxy, request)
    wait_until(lambda: Connection(proxy.port).ask(request) and hits(proxy) > 1)
    flag.touch()
    before, connection = hits(proxy), Connection(proxy.port)
    with pytest.raises((AssertionError, ConnectionError)):
        connection.ask(request)
    proxy.wait_log("client kill connection")
    assert hits(proxy) == before


def test_policies_that_are_loaded_again_know_of_no_hits(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path
) -> None:
    """A client whom the former ones have answered gets what the new ones say, by options that came later."""
    pages, policy, policies = origin_with_pages(origin), tmp_path / "mine.py", tmp_path / "policies.yaml"
    text = f"import sys\nsys.path.insert(0, {str(ADDONS)!r})\n" + (ADDONS / "policy.py").read_text()
    rewrite(policy, text)
    rewrite(policies, "fast_lane: 'on'\n")
    more = ("-s", str(policy), "--set", f"policy_file={policies}", "--set", f"cache=disk:{tmp_path / 'store'}")
    proxy = mitmdump(*more, mode=f"reverse:{pages.url}", script=None)
    request = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"
    taught(proxy, request)
    connection, before = Connection(proxy.port), hits(proxy)
    connection.ask(request)
    wait_until(lambda: hits(proxy) > before)
    rewrite(policy, text + "# edited\n")
    wait_until(lambda: proxy.log().count(f"Loading script {policy}") == 2)
    rewrite(policies, "fast_lane: 'on'\nheader_rules: //X-New/1\n")
    wait_until(lambda: b"\r\nX-New: 1\r\n" in connection.ask(request))


def test_hits_end_when_the_option_does(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    """Turned off while connections are open that were answered here."""
    pages, policies = origin_with_pages(origin), tmp_path / "policies.yaml"
    rewrite(policies, "fast_lane: 'on'\n")
    proxy = mitmdump("--set", f"policy_file={policies}")
    connection = Connection(proxy.port)
    request = f"GET {pages.url}/small HTTP/1.1\r\nHost: 127.0.0.1:{pages.port}\r\n\r\n".encode()
    for _ in range(4):
        connection.ask(request)
    wait_until(lambda: hits(proxy))
    rewrite(policies, "fast_lane: 'off'\n")

    def is_off() -> bool:
        before = hits(proxy)
        for _ in range(4):
            connection.ask(request)
        return hits(proxy) == before

    wait_until(is_off, 20, "the new option")
    assert connection.ask(request).endswith(b"\r\n\r\nx")


def test_proxies_that_share_a_disk_store(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    """What one has purged or fetched anew, the other does not answer with any more."""
    pages = origin()
    pages.route("/", lambda _: Answer(headers=[FRESH], body=b"version %d" % len(pages.requests)))
    more = (
        *ALL,
        "--set",
        f"cache=disk:{tmp_path / 'store'}",
        "--set",
        "cache_purge=a-secret-of-sixteen-or-more",
    )
    one, other = (mitmdump(*more, mode=f"reverse:{pages.url}") for _ in range(2))
    here, there = Connection(one.port), Connection(other.port)
    request = b"GET / HTTP/1.1\r\nHost: example.test\r\n%s\r\n"
    for version in (1, 2, 3):
        for connection, proxy in ((here, one), (there, other)):
            expected = b"version %d" % version
            wait_until(functools.partial(is_learned, connection, request % b"", expected, proxy, hits(proxy)), 30)
        if version == 1:
            purge = (request % b"Authorization: Bearer a-secret-of-sixteen-or-more\r\n").replace(b"GET", b"PURGE")
            assert b" 200 " in there.ask(purge).partition(b"\r\n")[0]
        else:
            there.ask(request % b"Cache-Control: no-cache\r\n")
            there.ask(request % b"")  # stored by now
    assert len(pages.requests) == 4


def is_learned(connection: Connection, request: bytes, expected: bytes, proxy: Mitmdump, before: int) -> bool:
    assert connection.ask(request).endswith(expected)
    return hits(proxy) > before
