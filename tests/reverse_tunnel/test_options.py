"""The grammar of the options."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.addresses import format_target, parse_address
from proxy_policies.reverse_tunnel import options
from proxy_policies.reverse_tunnel.limits import SessionLimits
from proxy_policies.reverse_tunnel.options import ClientListener, CommandListener
from proxy_policies.reverse_tunnel.protocol.services import Service

GOOD: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "port": (parse_address, "9000", ("127.0.0.1", 9000)),
    "host and port": (parse_address, " home.example:9000 ", ("home.example", 9000)),
    "any": (parse_address, "0.0.0.0:0", ("0.0.0.0", 0)),
    "everywhere": (parse_address, "*:9000", ("*", 9000)),
    "underscore": (parse_address, "my_host.example.:9000", ("my_host.example.", 9000)),
    "other letters": (parse_address, "b\u00fccher.example:9000", ("b\u00fccher.example", 9000)),
    "ipv6": (parse_address, "[::1]:22", ("::1", 22)),
    "nowhere": (options.parse_listen, "", None),
    "for works": (options.parse_listen, "*:9000", CommandListener(("*", 9000))),
    "behind a load balancer": (options.parse_listen, "9000, proxy", CommandListener(("127.0.0.1", 9000), True)),
    "no home": (options.parse_home, " ", None),
    "home": (options.parse_home, "home.example:9000", options.HomeAddress(("home.example", 9000))),
    "home by name": (options.parse_home, "paris@[::1]:9000", options.HomeAddress(("::1", 9000), "paris")),
    "service": (options.parse_services, ["ssh=student00:22"], {"ssh": Service("ssh", ("student00", 22))}),
    "proxied": (options.parse_services, ["w=[::1]:80,proxy"], {"w": Service("w", ("::1", 80), True)}),
    "client": (options.parse_clients, ["9001=ssh"], {("127.0.0.1", 9001): ClientListener(("127.0.0.1", 9001), "ssh")}),
    "client of a work": (
        options.parse_clients,
        ["0.0.0.0:9002=wiki@office"],
        {("0.0.0.0", 9002): ClientListener(("0.0.0.0", 9002), "wiki", "office")},
    ),
    "client behind a load balancer": (
        options.parse_clients,
        ["9001=ssh@lab,proxy"],
        {("127.0.0.1", 9001): ClientListener(("127.0.0.1", 9001), "ssh", "lab", True)},
    ),
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_good(case: tuple[Callable[[Any], Any], Any, Any]) -> None:
    parse, text, expected = case
    assert parse(text) == expected


BAD: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "no port": (parse_address, "home", "no port"),
    "port too high": (parse_address, "h:70000", "not a port"),
    "port no number": (parse_address, "h:ssh", "not a port"),
    "no host": (parse_address, ":22", "no valid host"),
    "empty label": (options.parse_home, "home..example:9000", "cannot be a host"),
    "empty first label": (options.parse_services, ["a=.example:9000"], "cannot be a host"),
    "dots": (parse_address, "..:9000", "cannot be a host"),
    "long label": (options.parse_services, [f"a={'x' * 64}.example:22"], "cannot be a host"),
    "long label of other letters": (parse_address, f"{'\u00e9' * 60}:22", "cannot be a host"),
    "long host": (parse_address, f"{'a.' * 130}example:22", "too long"),
    "no byte": (options.parse_clients, ["127.0.0.256:9001=ssh"], "not an IPv4"),
    "bare ipv6": (parse_address, "fe80::zz:22", "not an IPv6"),
    "url": (parse_address, "http://h:80", "no valid host"),
    "home without host": (options.parse_home, "9000", "not HOST:PORT"),
    "home of no name": (options.parse_home, "@h:9000", "is not a valid name"),
    "home of a bad name": (options.parse_home, "Paris@h:9000", "is not a valid name"),
    "home at port 0": (options.parse_home, "h:0", "not HOST:PORT"),
    "service without name": (options.parse_services, ["h:22"], "NAME=HOST:PORT"),
    "service with bad name": (options.parse_services, ["S_H=h:22"], "not a valid name"),
    "service twice": (options.parse_services, ["a=h:1", "a=h:2"], "twice"),
    "too many services": (options.parse_services, [f"s{number}=h:1" for number in range(241)], "write 240 at most"),
    "unknown flag": (options.parse_services, ["a=h:1,prox"], "NAME=HOST:PORT,proxy"),
    "client without service": (options.parse_clients, ["9001"], "SERVICE"),
    "client with bad work": (options.parse_clients, ["9001=ssh@"], "not a valid name"),
    "client twice": (options.parse_clients, ["9001=a", "127.0.0.1:9001=b"], "twice"),
    "client with an unknown flag": (options.parse_clients, ["9001=ssh,prox"], ",proxy"),
    "works with an unknown flag": (options.parse_listen, "9000,proxies", "HOST:PORT,proxy"),
    "works at nothing but a flag": (options.parse_listen, ",proxy", "no port"),
    "allow without work": (options.parse_allow, ["=ssh"], "WORK=SERVICE"),
    "allow without service": (options.parse_allow, ["office"], "WORK=SERVICE"),
    "allow with blanks": (options.parse_allow, ["office=ssh wiki"], "WORK=SERVICE"),
    "allow with other names": (options.parse_allow, ["Office=ssh"], "WORK=SERVICE"),
    "allow with a hole": (options.parse_allow, ["office=a,,b"], "WORK=SERVICE"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad(case: tuple[Callable[[Any], Any], Any, str]) -> None:
    parse, text, expected = case
    with pytest.raises(ValueError, match=expected):
        parse(text)


PARSERS: list[Callable[[Any], Any]] = [parse_address, options.parse_home, options.parse_listen]
LIST_PARSERS: list[Callable[[Any], Any]] = [options.parse_services, options.parse_clients, options.parse_allow]


@given(st.text(alphabet="a1-.:=@[],*/ \n\u00e9", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse, value in [(p, text) for p in PARSERS] + [(p, [text]) for p in LIST_PARSERS]:
        with contextlib.suppress(ValueError):
            parse(value)


@given(st.integers(1, 65535), st.sampled_from(["127.0.0.1", "::1", "home.example"]))
def test_addresses_read_as_they_are_shown(port: int, host: str) -> None:
    assert parse_address(format_target(host, port)) == (host, port)


def test_allowance() -> None:
    allow = options.parse_allow(["office=ssh,wiki", "lab-*=*"])
    assert allow.permits("office", "wiki")
    assert not allow.permits("office", "mail")
    assert allow.permits("lab-7", "mail")
    assert allow.permits_any("lab-7")
    assert not allow.permits_any("garage")
    assert not allow.permits("garage", "ssh")
    everyone = options.parse_allow([])
    assert everyone.permits("garage", "ssh")
    assert everyone.permits_any("garage")


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
    assert options.parse_internal(host) == expected


def test_entrances_are_shown_as_written() -> None:
    assert [str(e) for e in options.parse_clients(["1=ssh", "2=wiki@office"]).values()] == ["ssh", "wiki@office"]


GOOD_NUMBERS: dict[str, tuple[Callable[[str], Any], str, Any]] = {
    "no limits": (options.parse_limits, "", SessionLimits()),
    "all limits": (options.parse_limits, "service=100, client=10,rate=10m", SessionLimits(100, 10, 10 << 20)),
    "heartbeat": (options.parse_heartbeat, "500ms", 0.5),
    "spares": (options.parse_spares, "0", 0),
}


@pytest.mark.parametrize("case", GOOD_NUMBERS.values(), ids=GOOD_NUMBERS)
def test_good_numbers(case: tuple[Callable[[str], Any], str, Any]) -> None:
    parse, text, expected = case
    assert parse(text) == expected


BAD_NUMBERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "unknown limit": (options.parse_limits, "speed=1"),
    "limit twice": (options.parse_limits, "rate=1,rate=2"),
    "limit without value": (options.parse_limits, "rate"),
    "limit no size": (options.parse_limits, "rate=fast"),
    "heartbeat of nothing": (options.parse_heartbeat, "0"),
    "heartbeat of hours": (options.parse_heartbeat, "2h"),
    "spares negative": (options.parse_spares, "-1"),
    "spares too many": (options.parse_spares, "17"),
    "spares no number": (options.parse_spares, "few"),
}


@pytest.mark.parametrize("case", BAD_NUMBERS.values(), ids=BAD_NUMBERS)
def test_bad_numbers(case: tuple[Callable[[str], Any], str]) -> None:
    parse, text = case
    with pytest.raises(ValueError):
        parse(text)
