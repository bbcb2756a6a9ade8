"""What the proxy says by itself is in the key, the client's address is not, and no secret can be read in it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.cache.added_fields import KeyParts, own_fields
from tests.support.cache_cases import fields

CLIENT = KeyParts("http", "shop.test", "10.0.0.1")
RECEIVED = ("Host: shop.test", "User-Agent: x", "Cookie: a=b")


def own(*added: str, received: tuple[str, ...] = RECEIVED, client: KeyParts = CLIENT, states_uri: bool = False) -> str:
    before = fields(*received).raw
    return own_fields(before, (*before, *fields(*added).raw), client, states_uri=states_uri)


NOTHING_NEW = [
    (),
    ("Via: 1.1 x", "X-Forwarded-For: 10.0.0.1", 'If-None-Match: "a"', "Connection: TE", "TE: trailers"),
    ("X-Forwarded-Host: SHOP.test:80", "X-Forwarded-Proto: http"),
    ("Forwarded: for=10.0.0.1;host=shop.test;proto=http",),
    ('Forwarded: for="[2001:db8::1]:47", for=10.0.0.1;host="shop.test:80";proto=HTTP',),
]


@pytest.mark.parametrize("added", NOTHING_NEW)
@pytest.mark.parametrize("states_uri", [False, True])
def test_what_says_nothing_that_the_key_does_not(added: tuple[str, ...], states_uri: bool) -> None:
    assert own(*added, states_uri=states_uri) == ""


NEW = [
    ("X-Role: admin",),
    ("X-Role: user",),
    ("X-Role: admin", "X-Other: 1"),
    ("X-Forwarded-Host: evil.test",),
    ("X-Forwarded-Host: shop.test:81",),
    ("X-Forwarded-Proto: https",),
    ("X-Forwarded-Port: 81",),
    ("Forwarded: for=10.0.0.1;host=evil.test",),
    ("Forwarded: for=10.0.0.1;proto=https",),
    ("Authorization: Bearer secret",),
]


def test_what_is_new_is_told_apart() -> None:
    digests = [own(*added) for added in NEW]
    assert "" not in digests
    assert len(set(digests)) == len(NEW)
    assert all(re.fullmatch("[0-9a-f]{32}", digest) for digest in digests)


def test_a_clients_own_fields_count_where_an_origin_takes_the_uri_from_them() -> None:
    received = (*RECEIVED, "X-Forwarded-Host: evil.test", "X-Other: 1")
    assert own(received=received) == ""  # a field like any other: for Vary to name
    behind_a_balancer = own(received=received, states_uri=True)
    assert behind_a_balancer
    assert own("X-Forwarded-For: 10.0.0.1", received=received) == behind_a_balancer  # we say so in a forward proxy


STATING = [
    *("X-Forwarded-Prefix", "x_forwarded_prefix", "X.Forwarded.Host", "X-Forwarded-Protocol", "X-Forwarded-Uri"),
    *("X-Forwarded-User", "X-Auth-Request-Email", "X-Remote-User", "X-SSL-Client-S-DN", "Client-Cert", "X-Script-Name"),
    *("X-Original-Uri", "X-HTTP-Host-Override", "X-Scheme", "CF-Visitor"),
]


@pytest.mark.parametrize("name", STATING)
def test_what_a_balancer_says_of_the_uri_or_the_user_is_told_apart(name: str) -> None:
    values = [own(received=(*RECEIVED, f"{name}: {value}"), states_uri=True) for value in ("a", "b")]
    assert len({"", *values}) == 3


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X_Forwarded_For", "X-Remote-Addr", "X-Remote-IP"])
def test_what_a_balancer_says_of_the_address_is_not(name: str) -> None:
    assert own(received=(*RECEIVED, f"{name}: 10.0.0.9"), states_uri=True) == ""


def test_clients_share_though_a_rule_says_their_address() -> None:
    other = CLIENT._replace(address="10.0.0.2")
    assert own("X-Real-IP: 10.0.0.1", "X-Says: from 10.0.0.1!") == own(
        "X-Real-IP: 10.0.0.2", "X-Says: from 10.0.0.2!", client=other
    )
    assert own("X-Real-IP: 10.0.0.1") != own("X-Real-IP: 10.0.0.3")
    for name in ("X-Remote-Address", "X-Forwarded-Client"):
        assert own(f"{name}: 10.0.0.1", states_uri=True) == own(f"{name}: 10.0.0.2", client=other, states_uri=True)
    assert own("X-Forwarded-Host: 10.0.0.1") != own("X-Forwarded-Host: 10.0.0.2", client=other)


names = st.sampled_from([b"X-Role", b"x-role", b"Accept", b"X-A", b"X-A:b"])
lines = st.lists(st.tuples(names, st.sampled_from([b"a", b"b", b"a\xff", b"a, b"])), max_size=3)


@given(lines, lines, lines)
def test_digests_are_equal_exactly_when_the_same_is_added(
    received: list[tuple[bytes, bytes]], one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]]
) -> None:
    before = tuple(received)
    added = [[(name.lower(), value) for name, value in more] for more in (one, other)]
    digests = [own_fields(before, (*before, *more), CLIENT, states_uri=True) for more in (one, other)]
    assert (digests[0] == digests[1]) is (added[0] == added[1])
