"""What changed, and what is noise."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture import json_path
from proxy_policies.capture.check.diff import Change, compare, json_changes, slower, text_changes
from proxy_policies.capture.check.noise import Noise, learn, parse_rules, request_pattern
from proxy_policies.capture.model import Body, Request, Response

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
texts = st.lists(st.sampled_from(["a", "b", "c 1", ""]), max_size=8).map("\n".join)


@given(documents)
def test_nothing_differs_from_itself(document: Any) -> None:
    assert list(json_changes(document, document)) == []


@given(documents, documents)
def test_what_differs_is_told(old: Any, new: Any) -> None:
    assert bool(list(json_changes(old, new))) is (old != new or repr(old) != repr(new))


@given(documents)
def test_every_leaf_is_found_at_its_path(document: Any) -> None:
    for steps, value in json_path.leaves(document):
        found = document
        for step in json_path.read(json_path.write(steps)):
            found = found[step]
        assert found == value


@given(texts, texts)
def test_texts_differ_where_their_lines_do(old: str, new: str) -> None:
    assert bool(list(text_changes(old, new))) is (old.splitlines() != new.splitlines())


@dataclass(frozen=True)
class Case:
    id: str
    old: Any
    new: Any
    places: list[tuple[str, str]]


JSON_CASES = [
    Case("changed", {"a": {"b": 1}}, {"a": {"b": 2}}, [("json:$.a.b", "changed")]),
    Case("added", {}, {"odd name": 1}, [('json:$["odd name"]', "added")]),
    Case("removed", {"a": 1}, {}, [("json:$.a", "removed")]),
    Case("inserted item", [1, 2, 3], [0, 1, 2, 3], [("json:$[0]", "added")]),
    Case("removed item", [{"n": 1}, {"n": 2}, {"n": 3}], [{"n": 1}, {"n": 3}], [("json:$[1]", "removed")]),
    Case("item changed inside", [{"n": 1}], [{"n": 2}], [("json:$[0].n", "changed")]),
    Case("type", {"a": 1}, {"a": "1"}, [("json:$.a", "changed")]),
    Case("true is not 1", {"a": True}, {"a": 1}, [("json:$.a", "changed")]),
    Case("placeholders", {"a": "secret_0123456789abcdef"}, {"a": "secret_fedcba9876543210"}, []),
]


@pytest.mark.parametrize("case", JSON_CASES, ids=lambda case: case.id)
def test_json_is_compared_as_a_tree(case: Case) -> None:
    assert [(change.location, change.kind) for change in json_changes(case.old, case.new)] == case.places


def response(status: int = 200, body: bytes = b"", *fields: tuple[str, str]) -> Response:
    return Response(status, "OK", fields, Body(body))


RESPONSES = {
    "status": (response(200), response(500), ["status"]),
    "date": (response(200, b"", ("Date", "x")), response(200, b"", ("Date", "y")), []),
    "header": (response(200, b"", ("X", "1")), response(200, b"", ("x", "2")), ["header:x"]),
    "cookie value": (response(200, b"", ("Set-Cookie", "a=1")), response(200, b"", ("Set-Cookie", "a=2")), []),
    "cookie flag": (
        response(200, b"", ("Set-Cookie", "a=1; Secure")),
        response(200, b"", ("Set-Cookie", "a=2")),
        ["cookie:a"],
    ),
    "a hit of ours": (
        response(200, b"", ("Cache-Status", "proxy-policies; fwd=uri-miss")),
        response(200, b"", ("Cache-Status", "cdn; hit, proxy-policies; hit; ttl=9")),
        ["cache"],
    ),
    "another's hit": (response(200), response(200, b"", ("Cache-Status", "cdn; hit")), []),
    "binary": (response(200, b"\xff\x01"), response(200, b"\xff\x02"), ["body"]),
    "kind": (response(200, b"{}"), response(200, b"text"), ["body"]),
    "html": (response(200, b"<p>a</p><p>b</p>", ("Content-Type", "text/html")),
             response(200, b"<p>a</p><p>c</p>", ("Content-Type", "text/html")), ["text:2"]),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "places"), RESPONSES.values(), ids=RESPONSES)
def test_responses_are_compared_by_their_parts(old: Response, new: Response, places: list[str]) -> None:
    assert [change.location for change in compare(old, new)] == places


DYNAMIC = {
    "times": (Change("json:$.at", "2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"), True),
    "epochs": (Change("json:$.at", 1760000000.5, 1761111111.25), True),
    "kinds differ": (Change("json:$.at", 1760000000, "2026-01-03T03:04:05Z"), False),
    "plain": (Change("json:$.n", 1, 2), False),
    "line": (Change("text:1", "at 2026-01-02T03:04:05Z", "at 2026-01-03T03:04:05Z"), True),
}


@pytest.mark.parametrize(("change", "expected"), DYNAMIC.values(), ids=DYNAMIC)
def test_values_that_differ_each_time_are_known(change: Change, expected: bool) -> None:
    assert change.is_dynamic is expected


def test_slower_wants_a_factor_and_a_tenth_of_a_second() -> None:
    assert [change.location for change in slower(0.1, 0.4, 3)] == ["time"]
    assert slower(0.001, 0.01, 3) == []
    assert slower(0.1, 9.0, 0) == []


ORDER = Request("GET", "http://shop.test/orders/17")
OTHER = Request("GET", "http://shop.test/users/17")


lines = st.lists(st.sampled_from("ab1 -"), max_size=9).map("".join)


@given(lines, lines)
def test_what_was_learned_is_noise_from_then_on(one: str, other: str) -> None:
    changes = [*text_changes(one, other), *json_changes({"a": [one]}, {"a": [other]})]
    noise = Noise(parse_rules(Noise(learn(ORDER, changes)).text()))
    assert noise.split(ORDER, changes) == ([], changes)


def test_a_value_is_learned_whole_not_by_what_two_of_them_share() -> None:
    page = "<p>Rendered at {} by node {}, visit <b>{}</b></p>"
    changes = list(text_changes(page.format("10:59:58", "a17", 20), page.format("10:59:59", "a18", 21), True))
    noise = Noise(learn(ORDER, changes))
    later = list(text_changes(page.format("10:59:58", "a17", 20), page.format("11:00:02", "b09", 7), True))
    assert noise.split(ORDER, later) == ([], later)
    other = list(
        text_changes(page.format("10:59:58", "a17", 20), page.replace("Rendered", "Made").format(1, 2, 3), True)
    )
    assert noise.split(ORDER, other)[0]


def test_noise_is_for_requests_like_the_one_it_was_learned_from() -> None:
    change = Change("json:$.items[0].at", "a", "b")
    noise = Noise(learn(ORDER, [change]))
    assert [str(rule) for rule in noise.rules] == ["GET /orders/* json:$.items[*].at"]
    assert noise.split(OTHER, [change]) == ([change], [])
    assert noise.split(ORDER, [Change("json:$.items[7].at", "x", "y")])[0] == []
    assert noise.split(ORDER, [Change("json:$.items[7].atom", "x", "y")])[1] == []


def test_a_shape_stands_for_ids_in_a_path() -> None:
    assert request_pattern(Request("PUT", "http://a/x/17/9f86d081884c7d65/y")) == ("PUT", "/x/*/*/y")
    assert request_pattern(Request("GET", "http://a")) == ("GET", "/")


@pytest.mark.parametrize("text", ["GET /x", "GET /x nowhere:1", "GET /x text:("])
def test_a_wrong_rule_of_noise_names_its_line(text: str) -> None:
    with pytest.raises(ValueError, match="noise, line 2"):
        parse_rules(f"# comment\n{text}")
