"""No answer that an origin gave to one request is given to another that the origin sees otherwise.

The origin answers with what it saw. What that is for a request is asked past the cache first (`no-store`), then
through it, again and again, so that every lane has its turn: the answers are the same.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import free_port

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

SEEN = ("host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "forwarded", "x-original-url",
        "x-http-method-override", "x-role", "x-says")  # fmt: skip
"""What the origin builds its pages from; but for a client's address, which is a fact of the connection."""
TIMES = 3
"""The first is stored, the second teaches the fast lane, the third comes from it."""


def echo(request: Received) -> Answer:
    target = re.sub("^https?://[^/]*", "", request.target)  # absolute form: the same URI as Host and path
    seen = [f"{request.method} {target}", *(f"{name}: {request.get(name)}" for name in SEEN)]
    body = re.sub(r"for=[^;,\n]*;?", "", "\n".join(seen))
    return Answer(headers=[("Cache-Control", "max-age=600"), ("Content-Type", "text/plain")], body=body.encode())


def ask(port: int, request: bytes, tls: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    """Send one request on a connection of its own that would go on, and give status and body of the answer."""
    with socket.create_connection(("127.0.0.1", port), 30) as plain:
        connection = tls.wrap_socket(plain, server_hostname="shop.example.test") if tls else plain
        connection.sendall(request)
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length: *(\d+)\r?$", head)
            if end and len(body) >= (int(length[1]) if length else 1 << 30):
                break
            if not (more := connection.recv(65536)):
                break
            data += more
        connection.close()
    return int(head.split(b" ")[1]) if head else 0, body


def assert_nothing_is_shared(port: int, requests: list[bytes], tls: ssl.SSLContext | None = None) -> None:
    """Ask for each past the cache, then all of them through it, round after round."""
    past = [request.replace(b"\r\n", b"\r\nCache-Control: no-store\r\n", 1) for request in requests]
    truths = [ask(port, request, tls) for request in past]
    for _ in range(TIMES):
        for request, truth in zip(requests, truths, strict=True):
            assert ask(port, request, tls) == truth, request
    assert any(status == 200 for status, _ in truths)


def get(path: str, *fields: str, line: str = "GET {} HTTP/1.1") -> bytes:
    return "\r\n".join([line.format(path), *fields, "", ""]).encode("latin-1")


def attacks(path: str) -> list[bytes]:
    """Return requests for one page, an honest one last."""
    shop = "Host: shop.test"
    return [
        get(path, "Host: evil.test"),
        get(path, "Host: shop.test:8081"),
        get(path, "Host: shop.test."),
        get(path, "Host: <script>"),
        get(path, "Host: shop.test/x"),
        get(path, "Host: shop.test", line="GET http://evil.test{} HTTP/1.1"),
        get(path, line="GET {} HTTP/1.0"),
        get(path, shop, line="get {} HTTP/1.1"),
        get(path, shop, "X-Forwarded-Host: evil.test"),
        get(path, shop, "X-Forwarded-Proto: ftp"),
        get(path, shop, "Forwarded: host=evil.test"),
        get(path, shop, "X-Original-URL: /evil"),
        get(path, shop, "X-HTTP-Method-Override: POST"),
        get(path + "#x", shop),
        get(path + "?x", shop),
        get(path + "?%23x", shop),
        get(path + "\xe9", shop),
        get(path, shop),
    ]


SETTINGS = [
    ("off", ()),
    ("on", ()),
    ("on", ("keep_host_header=true", "forwarded_headers=both")),
    ("on", ("forwarded_headers=x-forwarded", "forwarded_trust=127.0.0.1")),
    ("on", ("forwarded_headers=off", "header_rules=/~q & ~hq shop/X-Role/admin")),
]


@pytest.mark.parametrize(("lane", "options"), SETTINGS, ids=lambda value: " ".join(value) or "default")
def test_two_origins_behind_reverse_mode(
    lane: str, options: tuple[str, ...], mitmdump: Start, origin: Origins, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    origins, ports = [origin(), origin(server_tls)], [free_port(), free_port()]
    for server in origins:
        server.route("", echo)
    modes = [f"reverse:{server.url}@127.0.0.1:{port}" for server, port in zip(origins, ports, strict=True)]
    settings = [argument for option in options for argument in ("--set", option)]
    proxy = mitmdump(
        *("--mode", modes[1], "--set", f"fast_lane={lane}", "--set", f"ssl_verify_upstream_trusted_ca={ca_file}"),
        *settings,
        mode=modes[0],
    )
    assert_nothing_is_shared(ports[1], attacks("/page"))
    trusting = ssl.create_default_context(cafile=str(proxy.ca))
    trusting.check_hostname = False
    assert_nothing_is_shared(ports[0], attacks("/page"))
    assert_nothing_is_shared(ports[0], attacks("/page")[-1:], trusting)  # TLS for the client: another scheme
    assert "Traceback" not in proxy.log()


@pytest.mark.parametrize(("lane", "chained"), [("off", True), ("on", False), ("on", True)])
def test_through_a_forward_proxy(lane: str, chained: bool, mitmdump: Start, origin: Origins) -> None:
    server, other = origin(), origin()
    for each in (server, other):
        each.route("", echo)
    last = mitmdump(script=None) if chained else None
    mode = f"upstream:{last.url}" if last else None
    proxy = mitmdump("--set", f"fast_lane={lane}", mode=mode)
    mine, others = (f"127.0.0.1:{each.port}" for each in (server, other))
    line = f"GET http://{mine}{{}} HTTP/1.1"
    requests = [
        get("/page", f"Host: {others}", line=line),
        get("/page", "Host: evil.test", line=line),
        get("/page", line=line.replace("1.1", "1.0")),
        get("/page#x", f"Host: {mine}", line=line),
        get("", f"Host: {mine}", line=line),
        get("?x", f"Host: {mine}", line=line),
        get("/page", f"Host: {mine}", line=line.lower().replace("http/", "HTTP/")),
        get("/page", f"Host: {others}", line=line.replace(mine, others)),
        get("/page", f"Host: {mine}", line=line),
    ]
    assert_nothing_is_shared(proxy.port, requests)


def test_what_one_client_is_told_of_is_told_to_others_behind_it(mitmdump: Start, origin: Origins, curl: Any) -> None:
    """A page is still shared: by clients with other addresses, and by whatever asks for the same URI."""
    server = origin()
    server.route("/", echo)
    rule = "header_rules=/~q/X-Real-IP/{client_ip}"
    proxy = mitmdump("--set", rule, "--listen-host", "0.0.0.0", mode=f"reverse:{server.url}")
    for source in ("127.0.0.1", "127.0.0.2"):
        for host in ("shop.test", "SHOP.test", "shop.test:80"):
            result = curl("--interface", source, "-H", f"Host: {host}", f"{proxy.url}/page")
    assert "; hit" in result.get("cache-status")
    assert len(server.requests) == 1


PURGE = ("--set", "cache_purge=0123456789abcdef", "--set", "cache_rules=//ignore-query=utm_*, key-header=X-Tenant")
KEY = ("-H", "Authorization: Bearer 0123456789abcdef")


@pytest.mark.parametrize("options", [(), ("--set", "keep_host_header=true"), ("--set", "forwarded_headers=off")])
def test_purging_and_invalidating_by_the_url_that_a_user_knows(
    options: tuple[str, ...], mitmdump: Start, origin: Origins, curl: Any
) -> None:
    server = origin()
    server.route("/", lambda _: Answer(headers=[("Cache-Control", "max-age=600"), ("Vary", "Foo")], body=b"page"))
    told = "/page" if "keep_host_header=true" in options else f"{server.url}/page"  # as an origin knows itself
    server.route("/moved", Answer(303, headers=[("Location", told)]))
    proxy = mitmdump(*PURGE, *options, mode=f"reverse:{server.url}")

    def shop(*arguments: str, path: str = "/page") -> Any:
        return curl("-H", "Host: Shop.test", *arguments, f"{proxy.url}{path}")

    def fill() -> None:
        for value in "12":
            for fields in ((), ("-H", "X-Tenant: a")):
                shop("-H", f"Foo: {value}", *fields, path="/page?utm_source=x")

    fill()
    count = len(server.requests)
    assert count == 4
    assert shop("-X", "PURGE", *KEY, path="/page?utm_source=y").body == b"purged 4\n"
    fill()
    assert len(server.requests) == 2 * count
    for target, *more in (("/page",), ("/moved",), ("/page", "-H", "X-HTTP-Method-Override: DELETE")):
        shop("-X", "POST", "-d", "x", *more, path=target)
        before = len(server.requests)
        fill()
        assert len(server.requests) == before + 2, target  # the tenants' are others' (key-header)
    assert curl("-X", "PURGE", *KEY, "-H", "Host: other.test", f"{proxy.url}/page").body == b"purged 0\n"
