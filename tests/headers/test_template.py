"""Values with something of the exchange in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.headers.template import PLACEHOLDERS, fill, is_sendable, placeholders

FACTS = {"client_ip": "192.0.2.1", "host": "example.test", "method": "GET", "status": "200", "cache": "hit"}


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{client_ip} {host} {method} {status} {cache}", "192.0.2.1 example.test GET 200 hit"),
        ("{Host} {host_} { host } {} {{host}}", "{Host} {host_} { host } {} {example.test}"),
        ('{"json": {"a": 1}}', '{"json": {"a": 1}}'),
    ],
)
def test_fill(value: str, filled: str) -> None:
    assert fill(value, FACTS) == filled


def test_a_placeholder_without_a_fact_is_empty() -> None:
    assert fill("<{status}>", {}) == "<>"


def test_placeholders() -> None:
    assert placeholders("{host}{status}{other}") == ["host", "status"]


@given(st.text(), st.dictionaries(st.sampled_from(PLACEHOLDERS), st.text()))
def test_what_is_filled_in_can_be_sent(value: str, facts: dict[str, str]) -> None:
    assert is_sendable(fill(value, facts)) == is_sendable(value)
