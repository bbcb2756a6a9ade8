"""The grammar of the options."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.reverse_tunnel import services as grammar
from proxy_policies.reverse_tunnel.services import ClientListener, CommandListener, Service

GOOD: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "port": (grammar.parse_address, "9000", ("127.0.0.1", 9000)),
    "host and port": (grammar.parse_address, " home.example:9000 ", ("home.example", 9000)),
    "any": (grammar.parse_address, "0.0.0.0:0", ("0.0.0.0", 0)),
    "everywhere": (grammar.parse_address, "*:9000", ("*", 9000)),
    "underscore": (grammar.parse_address, "my_host.example.:9000", ("my_host.example.", 9000)),
    "other letters": (grammar.parse_address, "b\u00fccher.example:9000", ("b\u00fccher.example", 9000)),
    "ipv6": (grammar.parse_address, "[::1]:22", ("::1", 22)),
    "nowhere": (grammar.parse_listen, "", None),
    "for works": (grammar.parse_listen, "*:9000", CommandListener(("*", 9000))),
    "behind a load balancer": (grammar.parse_listen, "9000, proxy", CommandListener(("127.0.0.1", 9000), True)),
    "no home": (grammar.parse_home, " ", None),
    "home": (grammar.parse_home, "home.example:9000", grammar.HomeAt(("home.example", 9000))),
    "home by name": (grammar.parse_home, "paris@[::1]:9000", grammar.HomeAt(("::1", 9000), "paris")),
    "service": (grammar.parse_services, ["ssh=student00:22"], {"ssh": Service("ssh", ("student00", 22))}),
    "proxied": (grammar.parse_services, ["w=[::1]:80,proxy"], {"w": Service("w", ("::1", 80), True)}),
    "client": (grammar.parse_clients, ["9001=ssh"], {("127.0.0.1", 9001): ClientListener(("127.0.0.1", 9001), "ssh")}),
    "client of a work": (
        grammar.parse_clients,
        ["0.0.0.0:9002=wiki@office"],
        {("0.0.0.0", 9002): ClientListener(("0.0.0.0", 9002), "wiki", "office")},
    ),
    "client behind a load balancer": (
        grammar.parse_clients,
        ["9001=ssh@lab,proxy"],
        {("127.0.0.1", 9001): ClientListener(("127.0.0.1", 9001), "ssh", "lab", True)},
    ),
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_good(case: tuple[Callable[[Any], Any], Any, Any]) -> None:
    parse, text, expected = case
    assert parse(text) == expected


BAD: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "no port": (grammar.parse_address, "home", "no port"),
    "port too high": (grammar.parse_address, "h:70000", "no port"),
    "port no number": (grammar.parse_address, "h:ssh", "no port"),
    "no host": (grammar.parse_address, ":22", "no valid host"),
    "empty label": (grammar.parse_home, "home..example:9000", "cannot be a host"),
    "empty first label": (grammar.parse_services, ["a=.example:9000"], "cannot be a host"),
    "dots": (grammar.parse_address, "..:9000", "cannot be a host"),
    "long label": (grammar.parse_services, [f"a={'x' * 64}.example:22"], "cannot be a host"),
    "long label of other letters": (grammar.parse_address, f"{'\u00e9' * 60}:22", "cannot be a host"),
    "long host": (grammar.parse_address, f"{'a.' * 130}example:22", "too long"),
    "no octet": (grammar.parse_clients, ["127.0.0.256:9001=ssh"], "no IPv4"),
    "bare ipv6": (grammar.parse_address, "fe80::zz:22", "no IPv6"),
    "url": (grammar.parse_address, "http://h:80", "no valid host"),
    "home without host": (grammar.parse_home, "9000", "not HOST:PORT"),
    "home of no name": (grammar.parse_home, "@h:9000", "is not a valid name"),
    "home of a bad name": (grammar.parse_home, "Paris@h:9000", "is not a valid name"),
    "home at port 0": (grammar.parse_home, "h:0", "not HOST:PORT"),
    "service without name": (grammar.parse_services, ["h:22"], "NAME=HOST:PORT"),
    "service with bad name": (grammar.parse_services, ["S_H=h:22"], "not a valid name"),
    "service twice": (grammar.parse_services, ["a=h:1", "a=h:2"], "twice"),
    "too many services": (grammar.parse_services, [f"s{number}=h:1" for number in range(241)], "write 240 at most"),
    "unknown flag": (grammar.parse_services, ["a=h:1,prox"], "NAME=HOST:PORT,proxy"),
    "client without service": (grammar.parse_clients, ["9001"], "SERVICE"),
    "client with bad work": (grammar.parse_clients, ["9001=ssh@"], "not a valid name"),
    "client twice": (grammar.parse_clients, ["9001=a", "127.0.0.1:9001=b"], "twice"),
    "client with an unknown flag": (grammar.parse_clients, ["9001=ssh,prox"], ",proxy"),
    "works with an unknown flag": (grammar.parse_listen, "9000,proxies", "HOST:PORT,proxy"),
    "works at nothing but a flag": (grammar.parse_listen, ",proxy", "no port"),
    "allow without work": (grammar.parse_allow, ["=ssh"], "WORK=SERVICE"),
    "allow without service": (grammar.parse_allow, ["office"], "WORK=SERVICE"),
    "allow with a hole": (grammar.parse_allow, ["office=a,,b"], "WORK=SERVICE"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad(case: tuple[Callable[[Any], Any], Any, str]) -> None:
    parse, text, expected = case
    with pytest.raises(ValueError, match=expected):
        parse(text)


PARSERS: list[Callable[[Any], Any]] = [grammar.parse_address, grammar.parse_home, grammar.parse_listen]
LIST_PARSERS: list[Callable[[Any], Any]] = [grammar.parse_services, grammar.parse_clients, grammar.parse_allow]


@given(st.text(alphabet="a1-.:=@[],*/ \n\u00e9", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse, value in [(p, text) for p in PARSERS] + [(p, [text]) for p in LIST_PARSERS]:
        with contextlib.suppress(ValueError):
            parse(value)


@given(st.integers(1, 65535), st.sampled_from(["127.0.0.1", "::1", "home.example"]))
def test_addresses_read_as_they_are_shown(port: int, host: str) -> None:
    assert grammar.parse_address(grammar.show_address((host, port))) == (host, port)


def test_allowance() -> None:
    allow = grammar.parse_allow(["office=ssh,wiki", "lab-*=*"])
    assert allow.permits("office", "wiki")
    assert not allow.permits("office", "mail")
    assert allow.permits("lab-7", "mail")
    assert allow.knows("lab-7")
    assert not allow.knows("garage")
    assert not allow.permits("garage", "ssh")
    everyone = grammar.parse_allow([])
    assert everyone.permits("garage", "ssh")
    assert everyone.knows("garage")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("wiki.office.internal", ("wiki", "office")),
        ("WIKI.Office.Internal.", ("wiki", "office")),
        ("office.internal", None),
        ("a.wiki.office.internal", None),
        ("wiki.office.example", None),
        ("_x.office.internal", None),
        ("internal", None),
        ("", None),
    ],
)
def test_internal_names(host: str, expected: tuple[str, str] | None) -> None:
    assert grammar.parse_internal(host) == expected


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.8.0.1", True), ("::1", True), ("0.0.0.0", False), ("home.example", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert grammar.is_loopback(host) is loopback


def test_entrances_are_shown_as_written() -> None:
    assert [str(e) for e in grammar.parse_clients(["1=ssh", "2=wiki@office"]).values()] == ["ssh", "wiki@office"]
