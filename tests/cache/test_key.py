"""RFC 9111, sections 2 and 4.1: keys and Vary."""

import pytest

from proxy_policies.cache.key import Target, key_of, matches, selecting, url_of, vary_names, without_query
from tests.cache.cases import fields

KEYS: list[tuple[str, Target, str]] = [
    ("plain", Target("http", "a.test", 80, "/x?y=1"), "http://a.test/x?y=1"),
    ("case of scheme and host", Target("HTTP", "A.Test", 80, "/X"), "http://a.test/X"),
    ("trailing dot", Target("http", "a.test.", 80, "/"), "http://a.test/"),
    ("default port", Target("https", "a.test", 443, "/", "a.test:443"), "https://a.test/"),
    ("other port", Target("http", "a.test", 8080, "/", "A.test:8080"), "http://a.test:8080/"),
    ("IPv6", Target("http", "::1", 80, "/", "[::1]"), "http://[::1]/"),
    ("IPv6 and port", Target("http", "::1", 81, "/", "[::1]:81"), "http://[::1]:81/"),
    ("empty path", Target("http", "a.test", 80, ""), "http://a.test/"),
    ("asterisk", Target("http", "a.test", 80, "*"), "http://a.test/*"),
    ("fragment", Target("http", "a.test", 80, "/x#y"), "http://a.test/x"),
    ("space", Target("http", "a.test", 80, "/x via evil.test"), "http://a.test/x%20via%20evil.test"),
    ("Host names another", Target("http", "evil.test", 80, "/", "a.test"), "http://a.test/ via evil.test"),
    ("Host names another port", Target("http", "a.test", 80, "/", "a.test:81"), "http://a.test:81/ via a.test"),
    ("broken Host", Target("http", "a.test", 80, "/", "a:b:c"), "http://[a:b:c]/ via a.test"),
    ("empty port", Target("http", "a.test", 80, "/", "a.test:"), "http://a.test/"),
]


@pytest.mark.parametrize(("target", "expected"), [case[1:] for case in KEYS], ids=[case[0] for case in KEYS])
def test_key(target: Target, expected: str) -> None:
    assert key_of(target) == expected
    assert url_of(key_of(target)) == expected.partition(" ")[0]


QUERIES: list[tuple[str, tuple[str, ...], str]] = [
    ("http://a/?utm_source=x&b=1", ("utm_*",), "http://a/?b=1"),
    ("http://a/?utm_source=x", ("utm_*",), "http://a/"),
    ("http://a/?b=1&a=2", ("c",), "http://a/?b=1&a=2"),
    ("http://a/?x=1 via b", ("x",), "http://a/ via b"),
    ("http://a/", ("x",), "http://a/"),
]


@pytest.mark.parametrize(("key", "globs", "expected"), QUERIES)
def test_ignored_query_arguments(key: str, globs: tuple[str, ...], expected: str) -> None:
    assert without_query(key, globs) == expected


NAMES: list[tuple[tuple[str, ...], tuple[str, ...] | None]] = [
    ((), ()),
    (("Vary: Foo, BAR, foo",), ("foo", "bar")),
    (("Vary: Foo", "Vary: Bar"), ("foo", "bar")),
    (("Vary: *",), None),
    (("Vary: , *",), None),
    (("Vary:", "Vary: *"), None),
    (("Vary: Foo, *",), None),
]


@pytest.mark.parametrize(("lines", "expected"), NAMES)
def test_vary_names(lines: tuple[str, ...], expected: tuple[str, ...] | None) -> None:
    assert vary_names(fields(*lines)) == expected


SELECTED: list[tuple[str, str, tuple[str, ...], tuple[str, ...], bool]] = [
    ("equal", "foo", ("Foo: 1",), ("foo: 1",), True),
    ("other", "foo", ("Foo: 1",), ("Foo: 2",), False),
    ("absent then present", "foo", (), ("Foo: 1",), False),
    ("present then absent", "foo", ("Foo: 1",), (), False),
    ("empty is not absent", "foo", ("Foo:",), (), False),
    ("absent is not a dash", "foo", (), ("Foo: -",), False),
    ("both absent", "foo", (), (), True),
    ("lines joined", "foo", ("Foo: 1, 2",), ("Foo: 1", "Foo: 2"), True),
    ("white space", "foo", ("Foo: 1,2",), ("Foo:  1,  2 ",), True),
    ("unknown order matters", "foo", ("Foo: 1, 2",), ("Foo: 2, 1",), False),
    ("codings in any order", "accept-encoding", ("Accept-Encoding: gzip, br",), ("Accept-Encoding: BR,gzip",), True),
    ("codings weighed", "accept-encoding", ("Accept-Encoding: gzip, br",), ("Accept-Encoding: br, gzip;q=0.5",), False),
    ("x-gzip", "accept-encoding", ("Accept-Encoding: x-gzip",), ("Accept-Encoding: gzip",), True),
    ("languages in any order", "accept-language", ("Accept-Language: en, de",), ("Accept-Language: DE ,en",), True),
    ("its language", "accept-language", ("Accept-Language: en, de",), ("Accept-Language: fr;q=0.5, de",), True),
    ("not liked best", "accept-language", ("Accept-Language: en, de",), ("Accept-Language: de;q=0.5, fr",), False),
    ("as much liked as another", "accept-language", ("Accept-Language: x",), ("Accept-Language: de, fr",), False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"), [c[1:] for c in SELECTED], ids=[c[0] for c in SELECTED]
)
def test_selecting(name: str, first: tuple[str, ...], second: tuple[str, ...], expected: bool) -> None:
    response = fields(f"Vary: {name}", "Content-Language: de")
    assert matches(selecting((name,), fields(*first)), response, fields(*second)) is expected
