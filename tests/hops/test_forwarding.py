"""Whom a request is from."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.fields import Fields
from proxy_policies.hops.forwarding import (
    SPOOFABLE,
    Sender,
    Style,
    with_sender,
)

CLIENT = Sender("192.0.2.1", "shop.example", "https")


@dataclass
class Case:
    id: str
    style: Style
    after: list[tuple[str, str]]
    before: list[tuple[str, str]] = field(default_factory=list)
    sender: Sender = CLIENT
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
        sender=Sender("2001:DB8:0::1", "shop.example:8080", "http"),
    ),
    Case(
        "IPv6 as it is",
        Style.X_FORWARDED,
        [("X-Forwarded-For", "2001:db8::1"), ("X-Forwarded-Proto", "http")],
        sender=Sender("2001:db8::1", None, "http"),
    ),
    Case("no host", Style.FORWARDED, [("Forwarded", 'for="[::1]";proto=http')], sender=Sender("::1", None, "http")),
    Case(
        "a quote in the host",
        Style.FORWARDED,
        [("Forwarded", 'for=192.0.2.1;host="a\\"b";proto=http')],
        sender=Sender("192.0.2.1", 'a"b', "http"),
    ),
    Case(
        "what an untrusted client says is replaced, in both styles",
        Style.X_FORWARDED,
        [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")],
        [("Forwarded", "for=x"), ("x-forwarded-for", "x"), ("X-Forwarded-Port", "1"), ("X-Forwarded-Host", "x")],
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
    assert list(with_sender(Fields.of(*case.before), case.sender, case.style, trusted=case.trusted)) == case.after


@given(st.lists(st.tuples(st.sampled_from(SPOOFABLE), st.text())), st.sampled_from([Style.FORWARDED, Style.BOTH]))
def test_nothing_of_an_untrusted_client_is_left(spoofed: list[tuple[str, str]], style: Style) -> None:
    clean = with_sender(Fields(), CLIENT, style, trusted=False)
    assert with_sender(Fields.of(*spoofed), CLIENT, style, trusted=False) == clean
