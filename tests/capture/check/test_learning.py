"""What is learned from two runs of one build: no more than what was seen to differ."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check.diff import compare
from proxy_policies.capture.check.learning import learn_rules, rules_text
from proxy_policies.capture.check.noise import NoiseRules, parse_rules
from proxy_policies.capture.check.unordered import align, find_unordered
from proxy_policies.capture.model import Body, Request, Response

JSON = (("Content-Type", "application/json"),)


def answer(document: Any) -> Response:
    return Response(200, "OK", JSON, Body(json.dumps(document).encode()))


def learned(*runs: tuple[str, Any, Any]) -> NoiseRules:
    exchanges = [(Request("GET", f"http://a.test{path}"), answer(one), answer(other)) for path, one, other in runs]
    return NoiseRules(parse_rules(rules_text(learn_rules(lambda: exchanges))))


def counted(noise: NoiseRules, path: str, old: Any, new: Any) -> list[str]:
    request = Request("GET", f"http://a.test{path}")
    changes = compare(answer(old), answer(new), unordered=noise.unordered(request))
    return [change.location for change in noise.split(request, changes)[0]]


RED, BLUE, BAD = {"name": "red", "n": 3}, {"name": "blue", "n": 4}, {"name": "blue", "n": 99}


def test_a_list_in_random_order_is_compared_by_its_key() -> None:
    noise = learned(("/tags", {"tags": [RED, BLUE]}, {"tags": [BLUE, RED]}))
    assert [str(rule) for rule in noise.rules] == ["GET /tags unordered:$.tags[key=name]"]
    assert counted(noise, "/tags", {"tags": [RED, BLUE]}, {"tags": [BLUE, RED]}) == []
    assert counted(noise, "/tags", {"tags": [RED, BLUE]}, {"tags": [BAD, RED]}) == ["json:$.tags[1].n"]
    assert counted(noise, "/tags", {"tags": [RED, BLUE]}, {"tags": [RED]}) == ["json:$.tags[1]"]


def test_a_list_without_a_key_is_compared_as_a_set() -> None:
    noise = learned(("/tags", ["a", "b", "b"], ["b", "a", "b"]))
    assert [str(rule) for rule in noise.rules] == ["GET /tags unordered:$"]
    assert counted(noise, "/tags", ["a", "b", "b"], ["b", "b", "a"]) == []
    assert counted(noise, "/tags", ["a", "b", "b"], ["a", "a", "b"]) != []


def test_what_differs_inside_an_unordered_list_is_learned_too() -> None:
    one = [{"id": 1, "at": "x", "n": 5}, {"id": 2, "at": "y", "n": 6}]
    other = [{"id": 2, "at": "z", "n": 6}, {"id": 1, "at": "w", "n": 5}]
    noise = learned(("/", one, other))
    assert [str(rule) for rule in noise.rules] == ["GET / match:$[*].at=type", "GET / unordered:$[key=id]"]
    assert counted(noise, "/", one, [{"id": 2, "at": "q", "n": 7}, {"id": 1, "at": "q", "n": 5}]) == ["json:$[1].n"]


def test_a_field_of_a_form_is_learned_and_not_the_whole_form() -> None:
    one, other, later = (
        Response(200, "", (("Content-Type", "application/x-www-form-urlencoded"),), Body(body))
        for body in (b"n=1&city=Bonn", b"n=2&city=Bonn", b"n=3&city=Berlin")
    )
    request = Request("GET", "http://a.test/")
    rules = [found.rule for found in learn_rules(lambda: [(request, one, other)])]
    assert [str(rule) for rule in rules] == ["GET / match:$.n[*]=type"]
    counted, ignored = NoiseRules(rules).split(request, compare(one, later))
    assert [change.location for change in (*counted, *ignored)] == ["json:$.city[0]", "json:$.n[0]"]


def test_an_item_that_stayed_the_same_is_not_covered() -> None:
    noise = learned(("/", {"items": [{"n": 1}, {"n": 2}]}, {"items": [{"n": 1}, {"n": 9}]}))
    assert [str(rule) for rule in noise.rules] == ["GET / match:$.items[1].n=type"]
    assert counted(noise, "/", {"items": [{"n": 1}, {"n": 2}]}, {"items": [{"n": 7}, {"n": 7}]}) == [
        "json:$.items[0].n"
    ]


def test_an_answer_that_stayed_the_same_is_not_covered() -> None:
    noise = learned(("/orders/1", {"n": 1}, {"n": 2}), ("/orders/2", {"n": 1}, {"n": 1}))
    assert [str(rule) for rule in noise.rules] == ["GET /orders/1 match:$.n=type"]
    assert counted(noise, "/orders/2", {"n": 1}, {"n": 5}) == ["json:$.n"]


def test_what_differs_in_every_answer_is_learned_for_all() -> None:
    runs = [(f"/orders/{number}", {"n": number}, {"n": -number}) for number in (1, 2)]
    assert [str(rule) for rule in learned(*runs).rules] == ["GET /orders/* match:$.n=type"]


@pytest.mark.parametrize(
    "new", [{"n": None, "at": "x"}, {"n": "5", "at": "x"}, {"at": "x"}, {"n": 5}, {"n": 5, "at": [1]}]
)
def test_what_is_gone_or_of_another_type_is_not_covered(new: Any) -> None:
    noise = learned(("/", {"n": 1, "at": "x"}, {"n": 2.5, "at": "y"}))
    assert counted(noise, "/", {"n": 1, "at": "x"}, {"n": 7, "at": "z"}) == []
    assert len(counted(noise, "/", {"n": 1, "at": "x"}, new)) == 1


def test_what_came_or_went_by_itself_may() -> None:
    noise = learned(("/", {"n": 1, "m": 1}, {"m": "a"}))
    assert [str(rule) for rule in noise.rules] == ["GET / json:$.m", "GET / json:$.n"]
    assert counted(noise, "/", {"n": 1, "m": 1}, {"m": None}) == []


def test_a_field_is_to_be_there() -> None:
    request = Request("GET", "http://a.test/")
    one, other, none = (Response(200, "", fields) for fields in ((("X-N", "1"),), (("X-N", "b"),), ()))
    noise = NoiseRules(parse_rules(rules_text(learn_rules(lambda: [(request, one, other)]))))
    assert [str(rule) for rule in noise.rules] == ["GET / match:header:x-n=any"]
    assert [len(noise.split(request, compare(one, new))[0]) for new in (other, none)] == [0, 1]


FIELD_RULES: dict[str, tuple[Callable[[str], Response], str]] = {
    "header": (lambda text: Response(200, headers=(("X-N", text),)), "match:header:x-n=any"),
    "cookie": (lambda text: Response(200, headers=(("Set-Cookie", f"n={text}"),)), "match:cookie:n=any"),
    "cookie without a value": (
        lambda text: Response(200, headers=(("Set-Cookie", f"n; Path=/{text}"),)),
        "match:cookie:n=any",
    ),
    "trailer": (lambda text: Response(200, trailers=(("X-N", text),)), "trailer:x-n"),
    "cache": (
        lambda text: Response(200, headers=(("Cache-Status", f"proxy-policies; {text}"),)),
        "cache",
    ),
}


@pytest.mark.parametrize(("response", "what"), FIELD_RULES.values(), ids=FIELD_RULES)
def test_a_field_that_stayed_the_same_is_not_covered(response: Callable[[str], Response], what: str) -> None:
    one, other = response("hit"), response("fwd=miss")
    exchanges = [(Request("GET", f"http://a.test/{number}"), one, new) for number, new in ((1, other), (2, one))]
    assert [str(found.rule) for found in learn_rules(lambda: exchanges)] == [f"GET /1 {what}"]


def test_a_value_of_a_kind_that_differs_each_time_needs_no_rule() -> None:
    ids = ("0b0fa1a4-9d0b-4f6e-8a53-3c1e4d1c2b3a", "5c9e5ad6-4f9c-49c8-b1b6-3d3e0e4d9b11")
    noise = learned(("/", {"id": ids[0]}, {"id": ids[1]}))
    assert noise.rules == []
    assert counted(noise, "/", {"id": ids[0]}, {"id": "none"}) == ["json:$.id"]


values = st.one_of(st.integers(0, 4), st.sampled_from("abc"), st.dictionaries(st.sampled_from("xy"), st.integers(0, 2)))


@given(st.lists(values), st.randoms())
def test_a_permutation_is_no_change_and_anything_else_is_one(items: list[Any], chance: random.Random) -> None:
    shuffled = chance.sample(items, len(items))
    rules = list(find_unordered(items, shuffled))
    assert align(items, shuffled, rules) == items
    assert align(items, [*shuffled, "more"], rules) != items


@pytest.mark.parametrize("text", ["GET /x unordered:tags", "GET /x unordered:"])
def test_a_wrong_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"noise, line 1: .* write unordered:\$.path"):
        parse_rules(text)
