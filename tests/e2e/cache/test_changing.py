"""A representation that changes between any two requests: no answer is made of two of them.

Each URL has an origin's habits of its own, and clients ask it for wholes, ranges, the rest and what has changed, with
`Random(url)` to say in which order. Every body says in every line which version it is of.
"""

import http.client
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import NamedTuple

from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received

Origins = Callable[..., Origin]

URLS, REQUESTS, LINES = 150, 9, 40
CHANGED = 1_700_000_000
"""When version 0 came to be, in epoch seconds; each of the others is a day younger."""


class Habits(NamedTuple):
    """How an origin deals with a URL."""

    tag: str
    control: str
    minds_if_range: bool
    has_ranges: bool
    breaks_off: float
    grows: bool


@dataclass
class Page:
    """A URL, and the version that it is at."""

    name: str
    version: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.name)
        pick = self.chance.choice
        self.habits = Habits(
            pick(["strong", "strong", "strong", "weak", "date", "none", "two"]),
            pick(["max-age=600", "max-age=600", "max-age=0", "no-cache"]),
            self.chance.random() < 0.7,
            self.chance.random() < 0.9,
            pick([0, 0, 0.3]),
            self.chance.random() < 0.5,
        )

    def body(self, version: int) -> bytes:
        """Return a version's bytes."""
        return b"".join(b"%s v%04d %03d\n" % (self.name.encode(), version, at) for at in range(self.lines(version)))

    def lines(self, version: int) -> int:
        """Return how many lines a version has."""
        return LINES + version * self.habits.grows

    def tags(self, version: int) -> list[str]:
        """Return the entity tags that a version is sent with."""
        strong = f'"{version}"'
        return {"strong": [strong], "weak": [f'W/"{version // 2}"'], "two": [strong, '"x"']}.get(self.habits.tag, [])

    def fields(self) -> list[tuple[str, str]]:
        """Return the fields of every answer."""
        dates = [formatdate(CHANGED + 86400 * self.version, usegmt=True)] * (self.habits.tag == "date")
        return [
            ("Content-Type", "text/plain"),
            ("Cache-Control", self.habits.control),
            *(("ETag", tag) for tag in self.tags(self.version)),
            *(("Last-Modified", date) for date in dates),
        ]

    def answer(self, request: Received) -> Answer:
        """Answer a request, once something may have changed."""
        self.version += self.chance.random() < 0.4
        fields, body = self.fields(), self.body(self.version)
        said = {name: value for name, value in fields if name in ("ETag", "Last-Modified")}
        if (said.get("ETag") or "-") in (request.get("if-none-match") or ""):
            return Answer(304, fields, b"")
        if not request.get("if-none-match") and request.get("if-modified-since") == said.get("Last-Modified", "-"):
            return Answer(304, fields, b"")
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.get("range") or "")
        is_same = request.get("if-range") in (None, *said.values()) or not self.habits.minds_if_range
        if asked and is_same and self.habits.has_ranges:
            first = int(asked[1]) if asked[1] else max(len(body) - int(asked[2]), 0)
            last = min(int(asked[2]), len(body) - 1) if asked[1] and asked[2] else len(body) - 1
            if first >= len(body):
                return Answer(416, [("Content-Range", f"bytes */{len(body)}")], b"")
            return Answer(
                206, [*fields, ("Content-Range", f"bytes {first}-{last}/{len(body)}")], body[first : last + 1]
            )
        if self.chance.random() < self.habits.breaks_off:
            lines = [*fields, ("Content-Length", str(len(body)))]
            head = [f"{name}: {value}" for name, value in lines]
            return Answer(raw="\r\n".join(["HTTP/1.1 200 OK", *head, "", ""]).encode() + body[:200], close=True)
        return Answer(200, fields, body)


class Client:
    """Asks for one URL again and again."""

    def __init__(self, proxy: Mitmdump, url: str, page: Page) -> None:
        self.proxy, self.url, self.page = proxy, url, page
        self.chance = random.Random(f"client of {url.rpartition('/')[2]}")
        self.known: str | None = None

    def asks(self) -> dict[str, str]:
        """Choose what to ask for."""
        end = len(self.page.body(self.page.version))
        one, other = sorted(self.chance.choices(range(0, end, 7), k=2))
        ranged = self.chance.choice([f"{one}-{other}", f"{one}-", f"-{one + 1}", f"0-{other}", f"{other}-"])
        fields = {"Range": f"bytes={ranged}"} if self.chance.random() < 0.6 else {}
        if self.known and fields and self.chance.random() < 0.4:
            fields["If-Range"] = self.known
        elif self.known and self.chance.random() < 0.3:
            fields["If-None-Match"] = self.known
        return fields | ({"Cache-Control": "no-cache"} if self.chance.random() < 0.1 else {})

    def ask(self) -> None:
        """Ask, and look at what comes."""
        connection, fields = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=100), self.asks()
        connection.request("GET", self.url, headers=fields)
        response = connection.getresponse()
        try:
            body = response.read()
        except http.client.IncompleteRead as error:
            self.assert_of_one(error.partial, 0, "")
        else:
            self.look_at(response, body, fields)
        finally:
            connection.close()

    def look_at(self, response: http.client.HTTPResponse, body: bytes, fields: dict[str, str]) -> None:
        """See to it that an answer is of one version, and the one that it says."""
        tag = response.getheader("ETag") or ""
        if response.status == 304:
            assert tag.removeprefix("W/") in (self.known or "")
            return
        if response.status == 416 or (response.status == 502 and self.page.habits.breaks_off):
            return
        assert response.status in (200, 206), (response.status, fields)
        where = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.getheader("Content-Range") or "bytes 0-0/0")
        assert where
        versions = self.assert_of_one(body, int(where[1]), tag)
        total = int(where[3]) if response.status == 206 else len(body)
        assert total in {len(self.page.body(version)) for version in versions}
        assert response.status == 200 or len(body) == int(where[2]) - int(where[1]) + 1
        if len(response.headers.get_all("ETag") or []) == 1:
            self.known = tag

    def assert_of_one(self, body: bytes, first: int, tag: str) -> list[int]:
        """Return the versions that a part is of, and has the tag of: there is one at least."""
        page = self.page
        found = [
            version
            for version in range(page.version + 1)
            if page.body(version)[first : first + len(body)] == body
            and (not tag or tag.startswith('"x"') or ", " in tag or tag in page.tags(version))
        ]
        assert found, (page.habits, first, tag, body)
        return found


def test_no_answer_is_made_of_two_versions(proxy: Mitmdump, origin: Origins) -> None:
    server = origin()
    pages = [Page(f"page{number:03}") for number in range(URLS)]
    for page in pages:
        server.route(f"/{page.name}", page.answer)
    clients = [Client(proxy, f"{server.url}/{page.name}", page) for page in pages]
    for _ in range(REQUESTS):
        for client in clients:
            client.ask()
    assert len(server.requests) < URLS * REQUESTS * 1.5
    assert "Traceback" not in proxy.log()
