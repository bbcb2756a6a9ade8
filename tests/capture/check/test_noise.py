"""Rules of noise: read, written, and what they pass over."""

import pytest

from proxy_policies.capture.check.diff import Change
from proxy_policies.capture.check.noise import Noise, match_rule, parse_rules
from proxy_policies.capture.model import Request

REQUEST = Request("GET", "http://a.test/orders/7")
RULES = """
# a comment
GET /orders/*  header:x-node
GET /orders/*  json:$.items[*].at
GET /orders/*  match:$.total=number±0.5
GET /orders/*  match:$.seen=uuid
GET /other     json:$.other
"""
PASSED = [
    Change("header:x-node", "a", "b"),
    Change("json:$.items[5].at", 1, 2),
    Change("json:$.total", 10, 10.5),
]
COUNTED = [
    Change("header:x-other", "a", "b"),
    Change("json:$.total", 10, 11),
    Change("json:$.total", 10, None, "removed"),
    Change("json:$.other", 1, 2),
    Change("json:$.seen", 1760000000, 1760000001),
]


@pytest.mark.parametrize("exact", [True, False])
def test_noise_is_told_from_changes(exact: bool) -> None:
    noise = Noise(parse_rules(RULES))
    assert noise.split(REQUEST, [*PASSED, *COUNTED], exact) == (COUNTED, PASSED)


def test_what_differs_each_time_is_noise_unless_exact() -> None:
    change = Change("json:$.at", 1760000000, 1760000001)
    assert Noise().split(REQUEST, [change], exact=False) == ([], [change])
    assert Noise().split(REQUEST, [change], exact=True) == ([change], [])


def test_a_matcher_of_the_command_line_is_for_all_requests() -> None:
    noise = Noise([match_rule("$.total=type")])
    change = Change("json:$.total", 1, 2)
    assert noise.split(Request("POST", "http://a.test/a/b/c"), [change]) == ([], [change])


def test_rules_are_written_as_they_are_read() -> None:
    noise = Noise(parse_rules(RULES))
    assert parse_rules(noise.text()) == noise.rules


@pytest.mark.parametrize("line", ["GET /", "GET / nothing", "GET / match:$.a", "GET / match:$.a=some", "GET / text:("])
def test_a_wrong_rule_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ValueError, match="noise, line 2: "):
        parse_rules(f"\n{line}")
