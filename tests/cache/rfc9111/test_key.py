"""RFC 9111, sections 2 and 4.1: keys and Vary."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import fields

from proxy_policies.cache.rfc9111.key import (
    Target,
    key_of,
    matches,
    normal_url,
    normalise,
    origin_url_of,
    url_of,
    vary_key,
    vary_names,
    without_query,
)


def target(
    authority: bytes = b"a.test",
    path: bytes = b"/",
    *,
    scheme: str = "http",
    origin_scheme: str = "",
    host: str = "a.test",
    port: int = 80,
    sent: tuple[bytes, ...] | None = None,
    sni: str = "",
) -> Target:
    hosts = (authority,) if sent is None else sent
    return Target(scheme, authority, path, origin_scheme or scheme, host, port, hosts, sni)


ORIGIN: dict[str, Any] = {"host": "10.0.0.1", "port": 9000, "sent": (b"10.0.0.1:9000",)}
"""How reverse mode asks."""
KEYS: list[tuple[str, Target, str]] = [
    ("plain", target(path=b"/x?y=1"), "http://a.test/x?y=1"),
    ("case of scheme and host", target(b"A.Test", b"/X", scheme="HTTP", host="A.Test"), "http://a.test/X"),
    ("dot at the end", target(b"a.test.", host="a.test."), "http://a.test./"),
    ("default port", target(b"a.test:443", scheme="https", port=443), "https://a.test/"),
    ("another scheme's port", target(b"a.test:80", scheme="https", port=80), "https://a.test:80/"),
    ("other port", target(b"A.test:8080", port=8080), "http://a.test:8080/"),
    ("empty port", target(b"a.test:"), "http://a.test/"),
    ("IPv6", target(b"[::1]", host="::1"), "http://[::1]/"),
    ("IPv6 and port", target(b"[::1]:81", host="::1", port=81), "http://[::1]:81/"),
    ("no authority", target(b"", sent=(b"a.test",)), "http://a.test/"),
    ("no Host at all", target(b"", sent=()), "http://a.test/ via a.test host="),
    ("an empty Host", target(b"", sent=(b"",)), "http://a.test/ via a.test host=\u241b"),
    ("empty path", target(path=b""), "http://a.test/"),
    ("query alone", target(path=b"?x"), "http://a.test/?x"),
    ("asterisk", target(path=b"*"), "http://a.test/\u241b*"),
    ("fragment", target(path=b"/x#y"), "http://a.test/x#y"),
    ("space", target(path=b"/x via evil.test"), "http://a.test/x\u241b20via\u241b20evil.test"),
    ("Host names another", target(host="evil.test"), "http://a.test/ via evil.test"),
    ("Host names another port", target(b"a.test:81"), "http://a.test:81/ via a.test"),
    ("broken Host", target(b"a:b:c"), "http://a:b:c/ via a.test"),
    ("a path in Host", target(b"a.test/x", host="a.test"), "http://a.test\u241b2fx/ via a.test"),
    ("reverse", target(b"shop.test", **ORIGIN), "http://shop.test/ at 10.0.0.1:9000"),
    ("reverse, asked as the origin", target(b"10.0.0.1:9000", **ORIGIN), "http://10.0.0.1:9000/"),
    ("reverse, Host kept", target(b"shop.test", **{**ORIGIN, "sent": (b"shop.test",)}),
     "http://shop.test/ via 10.0.0.1:9000"),
    ("reverse, TLS for the client", target(b"shop.test", scheme="https", origin_scheme="http", **ORIGIN),
     "https://shop.test/ at http://10.0.0.1:9000"),
    ("absolute form beside Host", target(b"evil.test", **{**ORIGIN, "sent": (b"10.0.0.1:9000", b"evil.test")}),
     "http://evil.test/ via 10.0.0.1:9000 host=10.0.0.1:9000,evil.test"),
    ("TLS as it is named", target(scheme="https", port=443, sni="A.test"), "https://a.test/"),
    ("TLS to another name", target(scheme="https", port=443, sni="evil.test"), "https://a.test/ sni=evil.test"),
    ("TLS to another name, IPv6", target(b"[::1]:81", scheme="https", host="::1", port=81, sni="::1"),
     "https://[::1]:81/"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), [case[1:] for case in KEYS], ids=[case[0] for case in KEYS])
def test_key(asked: Target, expected: str) -> None:
    assert key_of(asked) == expected
    assert url_of(key_of(asked)) == expected.partition(" ")[0]


authorities = st.one_of(
    st.sampled_from([b"a", b"A", b"a:80", b"a:080", b"a:8080", b"a.", b"a/", b"a b", b"a,b", b"a%2f", b"\xe9", b""]),
    st.binary(max_size=8),
)
paths = st.one_of(
    st.sampled_from([b"/", b"", b"*", b"/*", b"/a b", b"/a%20b", b"/a#b", b"?a", b"/ via a", b"/\xe9", "/é".encode()]),
    st.binary(max_size=8),
)
targets = st.builds(
    Target,
    st.sampled_from(["http", "https"]),
    authorities,
    paths,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["a", "b", "::1"]),
    st.sampled_from([80, 443, 8080]),
    st.lists(authorities, max_size=2).map(tuple),
    st.sampled_from(["", "a", "b"]),
)


def equivalent(asked: Target) -> Any:
    """Write a target so that those equal which RFC 9110, section 4.2.3, calls equivalent."""

    def authority(scheme: str, raw: bytes) -> bytes:
        default = b":80" if scheme == "http" else b":443"
        plain = re.fullmatch(rb"([0-9A-Za-z.%-]+)(:[0-9]*)?", raw)
        return plain[1].lower() + (b"" if plain[2] in (None, b":", default) else plain[2]) if plain else raw

    dialled = f"[{asked.host}]" if ":" in asked.host else asked.host
    origin = authority(asked.origin_scheme, f"{dialled}:{asked.port}".encode())
    named = authority(asked.scheme, asked.authority) if asked.authority else origin
    path = asked.path if asked.path[:1] not in (b"", b"?") else b"/" + asked.path
    sent = tuple(dict.fromkeys(authority(asked.origin_scheme, raw) for raw in asked.sent))
    sni = asked.sni if asked.sni not in {named.partition(b":")[0].decode("latin-1"), asked.host} else ""
    return asked.scheme, named, path, asked.origin_scheme, asked.host, asked.port, sent, sni


@given(targets, targets)
def test_two_targets_share_a_key_only_if_they_are_equivalent(one: Target, other: Target) -> None:
    assert (key_of(one) == key_of(other)) is (equivalent(one) == equivalent(other))


@given(targets, st.data())
def test_a_change_of_one_part_changes_the_key(one: Target, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(Target._fields))
    other = one._replace(**{part: getattr(data.draw(targets), part)})
    assert (key_of(one) == key_of(other)) is (equivalent(one) == equivalent(other))


def test_the_url_by_which_an_origin_is_asked() -> None:
    assert origin_url_of("http://shop.test/a at 10.0.0.1:9000") == "http://10.0.0.1:9000/a"
    assert origin_url_of("https://shop.test/a at http://10.0.0.1 own=x") == "http://10.0.0.1/a"
    for key in ("http://shop.test/a", "http://shop.test/a via 10.0.0.1"):
        assert origin_url_of(key) == "http://shop.test/a"


URLS: list[tuple[str, str | None]] = [
    ("HTTP://A.test:80", "http://a.test/"),
    ("http://a.test?x=1", "http://a.test/?x=1"),
    ("https://a.test:80/X#y", "https://a.test:80/X"),
    ("http://[::1]:80/é", "http://[::1]/Ã©"),
    ("ftp://a.test/", None),
    ("a.test/", None),
]


@pytest.mark.parametrize(("url", "expected"), URLS)
def test_a_url_is_written_as_keys_have_it(url: str, expected: str | None) -> None:
    assert normal_url(url) == expected


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


@pytest.mark.parametrize("divider", [";", "?", "#", "%26", "%3b", "%3B", "%3f", "%23"])
def test_no_query_argument_hides_another(divider: str) -> None:
    key = f"http://a.test/?id=1&utm_source=x{divider}id=2"
    assert without_query(key, ["utm_*"]) == key


NAMES: list[tuple[tuple[str, ...], tuple[str, ...] | None]] = [
    ((), ()),
    (("Vary: Foo, BAR, foo",), ("foo", "bar")),
    (("Vary: Foo", "Vary: Bar"), ("foo", "bar")),
    (("Vary: *",), None),
    (("Vary: , *",), None),
    (("Vary:", "Vary: *"), None),
    (("Vary: Foo, *",), None),
    (("Vary: Foo; Bar",), None),
    (("Vary: Foo Bar, Baz",), None),
    (('Vary: "Foo"',), None),
    (("Vary: Foo", "Vary: B\xe4r"), None),
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
    ("a comma at the end", "origin", ("Origin: https://shop.test,",), ("Origin: https://shop.test",), False),
    ("a comma at the start", "foo", ("Foo: ,1",), ("Foo: 1",), False),
    ("two commas", "foo", ("Foo: 1,,2",), ("Foo: 1, 2",), False),
    ("a comma alone", "foo", ("Foo: ,",), ("Foo:",), False),
    ("quoted blanks", "foo", ('Foo: "1, 2"',), ('Foo: "1,2"',), False),
    ("a parameter that is none", "accept-language", ("Accept-Language: en;x=<b>",), ("Accept-Language: en",), False),
    ("a weight that is none", "accept-language", ("Accept-Language: en;q=<b>",), ("Accept-Language: en;q=0",), False),
    ("as keys have it", "accept-language", ("Accept-Language: en;1",), ("Accept-Language: en",), False),
    ("a coding twice", "accept-encoding", ("Accept-Encoding: br, br;q=0",), ("Accept-Encoding: br",), False),
    ("a coding's parameter", "accept-encoding", ("Accept-Encoding: gzip;x=1",), ("Accept-Encoding: gzip",), False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "first", "second", "expected"), [c[1:] for c in SELECTED], ids=[c[0] for c in SELECTED]
)
def test_selecting(name: str, first: tuple[str, ...], second: tuple[str, ...], expected: bool) -> None:
    response = fields(f"Vary: {name}", "Content-Language: de")
    assert matches(vary_key((name,), fields(*first)), response, fields(*second)) is expected


@pytest.mark.parametrize("name", ["Cookie", "User-Agent", "Authorization", "Referer", "Origin"])
def test_a_blank_in_what_is_no_list_is_part_of_it(name: str) -> None:
    values = [normalise(name.lower(), fields(f"{name}: {value}")) for value in ("a, b", "a,b", "a ,b")]
    assert len(set(values)) == 3
    lines, line = fields(f"{name}: a", f"{name}: b"), fields(f"{name}: a, b")
    assert normalise(name.lower(), lines) != normalise(name.lower(), line)
    assert len({normalise("x-list", fields(f"X-List: {value}")) for value in ("a, b", "a,b", "a ,b")}) == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize("inner", [" ", "\t", ", ", '" ', "a ", "\\", '"'])
def test_the_time_does_not_grow_with_the_square_of_a_value(inner: str) -> None:
    """60 KB of spaces in If-None-Match took two seconds."""
    assert normalise("if-none-match", fields(f"If-None-Match: a{inner * 400_000}a"))


@given(st.text(' \t,"\\ab', max_size=20))
def test_white_space_is_removed_at_once(value: str) -> None:
    once = normalise("x", fields(f"X: {value}"))[1:]
    assert normalise("x", fields(f"X: {once}"))[1:] == once
    assert [part for part in (once, value) if '"' not in part and re.search(r"[ \t],|,[ \t]", part)] in ([], [value])
