"""The cache in a real mitmdump: forward, reverse and inspected, over both of what it answers and what it keeps."""

import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

FRESH = [("Cache-Control", "max-age=60"), ("Content-Type", "text/plain")]


def status(result: Any) -> str:
    return str(result.get("cache-status") or "")


def test_a_fresh_answer_is_reused_in_forward_mode(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", Answer(headers=FRESH, body=b"one"))
    begun = time.time()
    first = curl("-x", proxy.url, f"{server.url}/")
    second = curl("-x", proxy.url, f"{server.url}/")
    assert (first.body, second.body) == (b"one", b"one")
    assert status(first) == "proxy-policies; fwd=uri-miss; fwd-status=200; stored"
    assert re.fullmatch(r"proxy-policies; hit; ttl=\d+", status(second))
    assert 0 <= int(second.get("age") or -1) <= time.time() - begun + 1
    assert first.get("age") is None
    assert len(server.requests) == 1
    assert "rror" not in proxy.log()


@pytest.mark.parametrize("mode", ["regular", "reverse"])
def test_a_fresh_answer_needs_no_upstream(mode: str, mitmdump: Start, origin: Origins, curl: Any) -> None:
    server = origin()
    server.route("/", Answer(headers=FRESH, body=b"one", close=True))
    if mode == "reverse":
        proxy = mitmdump("--set", "connection_strategy=lazy", script="cache.py", mode=f"reverse:{server.url}")
        target = [f"{proxy.url}/"]
    else:
        proxy = mitmdump(script="cache.py")
        target = ["-x", proxy.url, f"{server.url}/"]
    assert curl(*target).body == b"one"
    server.close()
    result = curl(*target)
    assert (result.status, result.body) == (200, b"one")
    assert server.connections == 1


def test_inside_inspected_https(
    mitmdump: Start, origin: Origins, curl: Any, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    server = origin(server_tls)
    server.route("/", Answer(headers=FRESH, body=b"secret"))
    proxy = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", script="cache.py")
    for expected in ("stored", "hit"):
        result = curl("-x", proxy.url, "--cacert", str(proxy.ca), f"{server.url}/")
        assert result.body == b"secret"
        assert expected in status(result)
    assert len(server.requests) == 1


def test_what_is_stale_is_validated_and_a_304_answered_from_the_store(
    cache_proxy: Mitmdump, origin: Origins, curl: Any
) -> None:
    server, proxy = origin(), cache_proxy

    def answer(request: Received) -> Answer:
        headers = [("ETag", '"v1"'), ("Cache-Control", "no-cache"), ("X-Seen", str(len(server.requests)))]
        if request.get("if-none-match") == '"v1"':
            return Answer(304, headers)
        return Answer(200, [*headers, ("Content-Type", "text/plain")], b"body of v1")

    server.route("/", answer)
    first = curl("-x", proxy.url, f"{server.url}/")
    second = curl("-x", proxy.url, f"{server.url}/")
    assert (first.status, second.status) == (200, 200)
    assert first.body == second.body == b"body of v1"
    assert (second.get("x-seen"), second.get("content-length")) == ("2", "10")
    assert "fwd=request; fwd-status=304" in status(second)
    third = curl("-x", proxy.url, "-H", 'If-None-Match: "v1"', f"{server.url}/")
    assert (third.status, third.body, third.get("etag")) == (304, b"", '"v1"')


@pytest.mark.parametrize(
    ("request_header", "expected"),
    [
        ('If-None-Match: W/"v1"', 304),
        ('If-None-Match: "v2"', 200),
        ("If-Modified-Since: Fri, 01 Jan 2021 00:00:00 GMT", 304),
    ],
)
def test_conditions_of_clients(
    request_header: str, expected: int, cache_proxy: Mitmdump, origin: Origins, curl: Any
) -> None:
    server, proxy = origin(), cache_proxy
    validators = [("ETag", '"v1"'), ("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT")]
    server.route("/", Answer(headers=[*FRESH, *validators], body=b"one"))
    curl("-x", proxy.url, f"{server.url}/")
    result = curl("-x", proxy.url, "-H", request_header, f"{server.url}/")
    assert (result.status, result.body) == (expected, b"one" if expected == 200 else b"")
    assert "hit" in status(result)
    assert len(server.requests) == 1


def test_head_is_answered_from_a_stored_get(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", Answer(headers=FRESH, body=b"one"))
    curl("-x", proxy.url, f"{server.url}/")
    result = curl("-x", proxy.url, "--head", f"{server.url}/")
    assert (result.status, result.get("content-length")) == (200, "3")
    assert "hit" in status(result)
    assert len(server.requests) == 1


def test_vary_keeps_variants_apart(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", lambda r: Answer(headers=[*FRESH, ("Vary", "Foo")], body=(r.get("foo") or "-").encode()))
    for value in ("1", "2", "1", "2"):
        assert curl("-x", proxy.url, "-H", f"Foo: {value}", f"{server.url}/").body == value.encode()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("Cache-Control", "no-store"), ("Cache-Control", "private, max-age=60"), ("Vary", "*"), ("X-None", "1")],
)
def test_what_is_not_stored(name: str, value: str, cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", Answer(headers=[(name, value)], body=b"one"))
    for _ in range(2):
        result = curl("-x", proxy.url, f"{server.url}/")
        assert "stored" not in status(result).split("; ")
    assert len(server.requests) == 2


def test_authorization_is_not_shared(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", Answer(headers=FRESH, body=b"mine"))
    curl("-x", proxy.url, "-u", "a:b", f"{server.url}/")
    curl("-x", proxy.url, f"{server.url}/")
    assert len(server.requests) == 2


def test_a_post_invalidates(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", lambda r: Answer(headers=FRESH if r.method == "GET" else [], body=b"x"))
    curl("-x", proxy.url, f"{server.url}/")
    curl("-x", proxy.url, "-d", "a=b", f"{server.url}/")
    curl("-x", proxy.url, f"{server.url}/")
    assert [request.method for request in server.requests] == ["GET", "POST", "GET"]


def test_only_if_cached(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", Answer(headers=FRESH, body=b"one"))
    asking = ("-x", proxy.url, "-H", "Cache-Control: only-if-cached", f"{server.url}/")
    assert curl(*asking).status == 504
    curl("-x", proxy.url, f"{server.url}/")
    assert curl(*asking).body == b"one"
    assert len(server.requests) == 1


def test_off(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump("--set", "cache=off", script="cache.py")
    server.route("/", Answer(headers=FRESH, body=b"one"))
    for _ in range(2):
        assert curl("-x", proxy.url, f"{server.url}/").get("cache-status") is None
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("cache=none", "cache='none'"),
        ("cache=redis://127.0.0.1:1/0?socket_timeout=soon", "socket_timeout"),
        ("cache=redis://127.0.0.1:1/0?tiemout=1", "redis-py has no parameter 'tiemout'"),
        ("cache_size=lots", "cache_size='lots'"),
        ("cache_rules=//tll=60", "did you mean 'ttl'"),
        ("cache_rules=//ttl=soon", "write a duration"),
        ("cache_rules=//bypass=1", "takes no value"),
    ],
)
def test_wrong_options_end_it_with_one_line(option: str, message: str, mitmdump: Start) -> None:
    proxy = mitmdump("--set", option, script="cache.py", wait=False)
    assert proxy.wait_exit() != 0
    proxy.wait_log(re.escape(message))
    assert "Traceback" not in proxy.log()


def test_map_local_is_not_stored_and_map_remote_not_under_the_wrong_url(
    mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    server, other = origin(), origin()
    server.route("/", Answer(headers=FRESH, body=b"true"))
    other.route("/", Answer(headers=FRESH, body=b"elsewhere"))
    local = tmp_path / "local.txt"
    local.write_text("local")
    proxy = mitmdump(
        "--map-local", f"|{server.url}/local|{local}", "--map-remote", f"|{server.url}/remote|{other.url}/",
        script="cache.py",
    )  # fmt: skip
    for path, body in (("remote", b"elsewhere"), ("local", b"local")):
        for _ in range(2):
            result = curl("-x", proxy.url, f"{server.url}/{path}")
            assert result.body == body
            assert "hit" not in status(result)
    assert len(other.requests) == 2


def test_server_replay_leaves_the_cache_idle(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    server, tape = origin(), tmp_path / "tape"
    server.route("/", Answer(headers=FRESH, body=b"one"))
    recording = mitmdump("-w", str(tape), script="cache.py")
    curl("-x", recording.url, f"{server.url}/")
    recording.stop()
    proxy = mitmdump("--server-replay", str(tape), "--set", "server_replay_reuse=true", script="cache.py")
    for _ in range(2):
        result = curl("-x", proxy.url, f"{server.url}/")
        assert result.body == b"one"
        assert "hit" not in status(result)


def in_versions(request: Received, version: int) -> Answer:
    """Answer as an origin does that knows of conditions and ranges."""
    tag, body = f'"v{version}"', b"version %03d" % version
    headers = [("Cache-Control", "max-age=0, stale-while-revalidate=6000"), ("ETag", tag)]
    if tag in (request.get("if-none-match") or ""):
        return Answer(304, headers=headers)
    if request.get("range"):
        return Answer(206, headers=[*headers, ("Content-Range", f"bytes 0-1/{len(body)}")], body=body[:2])
    return Answer(headers=headers, body=body)


ASKED = {
    "plain": (),
    "range": ("-r", "0-1"),
    "head": ("-I",),
    "conditional": ("-H", 'If-None-Match: "other"'),
    "not modified": ("-H", 'If-None-Match: "v1"'),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_stale_while_revalidate_answers_first_and_asks_behind(
    asked: tuple[str, ...], cache_proxy: Mitmdump, origin: Origins, curl: Any
) -> None:
    server, proxy = origin(), cache_proxy
    server.route("/", lambda request: in_versions(request, 2 if len(server.requests) > 1 else 1))
    assert curl("-x", proxy.url, f"{server.url}/").body == b"version 001"
    second = curl(*asked, "-x", proxy.url, f"{server.url}/")
    assert second.get("etag") == '"v1"'
    assert "hit" in status(second)
    assert "stale-while-revalidate" in status(second)
    wait_until(lambda: curl(*asked, "-x", proxy.url, f"{server.url}/").get("etag") == '"v2"', 20)
    assert curl("-x", proxy.url, f"{server.url}/").body == b"version 002"


def test_a_5xx_is_replaced_by_what_is_stale(cache_proxy: Mitmdump, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), cache_proxy
    answers = [
        Answer(
            headers=[("Cache-Control", "max-age=0, stale-if-error=60"), ("Content-Type", "text/plain")], body=b"good"
        ),
        Answer(503, body=b"broken" * 9),
    ]
    server.route("/", lambda _: answers[min(len(server.requests), 2) - 1])
    curl("-x", proxy.url, f"{server.url}/")
    result = curl("-x", proxy.url, f"{server.url}/")
    assert (result.status, result.body, result.get("content-length")) == (200, b"good", "4")
    assert "fwd-status=503" in status(result)


def test_a_hit_has_the_one_via_of_when_it_passed(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump("--set", "via_name=edge")
    server.route("/", Answer(headers=[("Cache-Control", "max-age=60"), ("Via", "1.0 inner")]))
    for _ in range(2):
        got = curl("-x", proxy.url, f"{server.url}/")
        assert got.get("Via") == "1.0 inner, 1.1 edge"
    assert len(server.requests) == 1
