"""Hosts, ports and networks as text."""

import pytest

from proxy_policies.addresses import (
    format_target,
    in_networks,
    is_address,
    is_loopback,
    normalize_address,
    parse_networks,
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("no address", False),
        ("", False),
    ],
)
def test_is_in(address: str, expected: bool) -> None:
    assert in_networks(address, parse_networks(["10.0.0.0/8", " fd00::/8", "192.0.2.7", "10.9.9.9/16"])) is expected


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "example.test", "10.0.0", "10.0.0.0/8,10.1.0.0/16"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a valid network; write such as 10\.0\.0\.0/8"):
        parse_networks([text])


@pytest.mark.parametrize(
    ("address", "plain"),
    [("192.0.2.1", "192.0.2.1"), ("::FFFF:192.0.2.1", "192.0.2.1"), ("FE80:0::1%lo", "fe80::1"), ("what", "what")],
)
def test_plain_address(address: str, plain: str) -> None:
    assert normalize_address(address) == plain


def test_targets() -> None:
    assert (format_target("a.test", 80), format_target("::1", 80)) == ("a.test:80", "[::1]:80")
    assert [is_address(text) for text in ("10.0.0.1", "fe80::1%lo", "a.test", "")] == [True, True, False, False]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "LOCALHOST", "127.9.9.9"])
def test_what_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "localhost.example"])
def test_what_others_reach(host: str) -> None:
    assert not is_loopback(host)
