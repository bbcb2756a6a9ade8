"""A response that its origin has replaced is not sent again, even if the one in its place is not stored."""

import concurrent.futures
import http.client
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

Origins = Callable[..., Origin]

OLD = Answer(headers=[("Cache-Control", "max-age=600")], body=b"old")
STALE = "max-age=0, stale-while-revalidate=600, stale-if-error=600"
LIMIT = 8192
CUT_OFF = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 9\r\n\r\nnew"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    options = "--set", f"cache_max_object={LIMIT}"
    running = Mitmdump(options, confdir=tmp_path_factory.mktemp("confdir"), script="cache.py")
    yield running
    running.stop()


def new(control: str, status: int = 200, body: bytes | Iterable[bytes] = b"new", **fields: str) -> Answer:
    return Answer(status, [("Cache-Control", control), *fields.items()], body)


def request(proxy: Mitmdump, origin: Origin, path: str, method: str = "GET", **fields: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    try:
        connection.request(method, origin.url + path, headers=fields)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.IncompleteRead as error:
        return response.status, error.partial
    finally:
        connection.close()


def site_of(origin: Origins, *answers: Answer) -> Origin:
    """Return an origin with these answers, the last of them for all further requests."""
    site, left = origin(), list(answers)
    site.route("/", lambda _: left.pop(0) if len(left) > 1 else left[0])
    return site


@dataclass(frozen=True)
class Case:
    """What an origin sends in the place of OLD to a request that reloads the page."""

    id: str
    then: Answer
    is_replaced: bool = True


CASES = [
    Case("private", new("private")),
    Case("no-store", new("no-store")),
    Case("gone", Answer(404)),
    Case("moved", new("no-store", 302, Location="/elsewhere")),
    Case("too large", new("max-age=600", body=b"new" * LIMIT)),
    Case("turned out to be too large", new("max-age=600", body=[b"new", b"x" * LIMIT])),
    Case("another Vary", new("max-age=600", Vary="X")),
    Case("an error", Answer(500), is_replaced=False),
    Case("too many requests", Answer(429), is_replaced=False),
    Case("cut off", Answer(raw=CUT_OFF, close=True), is_replaced=False),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_reload_replaces(proxy: Mitmdump, origin: Origins, case: Case) -> None:
    site = site_of(origin, OLD, case.then)
    for fields in ({}, {}, {"Cache-Control": "no-cache", "X": "1"}):
        request(proxy, site, "/", **fields)
    expected = case.then.status if case.is_replaced else 200
    wait_until(lambda: (request(proxy, site, "/", X="2")[1] == b"old") is not case.is_replaced)
    assert request(proxy, site, "/", X="2")[0] == expected


@pytest.mark.parametrize(("method", "then"), [("HEAD", Answer(404)), ("GET", Answer(304, [("ETag", '"2"')], b""))])
def test_a_response_without_content_replaces(proxy: Mitmdump, origin: Origins, method: str, then: Answer) -> None:
    """A 304 says that the client's copy is the current one, and not what is stored."""
    site = site_of(origin, Answer(headers=[("Cache-Control", "max-age=600"), ("ETag", '"1"')], body=b"old"), then)
    request(proxy, site, "/")
    request(proxy, site, "/", method, **{"Cache-Control": "no-cache", "If-None-Match": '"2"'})
    wait_until(lambda: request(proxy, site, "/")[1] != b"old")


def test_nothing_older_comes_after_what_was_replaced(proxy: Mitmdump, origin: Origins) -> None:
    oldest = Answer(headers=[("Cache-Control", "max-age=600"), ("Vary", "X")], body=b"old")
    site = site_of(origin, oldest, new("max-age=600", body=b"old"), new("no-store"))
    for fields in ({"X": "1"}, {"X": "2"}, {"X": "1", "Cache-Control": "no-cache"}):
        request(proxy, site, "/", **fields)
    assert len(site.requests) == 3
    wait_until(lambda: request(proxy, site, "/", X="1")[1] == b"new")


def test_a_refresh_in_the_background_replaces(proxy: Mitmdump, origin: Origins) -> None:
    site = site_of(origin, Answer(headers=[("Cache-Control", STALE)], body=b"old"), new("private"))
    assert [request(proxy, site, "/")[1] for _ in range(2)] == [b"old", b"old"]
    wait_until(lambda: request(proxy, site, "/")[1] == b"new")


def test_nothing_replaced_is_sent_for_a_failing_origin(proxy: Mitmdump, origin: Origins) -> None:
    old = Answer(headers=[("Cache-Control", STALE), ("ETag", '"1"')], body=b"old")
    site = site_of(origin, old, new("private"), Answer(503))
    for _ in range(2):
        request(proxy, site, "/", **{"Cache-Control": "max-age=0"})
    assert request(proxy, site, "/")[0] == 503


def test_a_newer_part_replaces_the_whole_before_it(proxy: Mitmdump, origin: Origins) -> None:
    """The whole is stale, but would be found before the part, and be sent in place of an error."""
    whole = Answer(headers=[("Cache-Control", "max-age=0, stale-if-error=600"), ("ETag", '"1"')], body=b"old")
    part = new("max-age=600", 206, b"ne", **{"ETag": '"2"', "Content-Range": "bytes 0-1/3"})
    site = site_of(origin, whole, part, Answer(503))
    request(proxy, site, "/")
    assert request(proxy, site, "/", Range="bytes=0-1") == (206, b"ne")
    wait_until(lambda: request(proxy, site, "/", Range="bytes=0-1") == (206, b"ne"))
    assert request(proxy, site, "/")[0] == 503


def test_a_slow_body_does_not_replace_what_was_received_after_its_head(proxy: Mitmdump, origin: Origins) -> None:
    ends = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"old"
        ends.wait(100)

    site = site_of(origin, new("max-age=600", body=slow()), new("max-age=600"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(request, proxy, site, "/")
        wait_until(lambda: site.requests)
        assert request(proxy, site, "/", **{"Cache-Control": "no-cache"})[1] == b"new"
        ends.set()
        assert first.result(100) == (200, b"old")
    assert [request(proxy, site, "/")[1] for _ in range(2)] == [b"new", b"new"]
    assert len(site.requests) == 2
