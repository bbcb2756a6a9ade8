"""Simultaneous requests, failing origins, shared stores, purges and poisoning, in a real mitmdump."""

import concurrent.futures
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cache_stores import REDIS, redis_server, redis_url
from tests.support.mitmdump import Mitmdump, environment
from tests.support.origin import Answer, Origin, Received, exchange_raw
from tests.support.waiting import free_port, wait_until

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

FRESH = [("Cache-Control", "max-age=60"), ("Content-Type", "text/plain")]
SECRET = "a-secret-of-some-length"


def status(result: Any) -> str:
    return str(result.get("cache-status") or "")


def crowd(curl: Any, count: int, *arguments: str) -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: curl(*arguments), range(count)))


def test_simultaneous_requests_are_collapsed(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy, gate = origin(), cache_proxy, threading.Event()

    def answer(_: Received) -> Answer:
        gate.wait(60)
        return Answer(headers=FRESH, body=b"one")

    server.route("/", answer)
    before = proxy.log().count("client connect")

    def open_the_gate() -> None:
        wait_until(lambda: proxy.log().count("client connect") >= before + 12, 60)
        time.sleep(1)
        gate.set()

    threading.Thread(target=open_the_gate).start()
    results = crowd(curl, 12, "-x", proxy.url, f"{server.url}/")
    assert {result.body for result in results} == {b"one"}
    assert len(server.requests) == 1
    said = sorted(re.sub(r"ttl=\d+", "ttl", status(result)) for result in results)
    assert said[0] == "proxy-policies; fwd=uri-miss; fwd-status=200; stored"
    late = "proxy-policies; hit; ttl"  # on a loaded machine
    assert {*said[1:]} - {late} == {"proxy-policies; fwd=uri-miss; ttl; collapsed"}


def test_a_response_that_is_not_storable_queues_no_followers(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy

    all_begun = threading.Barrier(8)

    def together() -> Any:
        yield b"first"
        all_begun.wait(60)  # no response ends before all have begun
        yield b"last"

    server.route("/", lambda _: Answer(headers=[("Cache-Control", "no-store")], body=together()))
    results = crowd(curl, 8, "-x", proxy.url, f"{server.url}/")
    assert {result.body for result in results} == {b"firstlast"}
    for result in results:  # those who came before it was known that there was nothing to wait for say so
        assert (
            re.sub("; collapsed=.0", "", status(result))
            == 'proxy-policies; fwd=uri-miss; fwd-status=200; detail="no-store"'
        )
    assert len(server.requests) == 8


def test_a_failed_leader_does_not_fail_its_followers_one_by_one(
    cache_proxy: Mitmdump, origin: Origins, curl: Any
) -> None:
    server, proxy = origin(), cache_proxy

    asking: list[int] = []
    most_at_once = 0

    def answer(_: Received) -> Answer:
        nonlocal most_at_once
        asking.append(1)
        most_at_once = max(most_at_once, len(asking))
        time.sleep(1)
        asking.pop()
        return Answer(raw=b"", close=True)

    server.route("/", answer)
    results = crowd(curl, 6, "-x", proxy.url, "-X", "GET", f"{server.url}/")
    assert {result.status for result in results} == {502}
    assert most_at_once > 1


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_clients_that_leave_one_by_one_cost_no_request_each(
    version: str, mitmdump: Start, origin: Origins, curl: Any, server_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    server, other, gate = origin(server_tls), origin(server_tls), threading.Event()
    proxy = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", script="cache.py")

    def answer(_: Received) -> Answer:
        gate.wait(60)
        return Answer(headers=FRESH, body=b"one")

    server.route("/", answer)
    flags = (version, "-x", proxy.url, "--cacert", str(proxy.ca))
    clients = [asking(tmp_path / str(number), *flags, f"{server.url}/") for number in range(6)]
    for _ in range(2):  # after which the proxy has read what they have sent
        assert curl(*flags, f"{other.url}/").status == 200
    for left, leaver in enumerate(clients[:4], proxy.log().count("client disconnect") + 1):
        leaver.kill()
        assert leaver.wait() == -signal.SIGKILL
        wait_until(lambda left=left: proxy.log().count("client disconnect") >= left)  # type: ignore[misc]
    gate.set()
    assert [client.wait(100) for client in clients] == [-signal.SIGKILL] * 4 + [0] * 2
    assert [(tmp_path / number).read_bytes() for number in "45"] == [b"one"] * 2
    assert len(server.requests) == 1  # the origin goes on with it for those who are left
    assert "hit" in status(curl(*flags, f"{server.url}/"))


def asking(body: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a curl, and return it once it has sent its request."""
    said = body.with_suffix(".said")
    command = ["curl", "-sv", "--noproxy", "", "-o", str(body), *arguments]
    with said.open("wb") as stderr:
        client = subprocess.Popen(command, stderr=stderr, env=environment())
    wait_until(lambda: "> GET /" in said.read_text(), 60, "a request to be sent")
    return client


def test_what_a_client_that_left_had_got_is_kept_and_continued(
    cache_proxy: Mitmdump, origin: Origins, curl: Any
) -> None:
    server, proxy = origin(), cache_proxy
    body, gate = os.urandom(3_000_000), threading.Event()
    headers = [*FRESH, ("ETag", '"v1"')]

    def slowly() -> Iterator[bytes]:
        yield body[:2_000_000]
        gate.wait(60)

    def answer(request: Received) -> Answer:
        wanted = re.fullmatch(r"bytes=(\d+)-", request.get("range") or "")
        if wanted is None:
            head = b'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: "v1"\r\nContent-Length: 3000000\r\n\r\n'
            return Answer(raw=itertools.chain([head], slowly()), close=True)
        start = int(wanted[1])
        return Answer(206, [*headers, ("Content-Range", f"bytes {start}-2999999/3000000")], body[start:])

    server.route("/", answer)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as client:
        client.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < 2_000_000:
            received += client.recv(1 << 20)
    gate.set()
    results = crowd(curl, 4, "-x", proxy.url, f"{server.url}/")
    assert {result.body for result in results} == {body}
    assert [request.get("range") for request in server.requests] == [None, "bytes=2000000-"]
    assert server.requests[1].get("if-range") == '"v1"'


@pytest.mark.parametrize(
    ("directives", "expected"),
    [("max-age=0, stale-if-error=60", 200), ("max-age=0, stale-if-error=60, must-revalidate", 502)],
)
@pytest.mark.parametrize("mode", ["regular", "reverse"])
def test_stale_while_the_origin_is_down(
    mode: str, directives: str, expected: int, mitmdump: Start, origin: Origins, curl: Any
) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", directives)], body=b"one", close=True))
    proxy = mitmdump(script="cache.py", mode=f"reverse:{server.url}" if mode == "reverse" else None)
    target = [f"{proxy.url}/"] if mode == "reverse" else ["-x", proxy.url, f"{server.url}/"]
    assert curl(*target).body == b"one"
    server.close()
    result = curl(*target)
    assert result.status == expected
    if expected == 200:
        assert result.body == b"one"
        assert "fwd=stale; ttl=" in status(result)


def test_an_origin_that_breaks_off_is_stood_in_for(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    good = Answer(headers=[("Cache-Control", "max-age=0, stale-if-error=60")], body=b"good")
    torn = Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True)
    server.route("/", lambda _: good if len(server.requests) == 1 else torn)
    for _ in range(2):
        result = curl("-x", proxy.url, f"{server.url}/")
        assert (result.status, result.body) == (200, b"good")


def test_purge_by_method(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server = origin()
    proxy = mitmdump("--set", f"cache_purge={SECRET}", script="cache.py")
    server.route("/", Answer(headers=[*FRESH, ("Vary", "Foo"), ("Cache-Tag", "news, all")], body=b"one"))

    def fill() -> None:
        for path in ("a", "b"):
            for value in "12":
                curl("-x", proxy.url, "-H", f"Foo: {value}", f"{server.url}/{path}")

    def purge(*arguments: str) -> Any:
        return curl("-x", proxy.url, "-X", "PURGE", *arguments)

    fill()
    assert purge(f"{server.url}/a").status == 401
    assert purge("-H", "Authorization: Bearer wrong", f"{server.url}/a").status == 401
    key = ("-H", f"Authorization: Bearer {SECRET}")
    assert purge(*key, f"{server.url}/a").body == b"purged 2\n"
    assert len(server.requests) == 4
    fill()
    assert len(server.requests) == 6
    assert purge(*key, "-H", "Cache-Tag: news", f"{server.url}/").body == b"purged 4\n"
    fill()
    assert purge(*key, "-H", "Soft-Purge: 1", f"{server.url}/a").body == b"purged 2\n"
    assert SECRET not in proxy.log()


def test_purge_is_the_origins_method_unless_asked_for(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    assert curl("-x", proxy.url, "-X", "PURGE", f"{server.url}/").status == 200
    assert server.requests[0].method == "PURGE"


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_entries_outlive_a_restart_on_disk_only(
    kind: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    server = origin()
    server.route("/", Answer(headers=FRESH, body=b"one"))
    cache = "memory" if kind == "memory" else f"disk:{tmp_path / 'store'}"
    for expected in ("stored", "hit" if kind == "disk" else "stored"):
        proxy = mitmdump("--set", f"cache={cache}", script="cache.py")
        assert expected in status(curl("-x", proxy.url, f"{server.url}/"))
        proxy.stop()


@pytest.mark.skipif(REDIS is None, reason="needs redis-server")
def test_redis_is_shared_and_may_go_away(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    server, port = origin(), free_port()
    server.route("/", Answer(headers=FRESH, body=b"one"))
    with redis_server(tmp_path, port):
        proxies = [mitmdump("--set", f"cache={redis_url(port)}", script="cache.py") for _ in range(2)]
        wait_until(lambda: "hit" in status(curl("-x", proxies[0].url, f"{server.url}/")), 15)
        result = curl("-x", proxies[1].url, f"{server.url}/")
        assert (result.body, "hit" in status(result)) == (b"one", True)
    for _ in range(3):
        result = curl("-x", proxies[1].url, f"{server.url}/")
        assert (result.status, result.body, "hit" in status(result)) == (200, b"one", False)
    assert proxies[1].log().count("treating every request as a miss") == 1
    with redis_server(tmp_path, port):
        wait_until(lambda: "hit" in status(curl("-x", proxies[1].url, f"{server.url}/")), 15)
    assert "Traceback" not in proxies[0].log() + proxies[1].log()


UNKEYED = ["X-Forwarded-Host: evil.test", "X-Original-URL: /evil", "X-Rewrite-URL: /evil", "X-Host: evil.test",
           "X-Forwarded-Scheme: ftp", "X-HTTP-Method-Override: POST", "Forwarded: host=evil.test"]  # fmt: skip


@pytest.mark.parametrize("field", UNKEYED)
def test_what_is_not_in_the_key_selects_no_answer(
    field: str, cache_proxy: Mitmdump, origin: Origins, curl: Any
) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", Answer(headers=FRESH, body=b"true"))
    server.route("/evil", Answer(headers=FRESH, body=b"evil"))
    curl("-x", proxy.url, f"{server.url}/")
    result = curl("-x", proxy.url, "-H", field, f"{server.url}/")
    assert (result.body, "hit" in status(result)) == (b"true", True)


def test_a_false_host_fills_no_other_entry(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    attacker, victim = origin(), origin()
    attacker.route("/", Answer(headers=FRESH, body=b"evil"))
    victim.route("/", Answer(headers=FRESH, body=b"true"))
    proxy = cache_proxy
    lie = f"GET {attacker.url}/ HTTP/1.1\r\nHost: 127.0.0.1:{victim.port}\r\nConnection: close\r\n\r\n"
    exchange_raw(proxy.port, lie.encode())
    assert curl("-x", proxy.url, f"{victim.url}/").body == b"true"


def test_a_get_with_a_body_is_neither_stored_nor_answered(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", lambda r: Answer(headers=FRESH, body=r.body or b"plain"))
    fat = ("-x", proxy.url, "-X", "GET", "-d", "param=evil", f"{server.url}/")
    curl(*fat)
    assert curl("-x", proxy.url, f"{server.url}/").body == b"plain"
    assert curl(*fat).body == b"param=evil"


def test_a_private_page_is_not_kept_whatever_it_is_called(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/account/x.css", Answer(headers=[("Cache-Control", "private, no-cache")], body=b"mine"))
    for _ in range(2):
        assert "hit" not in status(curl("-x", proxy.url, "-b", "session=1", f"{server.url}/account/x.css"))
    assert len(server.requests) == 2


RULES = [
    (("//ttl=60",), [], 1),
    (("/~d nowhere.test/ttl=60",), [], 2),
    (("//ttl=60", "//bypass"), [], 2),
    (("//force",), [("Cache-Control", "no-store, max-age=60")], 1),
]


@pytest.mark.parametrize(("rules", "headers", "requests"), RULES)
def test_cache_rules(
    rules: tuple[str, ...], headers: list[tuple[str, str]], requests: int, mitmdump: Start, origin: Origins, curl: Any
) -> None:
    server = origin()
    server.route("/", Answer(headers=headers, body=b"one"))
    options = [argument for rule in rules for argument in ("--set", f"cache_rules={rule}")]
    proxy = mitmdump(*options, script="cache.py")
    for _ in range(2):
        assert curl("-x", proxy.url, f"{server.url}/").body == b"one"
    assert len(server.requests) == requests


def test_rules_that_change_the_key(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server = origin()
    server.route("/", lambda r: Answer(headers=FRESH, body=(r.get("x-tenant") or "-").encode()))
    proxy = mitmdump("--set", "cache_rules=//ignore-query=utm_*, key-header=X-Tenant", script="cache.py")
    for tenant in "ab":
        for query in ("utm_source=1", "utm_source=2"):
            result = curl("-x", proxy.url, "-H", f"X-Tenant: {tenant}", f"{server.url}/?{query}")
            assert result.body == tenant.encode()
    assert len(server.requests) == 2


def test_tls_is_in_the_key(
    mitmdump: Start, origin: Origins, curl: Any, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    plain, secure = origin(), origin(server_tls)
    plain.route("/", Answer(headers=FRESH, body=b"plain"))
    secure.route("/", Answer(headers=FRESH, body=b"secure"))
    proxy = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", script="cache.py")
    for server, body in ((plain, b"plain"), (secure, b"secure")):
        assert curl("-x", proxy.url, "--cacert", str(proxy.ca), f"{server.url}/").body == body
