"""Ranges, parts, large bodies and encoded forms, in a real mitmdump."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

FRESH = [("Cache-Control", "max-age=60"), ("ETag", '"v1"'), ("Content-Type", "application/octet-stream")]
DIGITS = b"0123456789"


def status(result: Any) -> str:
    return str(result.get("cache-status") or "")


def ranged(body: bytes) -> Callable[[Received], Answer]:
    """Make an origin that serves ranges of a body."""

    def answer(request: Received) -> Answer:
        wanted = request.get("range")
        if wanted is None or request.get("if-range") not in (None, '"v1"'):
            return Answer(headers=FRESH, body=body)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(body) - int(last)
        stop = int(last) + 1 if first and last else len(body)
        content_range = ("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        return Answer(206, [*FRESH, content_range], body[start:stop])

    return answer


RANGES = [
    ("2-4", 206, b"234", "bytes 2-4/10"),
    ("7-", 206, b"789", "bytes 7-9/10"),
    ("-3", 206, b"789", "bytes 7-9/10"),
    ("0-99", 206, DIGITS, "bytes 0-9/10"),
    ("10-", 416, b"", "bytes */10"),
    ("4-2", 200, DIGITS, None),
    ("0-1,3-4", 200, DIGITS, None),
]


def test_ranges_of_a_stored_whole(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", Answer(headers=FRESH, body=DIGITS))
    curl("-x", proxy.url, f"{server.url}/")
    for wanted, code, body, content_range in RANGES:
        result = curl("-x", proxy.url, "-H", f"Range: bytes={wanted}", f"{server.url}/")
        assert (result.status, result.body, result.get("content-range")) == (code, body, content_range), wanted
        assert result.get("content-length") == str(len(body))
    other = curl("-x", proxy.url, "-r", "2-4", "-H", 'If-Range: "other"', f"{server.url}/")
    assert (other.status, other.body) == (200, DIGITS)
    assert len(server.requests) == 1


def test_parts_are_stored_completed_and_joined(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", ranged(DIGITS))
    for wanted, code in (("0-3", 206), ("1-2", 206)):
        result = curl("-x", proxy.url, "-r", wanted, f"{server.url}/")
        first, last = map(int, wanted.split("-"))
        assert (result.status, result.body) == (code, DIGITS[first : last + 1])
    assert len(server.requests) == 1
    whole = curl("-x", proxy.url, f"{server.url}/")
    assert (whole.status, whole.body, whole.get("content-range")) == (200, DIGITS, None)
    assert server.requests[1].get("range") == "bytes=4-"
    assert server.requests[1].get("if-range") == '"v1"'
    assert "hit" in status(curl("-x", proxy.url, f"{server.url}/"))
    assert len(server.requests) == 2


def test_the_rest_of_what_cannot_be_joined_is_not_asked_for(mitmdump: Start, origin: Origins, curl: Any) -> None:
    """A weak tag, or a date alone, says of no two parts that they are of one whole (RFC 9111, section 3.4)."""
    server, proxy = origin(), mitmdump(script="cache.py")
    for number, validator in enumerate((("ETag", 'W/"v1"'), ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"))):
        fields = [("Cache-Control", "max-age=60"), validator]

        def answer(request: Received, fields: list[tuple[str, str]] = fields) -> Answer:
            if request.get("range") is None:
                return Answer(headers=fields, body=DIGITS)
            return Answer(206, [*fields, ("Content-Range", "bytes 0-1/10")], DIGITS[:2])

        server.route("/", answer)
        url, asked = f"{server.url}/{number}", len(server.requests)
        assert curl("-x", proxy.url, "-r", "0-1", url).status == 206
        for _ in range(2):
            whole = curl("-x", proxy.url, url)
            assert (whole.status, whole.body) == (200, DIGITS)
        assert [request.get("range") for request in server.requests[asked:]] == ["bytes=0-1", None]


def test_an_unrequested_part_is_passed_on_once_and_not_stored(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", Answer(206, [*FRESH, ("Content-Range", "bytes 0-1/10")], DIGITS[:2]))
    for asked in (1, 2, 3):
        got = curl("-x", proxy.url, f"{server.url}/")
        assert (got.status, got.body, len(server.requests)) == (206, DIGITS[:2], asked)
        assert "fwd=uri-miss" in status(got)


def test_parts_that_touch_become_one(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", ranged(DIGITS))
    for wanted in ("0-3", "7-9", "4-6"):
        curl("-x", proxy.url, "-r", wanted, f"{server.url}/")

    def is_hit() -> bool:
        result = curl("-x", proxy.url, "-r", "2-5", f"{server.url}/")
        assert result.body == DIGITS[2:6]
        return "hit" in status(result)

    wait_until(is_hit)


def test_a_version_that_changed_is_not_mixed(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", ranged(DIGITS))
    curl("-x", proxy.url, "-r", "0-3", f"{server.url}/")
    server.route("/", Answer(headers=[("ETag", '"v2"'), ("Cache-Control", "max-age=60")], body=b"something else"))
    for _ in range(2):
        assert curl("-x", proxy.url, f"{server.url}/").body == b"something else"


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_large_bodies_come_from_the_store_unchanged(
    kind: str, version: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path, server_tls: Any, ca_file: Path
) -> None:
    server, body = origin(server_tls), os.urandom(9_000_000)
    server.route("/", Answer(headers=FRESH, body=body))
    cache = "memory" if kind == "memory" else f"disk:{tmp_path / 'store'}"
    proxy = mitmdump("--set", f"cache={cache}", "--set", f"ssl_verify_upstream_trusted_ca={ca_file}", script="cache.py")
    for expected in ("stored", "hit"):
        result = curl(version, "-x", proxy.url, "--cacert", str(proxy.ca), f"{server.url}/")
        assert result.body == body
        assert expected in status(result)
    part = curl(version, "-x", proxy.url, "--cacert", str(proxy.ca), "-r", "100-4000099", f"{server.url}/")
    assert (part.status, part.body) == (206, body[100:4_000_100])
    assert len(server.requests) == 1
    assert "rror" not in proxy.log()


def test_a_large_hit_is_not_read_ahead_of_a_slow_client(
    mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    server, size = origin(), 60_000_000
    server.route("/", Answer(headers=FRESH, body=bytes(size)))
    proxy = mitmdump(
        "--set", f"cache=disk:{tmp_path / 'store'}", "--set", "cache_size=1g", "--set", "cache_max_object=500m",
        script="cache.py",
    )  # fmt: skip
    # At the speed of loopback a busy disk may not follow, and the body would not be stored.
    assert len(curl("-x", proxy.url, "--limit-rate", "40M", f"{server.url}/").body) == size
    before = proxy.resident()
    slow = []
    for _ in range(4):
        client = socket.create_connection(("127.0.0.1", proxy.port), timeout=100)
        client.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert client.recv(1000)
        slow.append(client)
    assert "hit" in status(curl("-x", proxy.url, "-r", "0-9", f"{server.url}/"))
    assert proxy.resident() - before < 64 * 1024 * 1024
    for client in slow:
        client.close()
    assert len(curl("-x", proxy.url, f"{server.url}/").body) == size
    assert len(server.requests) == 1


def test_a_client_that_leaves_early_leaves_no_torn_entry(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    body = os.urandom(6_000_000)
    server.route("/", Answer(headers=FRESH, body=body))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as client:
        client.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert client.recv(1000)
    for _ in range(2):
        assert curl("-x", proxy.url, f"{server.url}/").body == body


def test_an_origin_that_breaks_off_leaves_no_entry(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    torn = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 9\r\n\r\nhalf"
    server.route("/", lambda r: Answer(raw=torn, close=True) if len(server.requests) == 1 else Answer(body=b"all"))
    curl("-x", proxy.url, f"{server.url}/")
    assert curl("-x", proxy.url, f"{server.url}/").body == b"all"


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_large_body_is_validated_without_being_sent_again(
    kind: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    server, body = origin(), os.urandom(5_000_000)
    headers = [("ETag", '"v1"'), ("Cache-Control", "no-cache")]
    server.route("/", lambda r: Answer(304, headers) if r.get("if-none-match") else Answer(200, headers, body))
    cache = "memory" if kind == "memory" else f"disk:{tmp_path / 'store'}"
    proxy = mitmdump("--set", f"cache={cache}", script="cache.py")
    for code in ("200", "304", "304"):
        result = curl("-x", proxy.url, f"{server.url}/")
        assert (result.status, result.body) == (200, body)
        assert f"fwd-status={code}" in status(result)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_304_about_nothing_that_is_stored_is_asked_for_anew_whatever_its_size(
    encoding: str, mitmdump: Start, origin: Origins, curl: Any
) -> None:
    server, proxy = origin(), mitmdump()
    old, new = os.urandom(3_000_000), os.urandom(1_500_000).hex().encode()

    def answer(request: Received) -> Answer:
        if request.get("if-none-match"):
            return Answer(304, [("ETag", '"v2"')])
        body, tag = (old, '"v1"') if len(server.requests) == 1 else (new, '"v2"')
        return Answer(headers=[("ETag", tag), ("Cache-Control", "no-cache"), ("Content-Type", "text/plain")], body=body)

    server.route("/", answer)
    curl("-x", proxy.url, f"{server.url}/")
    result = curl("-x", proxy.url, "--compressed", "-H", f"Accept-Encoding: {encoding}", f"{server.url}/")
    assert (result.status, result.body == new, len(server.requests)) == (200, True, 3)
