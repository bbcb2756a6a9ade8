"""Whom a request is from."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.fields import Fields
from proxy_policies.hops.forwarding import (
    CLAIMS,
    METHOD_OVERRIDES,
    ClientInfo,
    Style,
    parse_names,
    with_forwarded,
    without_claims,
)

CLIENT = ClientInfo("192.0.2.1", "shop.example", "https")


@dataclass
class Case:
    id: str
    style: Style
    after: list[tuple[str, str]]
    before: list[tuple[str, str]] = field(default_factory=list)
    sender: ClientInfo = CLIENT
    trusted: bool = False


CASES = [
    Case("off", Style.NONE, [("X-Forwarded-For", "spoof")], [("X-Forwarded-For", "spoof")]),
    Case("forwarded", Style.FORWARDED, [("Forwarded", "for=192.0.2.1;host=shop.example;proto=https")]),
    Case(
        "x-forwarded",
        Style.X_FORWARDED,
        [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")],
    ),
    Case(
        "IPv6 and a port are quoted",
        Style.FORWARDED,
        [("Forwarded", 'for="[2001:db8::1]";host="shop.example:8080";proto=http')],
        sender=ClientInfo("2001:DB8:0::1", "shop.example:8080", "http"),
    ),
    Case(
        "IPv6 as it is",
        Style.X_FORWARDED,
        [("X-Forwarded-For", "2001:db8::1"), ("X-Forwarded-Proto", "http")],
        sender=ClientInfo("2001:db8::1", None, "http"),
    ),
    Case("no host", Style.FORWARDED, [("Forwarded", 'for="[::1]";proto=http')], sender=ClientInfo("::1", None, "http")),
    Case(
        "a quote in the host",
        Style.FORWARDED,
        [("Forwarded", 'for=192.0.2.1;host="a\\"b";proto=http')],
        sender=ClientInfo("192.0.2.1", 'a"b', "http"),
    ),
    Case(
        "what a trusted client says is added to",
        Style.BOTH,
        [
            ("X-Forwarded-For", "203.0.113.9, 203.0.113.8, 192.0.2.1"),
            ("X-Forwarded-Host", "outer.example"),
            ("Forwarded", "for=203.0.113.9, for=192.0.2.1;host=shop.example;proto=https"),
            ("X-Forwarded-Proto", "https"),
        ],
        [
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Host", "outer.example"),
            ("X-Forwarded-For", "203.0.113.8"),
            ("Forwarded", "for=203.0.113.9"),
        ],
        trusted=True,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_with_sender(case: Case) -> None:
    assert list(with_forwarded(Fields.of(*case.before), case.sender, case.style, trusted=case.trusted)) == case.after


ALL_CLAIMS = sorted(
    {
        *CLAIMS,
        *("X-Forwarded-For", "X-Forwarded-Anything", "X-SSL-Client-DN", "SSL-Client-Verify", "X-Remote-User"),
        *("X-WebAuth-Email", "X-Authentik-Username", "Tailscale-User-Login", "X-MS-Client-Principal-Name"),
    }
)
OTHERS = [("Cookie", "a=1"), ("X-Real", "2"), ("X-Forward", "3"), ("CF-Access-Client-Id", "4"), ("SSL", "5")]


@given(st.sampled_from(ALL_CLAIMS), st.text("-_.", min_size=1, max_size=1), st.booleans())
def test_a_claim_goes_however_it_is_spelled(name: str, between: str, upper: bool) -> None:
    spelled = name.replace("-", between)
    fields = Fields.of(*OTHERS, (spelled.upper() if upper else spelled, "6.6.6.6"), *OTHERS)
    assert without_claims(fields, "GET") == Fields.of(*OTHERS, *OTHERS)


def test_what_is_no_claim_stays() -> None:
    fields = Fields.of(*OTHERS)
    assert without_claims(fields, "GET") is fields


@pytest.mark.parametrize("name", sorted(METHOD_OVERRIDES))
def test_another_method_is_asked_for_by_a_post_only(name: str) -> None:
    fields = Fields.of((name, "DELETE"))
    assert without_claims(fields, "POST") is fields
    assert not without_claims(fields, "GET")


def test_more_names() -> None:
    more = parse_names(["X-User, X_Auth-*", "y"])
    fields = Fields.of(("x_user", "1"), ("X-Auth-Role", "2"), ("Y", "3"), ("X-Users", "4"))
    assert without_claims(fields, "GET", more) == Fields.of(("X-Users", "4"))
    with pytest.raises(ValueError, match="is not a field name"):
        parse_names(["X User"])
