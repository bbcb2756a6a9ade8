"""Cache-Status (RFC 9211) on every answer that the cache had a part in.

Rightly without one: a 407 of proxyauth, a loop's 508, map_local and other addons' answers, which the cache was never
asked about; answers to CONNECT and a 101, behind which there is no more HTTP; interim responses; requests that are
refused before a hook sees them; `cache=off`.
"""

import os
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received, exchange_raw
from tests.support.waiting import free_port

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

SECRET = "a-secret-of-some-length"
FRESH = [("Cache-Control", "max-age=60"), ("ETag", '"v1"'), ("Content-Type", "text/plain")]
LARGE = os.urandom(2_500_000)


@dataclass(frozen=True)
class Case:
    """A request and what Cache-Status says of its answer, without our name; they are made one after the other."""

    arguments: str
    path: str
    status: int
    says: str


CASES = [
    Case("", "fresh", 200, "fwd=uri-miss; fwd-status=200; stored"),
    Case("", "fresh", 200, r"hit; ttl=\d+"),
    Case("-I", "fresh", 200, r"hit; ttl=\d+"),
    Case("-r 2-4", "fresh", 206, r"hit; ttl=\d+"),
    Case("-r 99-", "fresh", 416, r"hit; ttl=\d+"),
    Case('-H If-None-Match:"v1"', "fresh", 304, r"hit; ttl=\d+"),
    Case("-H Cache-Control:no-cache", "fresh", 200, r"fwd=request; fwd-status=304; ttl=\d+; stored"),
    Case("-H Cache-Control:no-store", "fresh", 200, 'fwd=request; fwd-status=200; detail="no-store"'),
    Case("-H Cache-Control:only-if-cached", "nowhere", 504, 'detail="only-if-cached"'),
    Case("-H Cache-Control:only-if-cached", "fresh", 200, r"hit; ttl=\d+"),
    Case("-H Foo:1", "varying", 200, "fwd=uri-miss; fwd-status=200; stored"),
    Case("-H Foo:2", "varying", 200, "fwd=vary-miss; fwd-status=200; stored"),
    Case(
        '-H If-None-Match:"v1"', "conditional", 304, 'fwd=uri-miss; fwd-status=304; detail="status 304 is not stored"'
    ),
    Case("-I", "head", 200, 'fwd=uri-miss; fwd-status=200; detail="HEAD is not stored"'),
    Case("-r 0-3", "part", 206, "fwd=uri-miss; fwd-status=206; stored"),
    Case("", "part", 200, "fwd=partial; fwd-status=206; stored"),
    Case("-r 99-", "beyond", 416, 'fwd=uri-miss; fwd-status=416; detail="status 416 is not stored"'),
    Case("", "large", 200, 'fwd=uri-miss; fwd-status=200; detail="stored if it ends within cache_max_object"'),
    Case("", "large", 200, r"hit; ttl=\d+"),
    Case("", "missing", 404, 'fwd=uri-miss; fwd-status=404; detail="neither freshness nor a validator"'),
    Case("-d a=b", "fresh", 200, 'fwd=method; fwd-status=200; detail="POST is not stored"'),
    Case("-X PUT -d a=b", "fresh", 200, 'fwd=method; fwd-status=200; detail="method"'),
    Case("-X OPTIONS", "fresh", 200, 'fwd=method; fwd-status=200; detail="method"'),
    Case("-X DELETE", "fresh", 200, 'fwd=method; fwd-status=200; detail="method"'),
    Case("-X GET -d a=b", "fresh", 200, 'fwd=request; fwd-status=200; detail="the request has a body"'),
    Case("", "bypassed", 200, 'fwd=bypass; fwd-status=200; detail="a cache rule says so"'),
    Case("-X PURGE", "fresh", 401, 'detail="PURGE without the secret"'),
    Case(f"-X PURGE --oauth2-bearer {SECRET}", "varying", 200, 'detail="purged 2"'),
    Case("", "revalidated", 200, "fwd=uri-miss; fwd-status=200; stored"),
    Case("", "revalidated", 200, r'hit; ttl=-?\d+; detail="stale-while-revalidate"'),
    Case("", "unstable", 200, "fwd=uri-miss; fwd-status=200; stored"),
    Case("", "unstable", 200, r'fwd=stale; fwd-status=503; ttl=-?\d+; detail="stale-if-error"'),
    Case("", "torn", 200, "fwd=uri-miss; fwd-status=200; stored"),
    Case("", "torn", 200, r'fwd=stale; ttl=-?\d+; detail="stale-if-error: the origin failed"'),
    Case("", "failing", 503, 'fwd=uri-miss; fwd-status=503; detail="neither freshness nor a validator"'),
    Case("", "broken", 502, 'fwd=uri-miss; detail="the origin failed"'),
    Case("-I", "malformed", 502, 'fwd=uri-miss; detail="the origin failed"'),
    Case("", "malformed", 502, 'fwd=uri-miss; detail="the origin failed"'),
]


def in_parts(request: Received) -> Answer:
    given = request.get("range")
    if given is None:
        return Answer(headers=FRESH, body=b"0123456789")
    start, _, stop = given.removeprefix("bytes=").partition("-")
    part = slice(int(start), int(stop or 9) + 1)
    return Answer(206, [*FRESH, ("Content-Range", f"bytes {start}-{stop or 9}/10")], b"0123456789"[part])


def route(server: Origin) -> None:
    seen: dict[str, int] = {}

    def once(path: str, cache_control: str, then: Answer) -> None:
        def answer(_: Received) -> Answer:
            seen[path] = seen.get(path, 0) + 1
            return Answer(headers=[("Cache-Control", cache_control)], body=b"good") if seen[path] == 1 else then

        server.route(path, answer)

    def fresh(request: Received) -> Answer:
        if request.get("if-none-match"):
            return Answer(304, FRESH)
        return Answer(headers=FRESH, body=b"one and all")

    server.route("/fresh", fresh)
    server.route("/conditional", fresh)
    server.route("/head", Answer(headers=FRESH))
    server.route("/bypassed", Answer(headers=FRESH))
    server.route("/varying", Answer(headers=[("Cache-Control", "max-age=60"), ("Vary", "Foo")]))
    server.route("/part", in_parts)
    server.route("/beyond", Answer(416, [("Content-Range", "bytes */10")]))
    server.route("/large", lambda _: Answer(headers=FRESH, body=iter([LARGE])))
    server.route("/missing", Answer(404))
    server.route("/failing", Answer(503))
    server.route("/broken", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True))
    server.route("/malformed", Answer(raw=b"nonsense\r\n\r\n", close=True))
    once("/revalidated", "max-age=0, stale-while-revalidate=60", Answer(500))
    once("/unstable", "max-age=0, stale-if-error=60", Answer(503))
    once("/torn", "max-age=0, stale-if-error=60", Answer(raw=b"", close=True))


@pytest.mark.parametrize("version", ["http", "https, HTTP/1.1", "https, HTTP/2"])
def test_every_answer_has_one(
    version: str, mitmdump: Start, origin: Origins, curl: Any, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    server = origin(None if version == "http" else server_tls)
    route(server)
    options = [
        f"cache_purge={SECRET}",
        "cache_rules=/~u bypassed/bypass",
        f"ssl_verify_upstream_trusted_ca={ca_file}",
        "connection_strategy=lazy",  # else a client gets the HTTP version of its origin
    ]
    proxy = mitmdump(*(part for option in options for part in ("--set", option)), script="cache.py")
    flags = ["--http2" if version.endswith("2") else "--http1.1", "-x", proxy.url, "--cacert", str(proxy.ca)]
    for case in CASES:
        result = curl(*flags, *case.arguments.split(), f"{server.url}/{case.path}")
        assert result.status == case.status, (case, result)
        says = result.get("cache-status") or "nothing"
        assert re.fullmatch(f"proxy-policies; {case.says}", says), (case, says)
        assert result.heads[-1].startswith("HTTP/2" if version.endswith("2") else "HTTP/1.1")
    assert "Traceback" not in proxy.log()


@pytest.mark.parametrize("mode", ["regular", "reverse"])
def test_a_dead_origin(mode: str, mitmdump: Start, curl: Any) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    proxy = mitmdump(mode=f"reverse:{dead}" if mode == "reverse" else None)
    target = [f"{proxy.url}/"] if mode == "reverse" else ["-x", proxy.url, f"{dead}/"]
    result = curl(*target)
    assert (result.status, result.get("cache-status")) == (
        502,
        'proxy-policies; fwd=uri-miss; detail="the origin failed"',
    )
    assert b"127.0.0.1" in result.body
    assert "<< 502" not in proxy.log()  # mitmdump still tells of the error


def test_a_silent_origin(mitmdump: Start, curl: Any) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        proxy = mitmdump("--set", "connect_timeout=500ms")
        result = curl("-x", proxy.url, f"http://127.0.0.1:{port}/")
        assert (result.status, "the origin failed" in (result.get("cache-status") or "")) == (502, True)
        for filler in fillers:
            filler.close()


def test_an_answer_before_the_upload_has_come(mitmdump: Start) -> None:
    proxy = mitmdump(script="cache.py")
    early = b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    address = ("127.0.0.1", proxy.port)
    with socket.create_server(("127.0.0.1", 0)) as impatient, socket.create_connection(address, timeout=100) as client:
        host = f"127.0.0.1:{impatient.getsockname()[1]}"
        head = f"PUT http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9000000\r\n\r\n"
        client.sendall(head.encode() + bytes(70_000))
        connection, _ = impatient.accept()
        connection.recv(1000)
        connection.sendall(early)
        answer = client.recv(10_000)
        connection.close()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"proxy-policies; fwd=method; fwd-status=413" in answer


def test_those_of_other_caches_stay(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", Answer(headers=[*FRESH, ("Cache-Status", "inner; hit")]))
    ours = [curl("-x", proxy.url, f"{server.url}/").get("cache-status") for _ in range(2)]
    assert ours[0] == "inner; hit, proxy-policies; fwd=uri-miss; fwd-status=200; stored"
    assert re.fullmatch(r"inner; hit, proxy-policies; hit; ttl=\d+", ours[1])


def test_none_where_the_cache_was_not_asked(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    server, local = origin(), tmp_path / "local.txt"
    local.write_text("local")
    proxy = mitmdump("--set", "proxyauth=a:b", "--map-local", f"|{server.url}/local|{local}")
    refused = curl("-x", proxy.url, f"{server.url}/")
    assert (refused.status, refused.get("cache-status")) == (407, None)
    mapped = curl("-x", proxy.url, "--proxy-user", "a:b", f"{server.url}/local")
    assert mapped.body == b"local"
    hello = exchange_raw(proxy.port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert b"cache-status" not in hello.lower()
