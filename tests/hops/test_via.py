"""The Via field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.fields import TOKEN, Fields
from proxy_policies.hops.via import instance_name, lists, parse_name, with_via


@pytest.mark.parametrize("name", ["", "proxy.example", "proxy.example:8080", "my_proxy", "Ours"])
def test_parse_name(name: str) -> None:
    assert parse_name(name) == name


def test_auto_is_this_instance() -> None:
    assert parse_name("auto") == instance_name()
    assert parse_name(instance_name()) == instance_name()


@pytest.mark.parametrize("name", ["my proxy", "a,b", "a:b", "[::1]", "é", "a:8080:1", "x\r\ny", "(x)"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"write a name such as proxy\.example"):
        parse_name(name)


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ([], "HTTP/1.1", "1.1 us"),
        (["1.0 fred"], "HTTP/1.0", "1.0 fred, 1.0 us"),
        (["1.0 fred", "1.1 p.example.net"], "HTTP/2.0", "1.0 fred, 1.1 p.example.net, 2.0 us"),
    ],
)
def test_with_via(before: list[str], version: str, after: str) -> None:
    assert with_via(Fields.of(*(("via", line) for line in before)), "us", version).lines("Via") == [after]


@pytest.mark.parametrize(
    ("via", "passed"),
    [
        ("1.1 us", True),
        ("1.1 other, HTTP/1.1 US (mitmproxy, ours)", True),
        ("1.1 other (us)", False),
        ("1.1 us:8080", False),
        ("us", False),
        ("1.1 bus", False),
        ("", False),
    ],
)
def test_has_passed(via: str, passed: bool) -> None:
    assert lists(Fields.of(("Via", via)), "us") is passed
    assert not lists(Fields(), "us")


names = st.from_regex(TOKEN, fullmatch=True)


@given(st.lists(names, max_size=4), names)
def test_only_the_added_name_is_found(before: list[str], name: str) -> None:
    fields = Fields()
    for other in before:
        fields = with_via(fields, other, "HTTP/1.1")
    assert lists(fields, name) is (name.lower() in [other.lower() for other in before])
    assert lists(with_via(fields, name, "HTTP/1.1"), name)
