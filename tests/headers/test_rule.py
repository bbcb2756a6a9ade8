"""Header rules.

Values with something of the exchange in them."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.fields import TOKEN, Fields
from proxy_policies.headers.rule import (
    FRAMING,
    PLACEHOLDERS,
    FieldOperation,
    fill,
    is_sendable,
    placeholders,
    read_rule,
)
from proxy_policies.rules import parse_rule

BEFORE = Fields.of(("Server", "one"), ("X-Y", "z"), ("server", "two"))


@dataclass
class Case:
    id: str
    spec: str
    after: list[tuple[str, str]]


CASES = [
    Case("set", "//Server/none", [("Server", "none"), ("X-Y", "z")]),
    Case("set what is not there", "//Age/1", [*BEFORE, ("Age", "1")]),
    Case("set to nothing", "//X-Y/", [("Server", "one"), ("X-Y", ""), ("server", "two")]),
    Case("add", "//+Server/three", [*BEFORE, ("Server", "three")]),
    Case("remove", "//-SERVER", [("X-Y", "z")]),
    Case("remove what is not there", "//-Age", list(BEFORE)),
    Case("the value keeps its separators", "//X-Y/a/b//", [("Server", "one"), ("X-Y", "a/b//"), ("server", "two")]),
    Case("another separator", "||X-Y|a/b", [("Server", "one"), ("X-Y", "a/b"), ("server", "two")]),
    Case("placeholders", "//X-Y/{host} {x}", [("Server", "one"), ("X-Y", "h {x}"), ("server", "two")]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_apply(case: Case) -> None:
    assert list(read_rule(parse_rule(case.spec)).apply(BEFORE, {"host": "h"})) == case.after


@pytest.mark.parametrize(
    ("spec", "on_requests"),
    [
        ("//X/y", False),
        ("/~q/X/y", True),
        ("/~q & ~d example.test/X/y", True),
        ("/~d a | !(~m GET & ~q )/X/y", True),
        ("/~s/X/y", False),
        ("/~u '~q'/X/y", False),
        ("/~d example.test/X/~q", False),
    ],
)
def test_a_filter_that_names_q_is_for_requests(spec: str, on_requests: bool) -> None:
    assert read_rule(parse_rule(spec)).on_requests is on_requests


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("//X Y/z", "'X Y' is not a valid field name; write /flow-filter/[+|-]name[/value]"),
        ("///z", "'' is not a valid field name"),
        ("//-", "'' is not a valid field name"),
        ("//X:y", "'X:y' is not a valid field name"),
        ("//Ä/y", "'Ä' is not a valid field name"),
        ("//content-Length/5", "content-Length is set by the proxy"),
        ("//-Transfer-Encoding", "Transfer-Encoding is set by the proxy"),
        ("//Connection/close", "Connection is set by the proxy"),
        ("//-X/y", "a field to remove takes no value"),
        ("//X", "X lacks its value; put - before the name to remove the field"),
        ("//X/a\r\nY: b", "a value must not contain CR, LF or NUL"),
        ("//X/\0", "a value must not contain CR, LF or NUL"),
        ("/~q/X/{status}", "{status} is not known yet when rules for requests are applied"),
    ],
)
def test_what_is_no_header_rule_is_quoted(spec: str, complaint: str) -> None:
    with pytest.raises(ValueError) as error:
        read_rule(parse_rule(spec))
    assert str(error.value).startswith(f"{spec!r}: {complaint}")


names = st.from_regex(TOKEN, fullmatch=True).filter(lambda n: n[0] not in "+-" and n.lower() not in FRAMING)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))


@given(st.sampled_from(FieldOperation), names, values)
def test_a_rule_is_read_as_it_is_written(operation: FieldOperation, name: str, value: str) -> None:
    value = "" if operation is FieldOperation.REMOVE else value
    rule = read_rule(
        parse_rule("::" + operation.value + name + (":" + value if operation is not FieldOperation.REMOVE else ""))
    )
    assert (rule.operation, rule.name, rule.value) == (operation, name, value)


@given(st.text(min_size=1))
def test_any_action_is_a_rule_or_a_value_error(action: str) -> None:
    try:
        rule = read_rule(parse_rule("//" + action))
    except ValueError:
        return
    after = rule.apply(BEFORE, {})
    assert not any(char in value for _, value in after for char in "\r\n\0")


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
