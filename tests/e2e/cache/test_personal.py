"""Personal responses are not shared: cookies, and fields of a 304 or a HEAD for a stored response."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]
Lines = list[tuple[str, str]]

STALE = [("Cache-Control", "max-age=0"), ("ETag", '"v1"'), ("Content-Type", "text/plain")]
COOKIE = ("Set-Cookie", "session=alice")
OLD = ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")

UPDATES: dict[str, tuple[Lines, bool]] = {
    "private": ([("Cache-Control", "private, max-age=60")], False),
    "no-store": ([("Cache-Control", "no-store, max-age=60")], False),
    "cookie": ([("Cache-Control", "max-age=60"), COOKIE], True),
    "two cookies": ([("Cache-Control", "max-age=60"), COOKIE, ("Set-Cookie", "b=alice")], True),
    "private cookie": ([("Cache-Control", 'public, max-age=60, private="set-cookie"'), COOKIE], True),
    "vary": ([("Cache-Control", "max-age=60"), ("Vary", "X-User")], False),
    "vary on everything": ([("Cache-Control", "max-age=60"), ("Vary", "*")], False),
    "coding": ([("Cache-Control", "max-age=60"), ("Content-Encoding", "gzip")], True),
    "length": ([("Cache-Control", "max-age=60"), ("Content-Length", "4")], True),
    "range": ([("Cache-Control", "max-age=60"), ("Content-Range", "bytes 0-1/4")], True),
}
"""What a 304 or a HEAD adds, and whether the next may have its answer from the store."""


def updating(lines: Lines) -> Callable[[Received], Answer]:
    def answer(request: Received) -> Answer:
        if request.get("if-none-match"):
            return Answer(304, headers=[("ETag", '"v1"'), *lines], body=b"")
        if request.method == "HEAD":
            return Answer(headers=[*STALE[1:], *lines], body=b"page")
        return Answer(headers=STALE, body=b"page")

    return answer


def told_of(result: Any) -> str:
    return repr(result.headers) + repr(result.body)


@pytest.mark.parametrize(("store", "lane"), [("memory", "on"), ("disk", "off")])
def test_what_an_update_says_is_heeded(
    store: str, lane: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    server = origin()
    cache = store if store == "memory" else f"disk:{tmp_path / 'store'}"
    proxy = mitmdump("--set", f"cache={cache}", "--set", f"fast_lane={lane}")

    def ask(user: str, path: str, *arguments: str) -> Any:
        return curl("-x", proxy.url, "-H", f"X-User: {user}", *arguments, f"{server.url}{path}")

    for number, (name, (lines, may_hit)) in enumerate(UPDATES.items()):
        for method, arguments in {"get": (), "head": ("-I",)}.items():
            path = f"/{number}/{method}"
            server.route(path, updating(lines))
            ask("alice", path)
            updated = ask("alice", path, *arguments)
            assert updated.status == 200, name
            assert method == "head" or updated.body == b"page", name
            assert [line for line in updated.headers if line[0] == "Set-Cookie"] == [
                line for line in lines if line[0] == "Set-Cookie"
            ], f"{name}: the client whose cookies these are"
            bob = ask("bob", path)
            assert (bob.status, bob.body, bob.get("content-encoding")) == (200, b"page", None), (name, method)
            assert "alice" not in told_of(bob), (name, method)
            if not may_hit:
                assert "; hit" not in bob.get("cache-status"), (name, method)
    assert "Traceback" not in proxy.log()


def profile(*lines: tuple[str, str]) -> Callable[[Received], Answer]:
    """Answer with the name of the user, but never to a condition."""

    def answer(request: Received) -> Answer:
        if request.get("x-fails"):
            return Answer(503)
        user = request.get("x-user") or ""
        added = [(name, value.replace("alice", user)) for name, value in lines]
        return Answer(headers=[("ETag", f'"{user}"'), *added], body=f"{user}'s profile".encode())

    return answer


def test_cookies_are_personal(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump()
    fresh, public = ("Cache-Control", "max-age=60"), ("Cache-Control", "public, max-age=60")

    def ask(user: str, path: str, *arguments: str) -> Any:
        return curl("-x", proxy.url, "-H", f"X-User: {user}", *arguments, f"{server.url}{path}")

    server.route("/fresh", profile(fresh, COOKIE))
    assert ask("alice", "/fresh").get("set-cookie") == "session=alice"
    bob = ask("bob", "/fresh")
    assert "hit" in bob.get("cache-status")  # the origin says so
    assert bob.get("set-cookie") is None

    server.route("/public", profile(public, COOKIE))
    assert [ask(user, "/public").get("set-cookie") for user in ("alice", "bob")] == ["session=alice"] * 2

    # No guess at what set a cookie or was asked for with one: not that it is fresh, not that it may be stale.
    server.route("/guess", profile(OLD, COOKIE))
    server.route("/asked", profile(OLD))
    server.route("/tag", profile(COOKIE))
    for path, cookies in (("/guess", ()), ("/asked", ("-b", "sid=1")), ("/tag", ("-b", "sid=1"))):
        ask("alice", path, *cookies)
        for fields in ((), ("-H", "X-Fails: 1")):
            for wish in ((), ("-H", "Cache-Control: max-stale"), ("-H", "Cache-Control: stale-if-error=9999")):
                assert "alice" not in told_of(ask("carol", path, *fields, *wish)), (path, fields, wish)
                ask("alice", path, *cookies)  # so that what is stored is hers again
    server.route("/none", profile(OLD))
    ask("alice", "/none")
    assert "hit" in ask("bob", "/none").get("cache-status")  # a heuristic for a response without personal fields


def test_a_rule_shares_cookies_and_strict_stores_none(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server = origin()
    server.route("/", profile(("Cache-Control", "max-age=60"), COOKIE))
    rules = ("--set", "cache_strict=on", "--set", "cache_rules=/~u shared/share-cookies")
    proxy = mitmdump(*rules)
    for path, expected in (("/shared", "session=alice"), ("/own", "session=bob")):
        for user in ("alice", "bob"):
            result = curl("-x", proxy.url, "-H", f"X-User: {user}", f"{server.url}{path}")
        assert result.get("set-cookie") == expected


def test_one_clients_error_is_not_shared(mitmdump: Start, origin: Origins, curl: Any) -> None:
    """An error that one client's request brings about: with 120 fields, say, or too often (RFC 6585)."""
    server = origin()

    def answer(request: Received) -> Answer:
        status = int(request.get("x-status") or 200)
        lines = [("Cache-Control", "public, max-age=60")] if "said" in request.target else []
        return Answer(status, headers=lines, body=b"%d" % status)

    server.route("/", answer)
    rules = ("--set", "cache_rules=//ttl=60", "--set", "cache_rules=/~u short/ttl=5, status=404 5xx")
    proxy = mitmdump(*rules)

    def shared(path: str, status: int) -> bool:
        url = f"{server.url}{path}/{status}"
        assert curl("-x", proxy.url, "-H", f"X-Status: {status}", url).status == status
        return bool(curl("-x", proxy.url, url).status == status)

    by_rule = {status for status in (301, 400, 404, 410, 414, 429, 431, 500, 501) if shared("/a", status)}
    assert by_rule == {301, 404, 410}
    assert {status for status in (301, 404, 410, 429, 500, 501, 511) if shared("/short", status)} == {
        301, 404, 410, 500, 501
    }  # fmt: skip
    said = (226, 404, 407, 408, 412, 417, 421, 425, 426, 428, 429, 431, 494, 500, 511)
    assert {status for status in said if shared("/said", status)} == {404, 500}


@pytest.mark.parametrize("rule", ["//status=404", "//ttl=5, status=429", "//ttl=5, status=abc"])
def test_wrong_statuses_are_refused(rule: str, mitmdump: Start) -> None:
    proxy = mitmdump("--set", f"cache_rules={rule}", wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape("status="))
    assert "Traceback" not in proxy.log()


@pytest.mark.parametrize("lane", ["off", "on"])
def test_simultaneous_clients_each_get_their_own_page(lane: str, mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, proxy = origin(), mitmdump("--set", f"fast_lane={lane}")
    users = ["", *(f"user{number}" for number in range(6))]

    def page(*lines: tuple[str, str]) -> Callable[[Received], Answer]:
        def answer(request: Received) -> Answer:
            user = (request.get("cookie") or "").removeprefix("u=")
            time.sleep(0.5)
            return Answer(headers=[("ETag", f'"{user}"'), *lines], body=f"page of {user}".encode())

        return answer

    def ask(path: str, user: str) -> Any:
        cookie = ("-H", f"Cookie: u={user}") if user else ()
        return curl("-x", proxy.url, *cookie, f"{server.url}{path}")

    for number, lines in enumerate(([], [("Cache-Control", "max-age=0"), COOKIE], [("Cache-Control", "no-cache")])):
        path = f"/{number}"
        server.route(path, page(*lines))
        for _ in ("nothing is stored", "something is"):
            with ThreadPoolExecutor(len(users)) as pool:
                answers = list(pool.map(lambda user, path=path: ask(path, user), users))
            assert [answer.body for answer in answers] == [f"page of {user}".encode() for user in users], lines
