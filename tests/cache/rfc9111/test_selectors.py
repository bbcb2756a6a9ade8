"""Which stored responses a purge is about: by the URL that a user knows, however it is written."""

import pytest
from tests.support.cache_cases import fields

from proxy_policies.cache.rfc9111.invalidation import invalidated
from proxy_policies.cache.rfc9111.selectors import (
    MAX_REMEMBERED,
    Purges,
    Selector,
    parse_selector,
    selectors_of,
    tags_of,
)

REVERSE = "http://shop.test/a?x=1 at 10.0.0.1:9000 own=0123"
SECURE = "https://shop.test/a?x=1 at http://10.0.0.1:9000 x-tenant=t"
DIRECT = "http://[::1]:8080/a"
LYING = "http://shop.test/a via 10.0.0.9"

MEANT: list[tuple[str, set[str]]] = [
    ("http://shop.test/a?x=1", {REVERSE}),
    ("HTTP://Shop.TEST:80/a?x=1#y", {REVERSE}),
    ("https://shop.test:443/a?x=1", {SECURE}),
    ("http://10.0.0.1:9000/a?x=1", {REVERSE, SECURE}),
    ("http://shop.test/a", {LYING}),
    ("http://shop.test/A?x=1", set()),
    ("http://10.0.0.9/a", set()),
    ("http://[::1]:8080/a", {DIRECT}),
    ("http://[::1]:8080/*", {DIRECT}),
    ("http://10.0.0.1:9000/*", {REVERSE, SECURE}),
    ("*://SHOP.test/*", {REVERSE, SECURE, LYING}),
    ("http://shop.test:80/a*", {REVERSE, LYING}),
    ("*/a?x=*", {REVERSE, SECURE}),
    ("*", {REVERSE, SECURE, DIRECT, LYING}),
    ("*[ab]*", set()),
]


@pytest.mark.parametrize(("text", "meant"), MEANT)
def test_what_a_user_names(text: str, meant: set[str]) -> None:
    keys = (REVERSE, SECURE, DIRECT, LYING)
    found = [key for selector in selectors_of(text) for key in keys if selector.matches(key, ())]
    assert set(found) == meant
    assert len(found) == len(meant)  # none is counted twice


@pytest.mark.parametrize(
    "text", ["http://shop.test/é/1", "http://shop.test/é/*", "*/é/?", "*/\udcc3\udca9/*", "*\udca9*"]
)
def test_a_user_names_bytes_beyond_ascii_as_utf8(text: str) -> None:
    selectors = selectors_of(text)
    assert any(one.matches("http://shop.test/Ã©/1", ()) for one in selectors)
    assert all(one.value.encode() for one in selectors)  # as stores do


LOCATIONS: list[tuple[str, str, str | None]] = [
    ("relative", "b", "http://shop.test/b at 10.0.0.1:9000"),
    ("the client's URL", "HTTP://SHOP.test:80/b", "http://shop.test/b at 10.0.0.1:9000"),
    ("the origin's URL", "http://10.0.0.1:9000/b#c", "http://shop.test/b at 10.0.0.1:9000"),
    ("another origin", "http://evil.test/b", None),
    ("another scheme", "https://shop.test/b", None),
    ("another port", "http://shop.test:81/b", None),
    ("no URL", "http://[", None),
]


@pytest.mark.parametrize(("location", "key"), [case[1:] for case in LOCATIONS], ids=[case[0] for case in LOCATIONS])
@pytest.mark.parametrize("name", ["Location", "Content-Location"])
def test_what_an_unsafe_request_invalidates(name: str, location: str, key: str | None) -> None:
    asked = REVERSE.removesuffix(" own=0123")
    keys = invalidated("POST", REVERSE, 303, fields(f"{name}: {location}"))
    assert keys == ([asked, key] if key else [asked])
    assert invalidated("get", REVERSE, 200, fields()) == [asked]  # an unknown method
    assert invalidated("GET", REVERSE, 200, fields()) == []


SELECTORS = [("tag:x", "tag"), ("http://x.test/a", "url"), ("http://x.test/*", "glob"), ("*", "glob")]


@pytest.mark.parametrize(("text", "kind"), SELECTORS)
def test_parse_selector(text: str, kind: str) -> None:
    assert parse_selector(text).kind == kind


def test_a_url_with_an_asterisk_is_one_url() -> None:
    starred, other = "http://shop.test/a*?b=*", "http://shop.test/axx?b=1"
    meant = selectors_of(f"url:{starred}")
    assert {key for key in (starred, f"{starred} via x", other) if any(one.matches(key, ()) for one in meant)} == {
        starred,
        f"{starred} via x",
    }
    assert selectors_of(f"url:{other}") == selectors_of(other)
    with pytest.raises(ValueError, match="write"):
        parse_selector("url:*")


@pytest.mark.parametrize("text", ["", "tag:", "x.test/a", "ftp://x/"])
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_selector(text)


def test_tags() -> None:
    assert tags_of(fields("Cache-Tag: a, b", "Cache-Tag: c", "Surrogate-Key: d e")) == frozenset("abcde")


def test_purges_are_remembered_for_a_while_and_beyond_as_one_of_everything() -> None:
    purges = Purges()
    before = purges.count
    purges.record(Selector("key", "a"))
    first = purges.count
    assert purges.supersedes("a", (), before)
    assert not purges.supersedes("a", (), first)
    assert not purges.supersedes("b", (), before)
    for number in range(MAX_REMEMBERED):
        purges.record(Selector("key", str(number)))
    assert purges.supersedes("b", (), before)
    assert not purges.supersedes("b", (), first)


def test_a_purge_of_another_store_is_unknown() -> None:
    """As if everything were purged: a request was forwarded while another store was in use."""
    one, other = Purges(), Purges()
    assert one.supersedes("a", (), other.count)
    assert other.supersedes("a", (), one.count)
