"""Normalized paths are read as they were written, and lead to what they name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.bodies import json_path

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
STEPS = st.lists(st.text(max_size=5) | st.integers(0, 99), max_size=5)


@given(STEPS)
def test_what_is_written_is_read(steps: list[str | int]) -> None:
    assert json_path.read(json_path.write(steps)) == steps


def test_leaves_have_their_steps() -> None:
    document: Any = {"a": [1, {"b c": None}], "d": {}}
    found = {json_path.write(steps): value for steps, value in json_path.leaves(document)}
    assert found == {"$.a[0]": 1, '$.a[1]["b c"]': None}
    assert json_path.put(document, ["a", 1, "b c"], 2)
    assert document == {"a": [1, {"b c": 2}], "d": {}}


@given(DOCUMENTS)
def test_every_leaf_is_found_at_its_path(document: Any) -> None:
    written = [(path, value) for path, _, value in json_path.written_leaves(document)]
    assert [(json_path.write(steps), value) for steps, value in json_path.leaves(document)] == written
    for path, value in written:
        found = document
        for step in json_path.read(path):
            found = found[step]
        assert found == value


def test_a_leaf_has_the_last_name_in_its_path() -> None:
    assert json_path.written_leaves({"ids": [[7]], "a": {"b": 1}}) == [("$.ids[0][0]", "ids", 7), ("$.a.b", "b", 1)]
    assert json_path.written_leaves([True]) == [("$[0]", "", True)]


@pytest.mark.parametrize("steps", [["a", 7], ["x", "y"], [0]])
def test_there_is_no_place_to_put_it(steps: list[str | int]) -> None:
    assert not json_path.put({"a": [1]}, [*steps, "more"], 1)


@pytest.mark.parametrize("path", ["$x", "$.a[", "$..a", "$[-1]"])
def test_another_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not a valid normalized path"):
        json_path.read(path)


def test_a_wrong_query_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"^invalid JSONPath '\$\[': ") as error:
        json_path.compile_path("$[")
    assert "\n" not in str(error.value)
