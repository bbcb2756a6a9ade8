"""Rules of noise: read, written, and what they pass over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.json_diff import json_changes
from proxy_policies.capture.check.noise import NoiseRules, match_rule, parse_rules, request_pattern, rules_for_changes
from proxy_policies.capture.check.text_diff import text_changes
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
    noise = NoiseRules(parse_rules(RULES))
    assert noise.split(REQUEST, [*PASSED, *COUNTED], exact) == (COUNTED, PASSED)


def test_what_differs_each_time_is_noise_unless_exact() -> None:
    change = Change("json:$.at", 1760000000, 1760000001)
    assert NoiseRules().split(REQUEST, [change], exact=False) == ([], [change])
    assert NoiseRules().split(REQUEST, [change], exact=True) == ([change], [])


ID, OTHER_ID, NEW_ID, OTHER_NEW_ID = (f"{digit}f86d081884c7d65" for digit in "1234")
TWO_PLACES = {
    "one for one": ([(ID, NEW_ID), (OTHER_ID, OTHER_NEW_ID), (ID, NEW_ID)], 0),
    "two for one": ([(ID, NEW_ID), (ID, OTHER_NEW_ID)], 1),
    "one for two": ([(ID, NEW_ID), (OTHER_ID, NEW_ID)], 1),
    "changed places": ([(ID, OTHER_ID), (OTHER_ID, ID)], 2),
    "times": ([("2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"), ("2026-01-02T03:04:05Z", "2026-01-03T03:04:06Z")], 0),
    "epochs": ([(1760000000, 1760000001), (1760000000, 1760000002)], 0),
}


@pytest.mark.parametrize(("values", "count"), TWO_PLACES.values(), ids=TWO_PLACES)
def test_an_id_is_noise_if_it_replaces_one_other_id(values: list[tuple[str, str]], count: int) -> None:
    changes = [Change(f"json:$[{at}]", old, new) for at, (old, new) in enumerate(values)]
    assert len(NoiseRules().split(REQUEST, changes, exact=False)[0]) == count


def test_a_matcher_of_the_command_line_is_for_all_requests() -> None:
    noise = NoiseRules([match_rule("$.total=type")])
    change = Change("json:$.total", 1, 2)
    assert noise.split(Request("POST", "http://a.test/a/b/c"), [change]) == ([], [change])


def test_rules_are_written_as_they_are_read() -> None:
    noise = NoiseRules(parse_rules(RULES))
    assert parse_rules(noise.text()) == noise.rules


@pytest.mark.parametrize("line", ["GET /", "GET / nothing", "GET / match:$.a", "GET / match:$.a=some", "GET / text:("])
def test_a_wrong_rule_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ValueError, match="noise, line 2: "):
        parse_rules(f"\n{line}")


ORDER = Request("GET", "http://shop.test/orders/17")
OTHER = Request("GET", "http://shop.test/users/17")


lines = st.lists(st.sampled_from("ab1 -"), max_size=9).map("".join)


@given(lines, lines)
def test_what_was_learned_is_noise_from_then_on(one: str, other: str) -> None:
    changes = [*text_changes(one, other), *json_changes({"a": [one]}, {"a": [other]})]
    noise = NoiseRules(parse_rules(NoiseRules(rules_for_changes(ORDER, changes)).text()))
    assert noise.split(ORDER, changes) == ([], changes)


def test_a_value_is_learned_whole_not_by_what_two_of_them_share() -> None:
    page = "<p>Rendered at {} by node {}, visit <b>{}</b></p>"
    changes = list(text_changes(page.format("10:59:58", "a17", 20), page.format("10:59:59", "a18", 21), True))
    noise = NoiseRules(rules_for_changes(ORDER, changes))
    later = list(text_changes(page.format("10:59:58", "a17", 20), page.format("11:00:02", "b09", 7), True))
    assert noise.split(ORDER, later) == ([], later)
    other = list(
        text_changes(page.format("10:59:58", "a17", 20), page.replace("Rendered", "Made").format(1, 2, 3), True)
    )
    assert noise.split(ORDER, other)[0]


def test_a_word_that_stayed_between_two_others_is_not_covered() -> None:
    line = "{} {} orders at Sat, 28 Nov 2026 10:00:0{} GMT, total {}"
    one, other = line.format(1, "open", 1, 5), line.format(2, "open", 2, 6)
    noise = NoiseRules(rules_for_changes(ORDER, list(text_changes(one, other))))
    assert noise.split(ORDER, list(text_changes(one, line.format(30, "open", 3, 7))))[0] == []
    assert noise.split(ORDER, list(text_changes(one, line.format(30, "closed", 3, 7))))[0] != []


def test_a_rule_for_a_line_of_many_values_is_short_and_quick() -> None:
    one, other = (" ".join(str(number + step) for number in range(5000)) for step in (0, 1))
    rules = rules_for_changes(ORDER, list(text_changes(one, other)))
    assert max(len(str(rule)) for rule in rules) < 200
    few = NoiseRules(rules_for_changes(ORDER, list(text_changes("1 " * 99, "2 " * 99))))
    assert few.split(ORDER, [Change("text:1", "1 " * 99, "1 " * 98 + "(")])[0] != []


def test_noise_is_for_requests_like_the_one_it_was_learned_from() -> None:
    change = Change("json:$.items[0].at", "a", "b")
    noise = NoiseRules(rules_for_changes(ORDER, [change]))
    assert [str(rule) for rule in noise.rules] == ["GET /orders/* json:$.items[*].at"]
    assert noise.split(OTHER, [change]) == ([change], [])
    assert noise.split(ORDER, [Change("json:$.items[7].at", "x", "y")])[0] == []
    assert noise.split(ORDER, [Change("json:$.items[7].atom", "x", "y")])[1] == []


def test_a_shape_stands_for_ids_in_a_path() -> None:
    assert request_pattern(Request("PUT", "http://a/x/17/9f86d081884c7d65/y")) == ("PUT", "/x/*/*/y")
    assert request_pattern(Request("GET", "http://a")) == ("GET", "/")
