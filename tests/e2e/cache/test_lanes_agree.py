"""Random requests for random pages: a hit is one that its origin allows, and each lane answers as the other does.

Two proxies, one with the fast lane and one without it, are asked the same. The origin says in each answer which request
it was made for, so that a hit can be judged by itself; everything is drawn from seeds that stay as they are.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import socket
from collections.abc import Callable
from typing import NamedTuple

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

CACHE_CONTROL = (
    *("max-age=60", "public, max-age=60", "s-maxage=60", "no-cache", "no-store", "private", "private=true, max-age=60"),
    *('private="x-a", max-age=60', 'no-cache="x-a", max-age=60', "max-age=0", "max-age=0, stale-if-error=60", ""),
    *("must-revalidate, max-age=60", "must-understand, no-store, max-age=60"),
)
"""But stale-while-revalidate: when what is behind an answer ends is chance."""
NEVER_SHARED = frozenset({"no-store", "private", "private=true, max-age=60", "no-cache"})
VARY = (None, None, "X-V", "X-V", "Cookie", "User-Agent", "*", "X-Forwarded-Host", "Origin", "Origin")
STATUS = (200,) * 20 + (404, 301, 410, 400, 429, 503, 500, 204, 203, 421)
FIELDS = (
    *(
        "Accept-Encoding: gzip",
        "Accept-Encoding: br, gzip",
        "Cookie: u=alice",
        "Cookie: u=bob",
        "X-V: 1",
        "X-V: 2",
        "X-V: 2",
    ),
    *("Authorization: Basic YQ==", "Range: bytes=0-4", "Range: bytes=2-", "Range: bytes=9999999-", "Range: bytes=-5"),
    *('If-Range: "a"', 'If-None-Match: "a"', 'If-None-Match: W/"a"', 'If-None-Match: "z"', "If-None-Match: *"),
    *("If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT", "If-Modified-Since: Mon, 01 Jan 2029 00:00:00 GMT"),
    *("Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=0", "Cache-Control: max-stale"),
    *(
        "Cache-Control: only-if-cached",
        "Cache-Control: min-fresh=5",
        "Pragma: no-cache",
        "Origin: http://a.test",
        "Origin: http://b.test",
    ),
    *("User-Agent: x", "X-Forwarded-Host: evil.test", "X_Forwarded_Host: evil.test", "Forwarded: host=evil.test"),
    *("Connection: cookie", "Connection: x-v", "Connection: close", "Connection: host", "Connection: cache-control"),
    *("X-HTTP-Method-Override: DELETE", "Upgrade: h2c", 'If-Match: "a"', "TE: trailers", "Content-Length: 0"),
)
HOSTS = ("shop.test",) * 6 + ("SHOP.test", "shop.test.", "evil.test", "shop.test:80")
SEEN = ("x-forwarded-host", "cookie", "x-v", "user-agent", "origin", "authorization")
NOT_COMPARED = frozenset({"date", "age", "via", "x-made-for", "content-length", "transfer-encoding"})
"""Times, and what depends on whether a body's length was known when its head went out."""


class Page(NamedTuple):
    control: str
    vary: str | None
    status: int
    tag: str | None
    sets_cookie: bool
    body: bytes
    is_chunked: bool


def page_of(path: str) -> Page:
    chance = random.Random(path)
    body = f"{path} 0123456789".encode() * 400
    return Page(
        chance.choice(CACHE_CONTROL),
        chance.choice(VARY),
        chance.choice(STATUS),
        chance.choice([None, '"a"', '"a"', 'W/"a"']),
        chance.random() < 0.25,
        body[: chance.choice([0, 10, 300, 3000])],
        chance.random() < 0.3,
    )


def answer(request: Received) -> Answer:
    """Answer as the page's own dice say; to a condition or a range as an origin would."""
    target = re.sub("^http://[^/]*", "", request.target)
    path = re.split("[?;%]", target)[0].rstrip("/")
    page = page_of(path)
    made_for = {"method": request.method, "target": target} | {name: request.get(name) for name in SEEN}
    fields = [("Content-Type", "text/plain"), ("X-A", "private"), ("X-Made-For", json.dumps(made_for))]
    said = {"Cache-Control": page.control, "Vary": page.vary, "ETag": page.tag}
    fields += [(name, value) for name, value in said.items() if value]
    fields += [("Set-Cookie", "sid=1")] if page.sets_cookie else []
    if page.status == 200 and page.tag and page.tag.removeprefix("W/") in (request.get("if-none-match") or ""):
        return Answer(304, fields, b"")
    body = b"" if page.status == 204 else page.body
    half = len(body) // 2
    return Answer(page.status, fields, [body[:half], body[half:]] if page.is_chunked and half else body)


class Result(NamedTuple):
    status: str
    fields: dict[str, str]
    body: bytes


def ask(port: int, request: bytes) -> Result:
    """Ask on a connection of its own, which the client ends first."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(request)
        data = b""
        while not _is_whole(data, request) and (more := connection.recv(65536)):
            data += more
    head, _, body = data.decode("latin-1").partition("\r\n\r\n")
    lines = [line.partition(":") for line in head.split("\r\n")]
    fields = {name.lower(): value.strip() for name, _, value in lines[1:]}
    octets = body.encode("latin-1")
    if "chunked" in fields.get("transfer-encoding", ""):
        octets = b"".join(re.findall(rb"(?s)[0-9a-f]+\r\n(.*?)\r\n(?=[0-9a-f]+\r\n)", octets))
    if fields.get("content-encoding") == "gzip" and octets and not lines[0][0].startswith("HTTP/1.1 206"):
        octets = gzip.decompress(octets)
    return Result(lines[0][0], fields, octets)


def _is_whole(data: bytes, request: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end or request.startswith(b"HEAD") or re.match(rb"HTTP/1.1 [23]04", head):
        return bool(end)
    length = re.search(rb"(?im)^content-length: *(\d+)\r?$", head + b"\r")
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def request_for(chance: random.Random, path: str) -> bytes:
    method = chance.choice(["GET"] * 9 + ["HEAD"])
    target = path + chance.choice([""] * 8 + ["?", "?a", ";a", "/", "%2f"])
    if chance.random() < 0.05:
        target = f"http://{chance.choice(['shop.test', 'evil.test'])}{target}"
    lines = [f"Host: {chance.choice(HOSTS)}", *chance.sample(FIELDS, chance.choice([0, 0, 1, 1, 2, 3]))]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode()


def why_wrong(request: bytes, result: Result) -> str:
    """Return why a response must not have come from the store; "" if it did not, or may."""
    if "; hit" not in result.fields.get("cache-status", ""):
        return ""
    line, *lines = request.decode().rstrip().split("\r\n")
    asked = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    target, host = line.split(" ")[1], asked["host"]
    if target.startswith("http://"):
        host, _, rest = target.removeprefix("http://").partition("/")
        target = f"/{rest}"
    page, made_for = page_of(re.split("[?;%]", target)[0].rstrip("/")), json.loads(result.fields["x-made-for"])
    removed = asked.get("connection", "").lower()
    sent = {name: None if name == removed else asked.get(name) for name in SEEN}
    checks = {
        "not to be shared": page.control in NEVER_SHARED or page.vary == "*" or page.status in (421, 429),
        "one client's fields": '"x-a"' in page.control and "x-a" in result.fields,
        "a cookie": "set-cookie" in result.fields and "public" not in page.control,
        "another target": made_for["target"] != target or made_for["method"] not in ("GET", "HEAD"),
        "another host": made_for["x-forwarded-host"].lower().removesuffix(":80") != host.lower().removesuffix(":80"),
        "another variant": page.vary in ("Cookie", "X-V", "User-Agent", "Origin")
        and made_for[page.vary.lower()] != sent[page.vary.lower()],
        "another's authorization": made_for["authorization"]
        and not re.search("public|must-revalidate|s-maxage", page.control),
    }
    return ", ".join(name for name, is_so in checks.items() if is_so)


def compared(result: Result) -> tuple[str, dict[str, str], bytes]:
    fields = {name: value for name, value in result.fields.items() if name not in NOT_COMPARED}
    fields["cache-status"] = re.sub(r"ttl=-?\d+", "ttl", fields.get("cache-status", ""))
    return result.status, fields, result.body


@pytest.mark.parametrize("pages", [40, pytest.param(2000, marks=pytest.mark.deep)])
def test_hits_are_allowed_and_the_same_in_every_lane(pages: int, mitmdump: Start, origin: Origins) -> None:
    server, chance, hits = origin(), random.Random(2), 0
    server.route("", answer)
    lanes = [mitmdump("--set", f"fast_lane={lane}", mode=f"reverse:{server.url}") for lane in ("on", "off")]
    for number in range(pages):
        path = f"/page{number}"
        requests = [request_for(chance, path) for _ in range(3)]
        post = b"POST %s HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 0\r\n\r\n" % path.encode()
        for request in [*requests, *[chance.choice(requests) for _ in range(6)], post, *requests * 2]:
            fast, slow = (ask(lane.port, request) for lane in lanes)
            assert compared(fast) == compared(slow), request
            assert why_wrong(request, fast) == "", (request, fast)
            hits += "; hit" in fast.fields.get("cache-status", "")
    assert hits > pages
    assert lanes[0].counts()["hits"] > pages
    assert not any("Traceback" in lane.log() for lane in lanes)
