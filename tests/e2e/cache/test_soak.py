"""Random requests and disconnections, an origin that changes, breaks off and fails: no wrong response.

The entity tag identifies every version of a page, so that each response can be judged by itself.
"""

import gzip
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import brotli
import pytest
import zstandard
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received

Start = Callable[..., Mitmdump]
Headers = dict[str, str]

SIZES = (0, 100, 5_000, 60_000, 1_500_000)
CACHE_CONTROL = ("max-age=1", "max-age=60", "no-cache", "max-age=0, stale-while-revalidate=5",
                 "max-age=0, stale-if-error=60", "no-store")  # fmt: skip
DECODERS: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
CLIENTS = 6


def content(path: str, version: int) -> bytes:
    """Return what a page is in a version."""
    size = SIZES[int(path[1:]) % len(SIZES)]
    return (f"{path} in version {version} ".encode() * (size // 10 + 1))[:size]


class Site:
    """Ten pages that change now and then; every eleventh answer or so fails in some way."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.versions: Counter[str] = Counter()

    def answer(self, request: Received) -> Answer:
        path, dice = request.target, self.chance.random()
        if dice < 0.04:
            self.versions[path] += 1
        version = self.versions[path]
        body, tag = content(path, version), f'"{version}"'
        fields = [("ETag", tag), ("Cache-Control", self.chance.choice(CACHE_CONTROL)), ("Content-Type", "text/plain")]
        if 0.04 < dice < 0.08:
            return Answer(503, [("Content-Type", "text/plain")], b"down" * 500)
        if 0.08 < dice < 0.12 and body:
            head = f"HTTP/1.1 200 OK\r\nETag: {tag}\r\nCache-Control: max-age=60\r\nContent-Length: {len(body)}\r\n\r\n"
            return Answer(raw=head.encode() + body[: len(body) // 2], close=True)
        if tag in (request.get("if-none-match") or ""):
            return Answer(304, fields)
        pieces = [body[at : at + 20_000] for at in range(0, len(body), 20_000)]
        whole = Answer(200, fields, pieces if dice > 0.8 else body)
        return self._part(request, fields, body, tag) or whole

    def _part(self, request: Received, fields: list[tuple[str, str]], body: bytes, tag: str) -> Answer | None:
        if "range" not in {name.lower() for name, _ in request.headers} or request.get("if-range") not in (None, tag):
            return None
        first, _, last = (request.get("range") or "").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(body)) + 1, len(body))
        if start >= stop:
            return Answer(416, [("Content-Range", f"bytes */{len(body)}")], b"")
        return Answer(206, [*fields, ("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")], body[start:stop])


@dataclass
class Client:
    """Asks for anything until the time is up, and notes what was wrong."""

    port: int
    chance: random.Random
    wrong: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def run(self, seconds: float) -> None:
        deadline, connection = time.monotonic() + seconds, self._connect()
        while time.monotonic() < deadline:
            try:
                stays = self._ask(connection)
            except (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionError):
                self.seen["broken off"] += 1
                stays = False
            except Exception as error:
                self.wrong.append(repr(error))
                stays = False
            if not stays:
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)

    def _ask(self, connection: http.client.HTTPConnection) -> bool:
        chance, path = self.chance, f"/{self.chance.randrange(10)}"
        method, headers = "HEAD" if chance.random() < 0.1 else "GET", self._headers()
        connection.request(method, path, headers=headers)
        if chance.random() < 0.05:
            return False
        response = connection.getresponse()
        if chance.random() < 0.05:
            response.read(1000)
            return False
        body, fields = response.read(), {name.lower(): value for name, value in response.getheaders()}
        self.seen[str(response.status)] += 1
        self.seen["hit"] += "; hit" in fields.get("cache-status", "")
        if complaint := judge(method, path, headers, response.status, fields, body):
            self.wrong.append(f"{complaint}: {method} {path} {headers} {response.status} {fields} {len(body)} bytes")
        return not response.will_close

    def _headers(self) -> Headers:
        chance, first = self.chance, self.chance.randrange(3000)
        choices = {
            "Accept-Encoding": (0.6, ("gzip", "br", "zstd", "gzip, br", "identity")),
            "Range": (0.25, (f"bytes={first}-", f"bytes={first}-{first + chance.randrange(3000)}")),
            "If-None-Match": (0.15, ('"0"', 'W/"1"', '"2"', 'W/"0~gzip"', 'W/"1~br"')),
            "Cache-Control": (0.05, ("no-cache", "only-if-cached", "max-stale")),
        }
        return {name: chance.choice(values) for name, (often, values) in choices.items() if chance.random() < often}


def judge(method: str, path: str, headers: Headers, status: int, fields: Headers, body: bytes) -> str:
    """Return what is wrong with a response; "" if nothing is."""
    if "cache-status" not in fields:
        return "no Cache-Status"
    if status in (416, 502, 503, 504):
        return ""
    tag, coding = fields["etag"], fields.get("content-encoding")
    version, _, coding_of_tag = tag.removeprefix("W/").strip('"').partition("~")
    page = content(path, int(version))
    if status == 304:
        return "" if tag.removeprefix("W/") in headers.get("If-None-Match", "") else "a 304 for another tag"
    if coding and (coding not in headers.get("Accept-Encoding", "") or not tag.startswith("W/")):
        return "a coding not asked for, or its tag is strong"
    if coding_of_tag != (coding or ""):
        return "a tag of another coding"
    if method == "HEAD":
        return "a body after HEAD" if body else ""
    if status == 206:
        first, _, last = fields["content-range"].removeprefix("bytes ").partition("/")[0].partition("-")
        return "" if body == page[int(first) : int(last) + 1] and not coding else "another part"
    return "" if DECODERS[coding](body) == page else "another body"


def soak(proxy: Mitmdump, seconds: float, seed: int) -> Counter[str]:
    """Let clients loose; gives what they saw."""
    clients = [Client(proxy.port, random.Random(seed + number)) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, args=(seconds,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [wrong for client in clients for wrong in client.wrong] == []
    assert "Traceback" not in proxy.log()
    return sum((client.seen for client in clients), Counter[str]())


@pytest.mark.parametrize(("kind", "lane"), [("memory", "on"), ("disk", "on")])
@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.deep)])
def test_no_wrong_answer(
    seconds: int, kind: str, lane: str, mitmdump: Start, origin: Callable[[], Origin], tmp_path: Path
) -> None:
    server, seed = origin(), time.time_ns()
    print(f"seed {seed}")
    server.route("/", Site(random.Random(seed)).answer)
    cache = "memory" if kind == "memory" else f"disk:{tmp_path / 'store'}"
    options = (f"cache={cache}", "cache_size=6m", f"fast_lane={lane}")
    proxy = mitmdump(*(part for option in options for part in ("--set", option)), mode=f"reverse:{server.url}")
    seen = soak(proxy, seconds, seed)
    while not has_met_all(seen, server) and seen.total() < 1000:  # a slow machine has hardly begun
        seen += soak(proxy, seconds, seed)
    assert has_met_all(seen, server), (seen, len(server.requests))


def has_met_all(seen: Counter[str], server: Origin) -> bool:
    """Return whether most answers were hits, and those of each kind of status among them."""
    return seen["hit"] > len(server.requests) > 0 and all(seen[status] for status in ("200", "206", "304", "416"))
