"""Which values of JSON differ."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check.json_diff import json_changes

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(documents)
def test_nothing_differs_from_itself(document: Any) -> None:
    assert list(json_changes(document, document)) == []


@given(documents, documents)
def test_what_differs_is_told(old: Any, new: Any) -> None:
    assert bool(list(json_changes(old, new))) is (old != new or repr(old) != repr(new))


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
