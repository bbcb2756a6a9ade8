"""Which hosts an authority may sign for."""

from ipaddress import ip_address

import pytest
from cryptography import x509

from proxy_policies.certificates.name_constraints import allows, described, only_for, parse_permitted


def host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("example.com", "example.com"),
        ("*.Example.com", "example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("3com.example", "3com.example"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_domains_and_networks_are_read(text: str, written: str) -> None:
    assert described(only_for([parse_permitted(text)])) == [written]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "*",
        "exa mple.com",
        "https://example.com",
        "-x.com",
        "a..b",
        "bücher.example",
        "10.0.0.1/8",
        "1.2.3",
        "::x",
    ],
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a domain such as example\.com, or a network such as"):
        parse_permitted(text)


@pytest.mark.parametrize(
    ("permitted", "allowed", "refused"),
    [
        (
            "example.com",
            "example.com www.Example.com *.example.com",
            "notexample.com *.com com example.com.evil 10.0.0.1 ::1",
        ),
        ("example.com 10.0.0.0/8", "a.example.com 10.1.2.3", "11.0.0.1 ::1 a.test"),
        ("10.0.0.0/8", "10.1.2.3", "example.com 11.0.0.1 ::1"),
        ("2001:db8::/32", "2001:db8::7", "example.com 10.0.0.1 ::1"),
    ],
)
def test_names_are_within_or_not(permitted: str, allowed: str, refused: str) -> None:
    constraints = only_for([parse_permitted(text) for text in permitted.split()])
    assert [name for name in (allowed + " " + refused).split() if allows(constraints, host(name))] == allowed.split()


def test_without_constraints_nothing_is_said() -> None:
    assert described(None) == []
