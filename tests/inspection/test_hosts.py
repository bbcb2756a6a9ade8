"""Globs over hosts, and what becomes of a connection."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_policies.inspection.hosts import (
    Action,
    PinnedHosts,
    Protocol,
    decide,
    detect_http,
    parse_glob,
    parse_hosts,
    suggest_globs,
)


@pytest.mark.parametrize(
    ("globs", "host", "port", "expected"),
    [
        (["*"], "anything", 1, True),
        (["*.example.test"], "a.example.test", 443, True),
        (["*.example.test"], "a.b.example.test", 443, True),
        (["*.example.test"], "example.test", 443, False),
        (["*.example.test"], "example.test.evil", 443, False),
        (["Example.Test"], "EXAMPLE.test.", 443, True),
        (["example.test:8443"], "example.test", 443, False),
        (["example.test:8443"], "example.test", 8443, True),
        (["example.test:84*"], "example.test", 8443, True),
        (["*:443"], "example.test", 443, True),
        (["*", "!pay.example.test"], "pay.example.test", 443, False),
        (["!pay.example.test", "*"], "pay.example.test", 443, False),
        (["!pay.example.test"], "other.example.test", 443, False),
        (["*", "!*:22"], "example.test", 22, False),
        (["[ab].example.test"], "b.example.test", 443, True),
        (["10.0.*"], "10.0.3.4", 443, True),
        (["::1"], "::1", 443, True),
        (["[::1]:443"], "::1", 443, True),
        (["[::1]:443"], "::1", 80, False),
        (["[2001:db8:*]"], "2001:db8::7", 80, True),
        (["bücher.example"], "xn--bcher-kva.example", 443, True),
        ([], "example.test", 443, False),
    ],
)
def test_listing(globs: list[str], host: str, port: int, expected: bool) -> None:
    assert parse_hosts(globs).matches(host, port) is expected


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (r".*\.example\.com", "*.example.com"),
        (r"^example\.com$", "example.com"),
        (r"example\.com:443$", "example.com:443"),
        (r"^(.+\.)?example\.com:443$", "*example.com:443"),
        (r"(a|b)\.example\.com", "a.example.com and b.example.com"),
        ("a.example.com|b.example.com", "a.example.com and b.example.com"),
        (".*", "*"),
        ("[ab.example.com", "ab.example.com"),
        ("https://example.com/path", "example.com"),
        ("example.com/path", "example.com"),
        (r"^\d+\.example\.com$", "write a glob such as"),
        ("a.com, b.com", "repeat the option"),
        ("", "write a glob such as"),
        ("!", "write a glob such as"),
        (":443", "write a glob such as"),
        ("example.com:https", "write a glob such as"),
        ("example.com:0", "no valid port"),
        ("example.com:65536", "no valid port"),
        ("example.com:", "no valid port"),
        ("ab].example.com", "write ab.example.com"),
        ("a]b[c.example.com", "write abc.example.com"),
        ("[::1", "write ::1"),
        ("[a.example.com|b.example.com", "write a glob such as"),
        (r"^https?://example\.com/", "write a glob such as"),
        (r"!^pay\.example\.com$", "write !pay.example.com"),
    ],
)
def test_what_is_no_glob_is_refused_with_the_one_meant(value: str, meant: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_glob(value)
    assert meant in str(refusal.value)


@given(st.text(max_size=40))
@example(".")
@example("!..:443")
def test_parsing_raises_only_value_errors(text: str) -> None:
    try:
        glob = parse_glob(text)
    except ValueError:
        return
    assert glob.host
    glob.matches("example.test", 443)
    suggest_globs(text)


@given(st.text("[]()|\\\\^$.*+?:!/- ,a1é", max_size=24))
def test_following_the_advice_of_an_error_is_accepted(text: str) -> None:
    try:
        glob = parse_glob(text)
    except ValueError as refusal:
        _, is_guess, guess = str(refusal).rpartition("; write ")
        for one in guess.split(" and ") if is_guess and not guess.startswith("a glob such as") else ():
            parse_glob(one)
    else:
        assert glob == parse_glob(f" {text} ")


@given(st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){0,3}", fullmatch=True), st.integers(1, 65535))
def test_a_plain_host_lists_itself_alone(host: str, port: int) -> None:
    hosts = parse_hosts([f"{host}:{port}"])
    assert hosts.matches(host.upper(), port)
    assert not hosts.matches(f"x{host}", port)
    assert not hosts.matches(host, port - 1)
    assert not parse_hosts(["*", f"!{host}"]).matches(host, port)


@dataclass(frozen=True)
class Case:
    id: str
    host: str
    seen: Protocol
    expected: Action
    sni: str | None = None
    globs: tuple[str, ...] = ("*.listed.test", "10.9.9.9")
    surprising: bool = False
    redirected: bool = False


ALL_BUT = ("*", "!pay.test", "!10.2.2.2")
CASES = [
    Case("name not listed", "other.test", Protocol.NOTHING, Action.UNTOUCHED),
    Case("nothing listed", "10.1.1.1", Protocol.NOTHING, Action.UNTOUCHED, globs=()),
    Case("name listed, silent", "a.listed.test", Protocol.NOTHING, Action.WAIT),
    Case("name listed, no SNI", "a.listed.test", Protocol.TLS, Action.OPEN),
    Case("name listed, SNI too", "a.listed.test", Protocol.TLS, Action.OPEN, "b.listed.test"),
    Case("name listed, SNI not", "a.listed.test", Protocol.TLS, Action.UNTOUCHED, "other.test", surprising=True),
    Case("name not listed, SNI is", "other.test", Protocol.TLS, Action.UNTOUCHED, "a.listed.test"),
    Case("server first", "a.listed.test", Protocol.SERVER, Action.UNTOUCHED),
    Case("neither TLS nor HTTP", "a.listed.test", Protocol.OTHER, Action.UNTOUCHED),
    Case("HTTP", "a.listed.test", Protocol.HTTP, Action.OPEN),
    Case("address listed", "10.9.9.9", Protocol.TLS, Action.OPEN, "other.test"),
    Case("address not listed, silent", "10.1.1.1", Protocol.NOTHING, Action.WAIT),
    Case("address not listed, SNI is", "10.1.1.1", Protocol.TLS, Action.OPEN, "a.listed.test"),
    Case("address not listed, SNI not", "10.1.1.1", Protocol.TLS, Action.UNTOUCHED, "other.test"),
    Case("address not listed, no SNI", "10.1.1.1", Protocol.TLS, Action.UNTOUCHED),
    Case("address not listed, HTTP", "10.1.1.1", Protocol.HTTP, Action.UNTOUCHED),
    Case("address not listed, server first", "fe80::1%eth0", Protocol.SERVER, Action.UNTOUCHED),
    Case(
        "address listed, SNI excluded", "10.1.1.1", Protocol.TLS, Action.UNTOUCHED, "pay.test", ALL_BUT, surprising=True
    ),
    Case("address listed, no SNI", "10.1.1.1", Protocol.TLS, Action.OPEN, None, ALL_BUT),
    Case("address excluded, silent", "10.2.2.2", Protocol.NOTHING, Action.UNTOUCHED, globs=ALL_BUT),
    Case(
        "address excluded, redirected", "10.2.2.2", Protocol.TLS, Action.UNTOUCHED, "a.test", ALL_BUT, redirected=True
    ),
    Case("address excluded, unreadable", "10.2.2.2", Protocol.UNREADABLE, Action.UNTOUCHED, None, ALL_BUT),
    Case("name listed, unreadable", "a.listed.test", Protocol.UNREADABLE, Action.OPEN),
    Case("name not listed, unreadable", "other.test", Protocol.UNREADABLE, Action.UNTOUCHED),
    Case("address not listed, unreadable", "10.1.1.1", Protocol.UNREADABLE, Action.OPEN),
    Case("redirected, unreadable", "10.1.1.1", Protocol.UNREADABLE, Action.OPEN, redirected=True),
    Case("nothing listed, unreadable", "10.1.1.1", Protocol.UNREADABLE, Action.UNTOUCHED, None, (), redirected=True),
    Case("redirected, silent", "10.1.1.1", Protocol.NOTHING, Action.WAIT, globs=(), redirected=True),
    Case("redirected, server first", "10.1.1.1", Protocol.SERVER, Action.UNTOUCHED, globs=(), redirected=True),
    Case("redirected, plain HTTP", "10.1.1.1", Protocol.HTTP, Action.OPEN, globs=(), redirected=True),
    Case(
        "redirected, nothing listed", "10.1.1.1", Protocol.TLS, Action.UNTOUCHED, "a.listed.test", (), redirected=True
    ),
    Case("redirected, SNI listed", "10.1.1.1", Protocol.TLS, Action.OPEN, "a.listed.test", redirected=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_decisions(case: Case) -> None:
    decision = decide(parse_hosts(case.globs), case.host, 443, case.seen, case.sni, redirected=case.redirected)
    assert decision.action is case.expected
    assert decision.worth_logging is case.surprising
    assert decision.why


@given(
    globs=st.lists(st.sampled_from(["*", "!*", "*.test", "a.test", "!a.test", "10.*", "!10.1.1.1", "*:443", "!*:8*"])),
    host=st.sampled_from(["a.test", "b.test", "10.1.1.1", "::1"]),
    sni=st.none() | st.sampled_from(["a.test", "A.TEST.", "b.test"]),
    port=st.sampled_from([443, 8443]),
    redirected=st.booleans(),
)
def test_tls_of_an_excluded_host_is_untouched(
    globs: list[str], host: str, sni: str | None, port: int, redirected: bool
) -> None:
    hosts = parse_hosts(globs)
    decision = decide(hosts, host, port, Protocol.TLS, sni, redirected=redirected)
    if any(hosts.excludes(name, port) for name in (host, sni) if name):
        assert decision.action is Action.UNTOUCHED


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Protocol.NOTHING),
        (b"GE", Protocol.NOTHING),
        (b"GET / HTTP/1.1\r\n", Protocol.HTTP),
        (b"GET /", Protocol.NOTHING),
        (b"GET /" + b"a" * 70_000, Protocol.OTHER),
        (b"get http://a/ HTTP/1.0\n", Protocol.HTTP),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n", Protocol.HTTP),
        (b"M-SEARCH * HTTP/1.1\r\n", Protocol.HTTP),
        (b"PRI * HTTP/2.0\r\n\r\n", Protocol.OTHER),
        (b"NICK bob", Protocol.OTHER),
        (b"get key\r\n", Protocol.OTHER),
        (b"STAT /\r\n", Protocol.OTHER),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Protocol.OTHER),
        (b"EHLO\r\n", Protocol.OTHER),
        (b"\x00\x01", Protocol.OTHER),
        (b"a" * 30, Protocol.OTHER),
    ],
)
def test_first_bytes(data: bytes, expected: Protocol) -> None:
    assert detect_http(data) is expected


pieces = st.lists(st.sampled_from([b"GET", b" ", b"/", b"*", b"http://a", b" HTTP/1.1", b"\r", b"\n", b"A-"]))


@given(st.binary(max_size=60) | pieces.map(b"".join))
def test_first_bytes_do_not_care_how_they_are_split(data: bytes) -> None:
    whole = detect_http(data)
    for end in range(len(data)):
        part = detect_http(data[:end])
        if part is not Protocol.NOTHING:
            assert detect_http(data[: end + 1]) is part
    assert isinstance(whole, Protocol)


def test_refusals_are_forgotten_in_time() -> None:
    refusals = PinnedHosts()
    refusals.note("Pinned.test", 443, now=100, ttl=60)
    assert refusals.contains("pinned.test", 443, now=159)
    assert not refusals.contains("pinned.test", 443, now=160)
    assert not refusals.contains("pinned.test", 8443, now=101)
    refusals.note("other.test", 443, now=200, ttl=60)
    assert not refusals.contains("pinned.test", 443, now=101)
