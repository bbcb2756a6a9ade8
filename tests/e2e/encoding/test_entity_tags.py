"""Entity tags of compressed responses: what one process says another takes back, and stores know nothing of it."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received

Start = Callable[..., Mitmdump]
PAGE = b"<p>All work and no play makes a dull page.</p>\n" * 100
HTML = ("Content-Type", "text/html")
TAGS = [
    '"v1"',
    'W/"v1"',
    '""',
    '"a,b"',
    '"v1~gzip"',
    'W/"v1~gzip"',
    '"v1~w-br"',
    '"v1~identity"',
    'W/"v1~w-identity~zstd"',
    '"v1--gzip"',
]
"""An origin's own, among them some that look like ours."""
CODINGS = ("gzip", "br", "zstd", "deflate", "identity")


def strictly(request: Received) -> Answer:
    """Be an origin that knows its own tags, letter by letter, and no others."""
    tag = TAGS[int(request.target.rpartition("/")[2])]
    if request.method == "PUT":
        return Answer(204 if request.get("If-Match") == tag else 412, [], b"")
    if tag in (request.get("If-None-Match") or "").split(", "):
        return Answer(304, [("ETag", tag)], b"")
    return Answer(200, [HTML, ("ETag", tag)], PAGE)


def accepting(proxy: Mitmdump, coding: str) -> tuple[str, ...]:
    return ("-x", proxy.url, "-H", f"Accept-Encoding: {coding}")


@pytest.fixture
def two(mitmdump: Start) -> tuple[Mitmdump, Mitmdump]:
    """Two processes that share nothing, as before and after a restart, or side by side in a fleet."""
    codings = ("--set", "encode=zstd,br,gzip,deflate")
    return mitmdump(*codings), mitmdump(*codings)


def test_what_one_process_says_another_takes_back(
    two: tuple[Mitmdump, Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    (one, other), server = two, origin()
    server.route("/", strictly)
    for number, own in enumerate(TAGS):
        url, tags = f"{server.url}/{number}", set()
        for coding in CODINGS:
            got = curl(*accepting(one, coding), url)
            tags.add(tag := got.get("ETag"))
            assert got.get("Content-Encoding") == (coding if coding != "identity" else None)
            listed = curl(*accepting(other, coding), "-H", f'If-None-Match: "x", {tag}, W/"y"', url)
            assert (listed.status, listed.get("ETag")) == (304, tag), own
            assert curl(*accepting(other, coding), "-T", "-", "-H", f"If-Match: {tag}", url).status == 204, own
        assert len(tags) == len(CODINGS)


def test_a_tag_that_was_never_given_out_lets_no_change_through(
    two: tuple[Mitmdump, Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server = origin()
    server.route("/", strictly)
    for given in ('"v1~gzip"', '"v1~identity"', 'W/"v1~w-identity"'):
        assert curl("-x", two[0].url, "-T", "-", "-H", f"If-Match: {given}", f"{server.url}/0").status == 412
        assert server.requests[-1].get("If-Match") == given


def test_a_form_that_the_client_cannot_read_is_not_confirmed(
    two: tuple[Mitmdump, Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    """As a cache behind us asks that has a compressed form, for a client that takes none."""
    server = origin()
    server.route("/", strictly)
    tag = curl(*accepting(two[0], "gzip"), f"{server.url}/0").get("ETag")
    since = ("-H", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT")
    got = curl("-x", two[1].url, "-H", f"If-None-Match: {tag}", *since, f"{server.url}/0")
    assert (got.status, got.body, got.get("ETag")) == (200, PAGE, TAGS[0])
    assert server.requests[-1].get("If-Modified-Since") is None
    both = curl("-x", two[1].url, "-H", f"If-None-Match: {tag}, {TAGS[0]}", f"{server.url}/0")
    assert (both.status, both.get("ETag")) == (304, TAGS[0])


def test_a_part_does_not_continue_a_compressed_form(
    two: tuple[Mitmdump, Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    """Parts are of the plain form. A date is both forms' validator: it counts if the client reads no other form."""
    server, dated = origin(), "Thu, 01 Jan 2026 00:00:00 GMT"

    def ranged(request: Received) -> Answer:
        if request.get("Range") and request.get("If-Range") in (None, '"v1"', dated):
            return Answer(206, [HTML, ("ETag", '"v1"'), ("Content-Range", "bytes 0-9/4700")], PAGE[:10])
        return strictly(request)

    server.route("/", ranged)
    tag = curl(*accepting(two[0], "gzip"), f"{server.url}/0").get("ETag") or ""

    def resumed(condition: str, coding: str = "gzip") -> tuple[int, bytes]:
        got = curl(*accepting(two[1], coding), "-r", "0-9", "-H", condition, f"{server.url}/0")
        return got.status, gzip.decompress(got.body) if got.get("Content-Encoding") else got.body

    for compressed in (f"If-Range: {tag}", f"If-Range: {tag.removeprefix('W/')}", f"If-Match: {tag}"):
        assert resumed(compressed) == (200, PAGE), compressed
    for either in (f"If-Range: {dated}", f"If-Unmodified-Since: {dated}"):
        assert resumed(either) == (200, PAGE), either
        assert resumed(either, "identity") == (206, PAGE[:10]), either
    for plain in ('If-Range: "v1"', 'If-Match: "v1"', 'If-Match: "v1~gzip"', "X-Unconditional: yes"):
        assert resumed(plain) == (206, PAGE[:10]), plain


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        (["encode=off"], 206),
        (["encode=zstd,br"], 206),
        (["encode=off", "encode_rules=/~t html/gzip"], 200),
    ],
)
def test_a_date_is_of_the_plain_form_if_no_other_is_sent(
    settings: list[str], status: int, mitmdump: Start, origin: Callable[..., Origin], curl: Any
) -> None:
    server = origin()
    server.route("/", lambda got: Answer(206 if got.get("Range") else 200, [HTML], PAGE))
    proxy = mitmdump(*(part for spec in settings for part in ("--set", spec)))
    dated = ("-H", "If-Range: Thu, 01 Jan 2026 00:00:00 GMT")
    assert curl(*accepting(proxy, "gzip"), "-r", "0-", *dated, f"{server.url}/0").status == status


@pytest.mark.parametrize("lane", ["off", "on"])
def test_hits_and_stores(lane: str, mitmdump: Start, origin: Callable[..., Origin], curl: Any, tmp_path: Path) -> None:
    """A stored response has the origin's own tag, whichever client caused it to be stored or requests it."""
    server = origin()
    server.route("/", Answer(200, [HTML, ("ETag", '"v1"'), ("Cache-Control", "max-age=60")], PAGE))
    options = ("--set", f"fast_lane={lane}", "--set", f"cache=disk:{tmp_path / 'store'}")
    one, other, plain = mitmdump(*options), mitmdump(*options), mitmdump(*options, "--set", "encode=off")
    tag = curl(*accepting(one, "gzip"), f"{server.url}/").get("ETag")
    for _ in range(4):
        for proxy in (one, other):
            got = curl(*accepting(proxy, "gzip"), f"{server.url}/")
            assert (got.status, got.get("ETag"), gzip.decompress(got.body)) == (200, tag, PAGE)
            same = curl(*accepting(proxy, "gzip"), "-H", f"If-None-Match: {tag}", f"{server.url}/")
            assert (same.status, same.get("ETag")) == (304, tag)
        got = curl(*accepting(plain, "gzip"), f"{server.url}/")
        assert (got.get("ETag"), got.body) == ('"v1"', PAGE)
        same = curl(*accepting(plain, "gzip"), "-H", f"If-None-Match: {tag}", f"{server.url}/")
        assert (same.status, same.get("ETag")) == (304, tag)
    assert len(server.requests) == 1
