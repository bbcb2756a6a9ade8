"""What the user's regular expressions match: it is replaced, JSON stays JSON, and placeholders stay as they are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.placeholders import Placeholders, as_number
from proxy_policies.capture.secrets.redact_pattern import in_pattern
from proxy_policies.capture.secrets.rules import parse_rules

KEY = Placeholders(b"k" * 32)


def redacted(text: str, *patterns: str) -> str:
    rules = parse_rules([f"regex:{pattern}" for pattern in patterns])
    return in_pattern(text, Decider(rules, lambda secret, rule: KEY.of(secret), is_response=True))


def test_a_number_of_json_is_replaced_as_a_whole() -> None:
    text = '{"a": 4711, "b": "x4711, ok", "c": [12, -47115, 4711.5], "pin: 4711, x": {"d": 1}}'
    done = redacted(text, r"\d{4}")
    number, digits = (as_number(KEY.of("4711")), KEY.of("4711"))
    assert json.loads(done) == {
        "a": number,
        "b": f"x{digits}, ok",
        "c": [12, as_number(KEY.of("-47115")), as_number(KEY.of("4711.5"))],
        f"pin: {digits}, x": {"d": 1},
    }


def test_a_placeholder_is_not_replaced() -> None:
    text = f"a {KEY.of('4711')}, b 4712"
    assert redacted(text, r"\d{2}", "secret_.*?_") == f"a {KEY.of('4711')}, b {KEY.of('47')}{KEY.of('12')}"


@pytest.mark.parametrize("pattern", ["customer .*", r"customer \w+ [a-z]+=", "customer J.{30}"])
def test_a_match_may_have_placeholders_in_it(pattern: str) -> None:
    known = f"customer Jo token={KEY.of('4711')} x"
    done = redacted(known, pattern)
    assert "Jo" not in done
    assert redacted(done, pattern) == done


def test_a_match_may_begin_with_a_placeholder() -> None:
    token = KEY.of("4711")
    assert redacted(f"by {token} Jo, by {token}", "(?<=by )[^,]+") == f"by {KEY.of(f'{token} Jo')}, by {token}"


def test_a_match_may_be_empty() -> None:
    assert redacted("ab 12", "(?<=a)") == "ab 12"


def test_what_is_beside_a_number_counts() -> None:
    done = redacted('{"pan": 4711, "n": 4711}', r'(?<="pan": )\d+')
    assert json.loads(done) == {"pan": as_number(KEY.of("4711")), "n": 4711}


@pytest.mark.parametrize("text", ["", "id 12", '{"a": 1}', "[]"])
def test_without_a_match_nothing_changes(text: str) -> None:
    assert redacted(text, r"\d{4}") == text


texts = st.text("ab12 ,:[{é", max_size=9)
values = st.recursive(
    st.integers() | texts | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(values) | st.dictionaries(texts, values), st.sampled_from([r"\d{2}", r"\d+", "1"]))
def test_json_stays_json_and_a_second_time_changes_nothing(document: Any, pattern: str) -> None:
    done = redacted(json.dumps(document, ensure_ascii=False), pattern)
    json.loads(done)
    assert redacted(done, pattern) == done
