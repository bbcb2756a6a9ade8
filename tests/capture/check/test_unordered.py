"""Lists whose order means nothing."""

import pytest

from proxy_policies.capture.check.unordered import Unordered, align, find_unordered, parse_unordered, reorder

RULES = {
    "unordered:$.tags": Unordered("$.tags"),
    "unordered:$.items[3].tags": Unordered("$.items[*].tags"),
    "unordered:$.items[key=id]": Unordered("$.items", "id"),
}


@pytest.mark.parametrize("text", RULES)
def test_a_rule_is_read_and_written(text: str) -> None:
    assert parse_unordered(text) == RULES[text]
    assert parse_unordered(str(RULES[text])) == RULES[text]


def test_a_wrong_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"write unordered:\$.path"):
        parse_unordered("unordered:tags")


def test_items_take_the_order_of_the_old() -> None:
    assert reorder([1, 2, 2, 3], [3, 2, 1, 2], "") == [1, 2, 2, 3]
    assert reorder([{"id": 1}, {"id": 2}], [{"id": 2, "n": 5}, {"id": 1}], "id") == [{"id": 1}, {"id": 2, "n": 5}]


def test_what_fits_none_takes_the_places_that_are_left() -> None:
    assert reorder(["a", "b", "c"], ["c", "x", "a", "y"], "") == ["a", "x", "c", "y"]
    assert reorder(["a", "b"], ["b"], "") == ["b"]


def test_lists_inside_lists_are_aligned_each() -> None:
    old = {"items": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}]}
    new = {"items": [{"id": 2, "tags": []}, {"id": 1, "tags": ["b", "a"]}]}
    assert align(old, new, [Unordered("$.items", "id"), Unordered("$.items[*].tags")]) == old
    assert align(old, new, []) == new


FOUND = {
    "a permutation": ([1, 2, 3], [2, 1, 3], [Unordered("$")]),
    "by a key": (
        [{"id": 1, "n": 1}, {"id": 2, "n": 1}],
        [{"id": 2, "n": 9}, {"id": 1, "n": 1}],
        [Unordered("$", "id")],
    ),
    "the same order": ([1, 2], [1, 2], []),
    "other items": ([1, 2], [1, 3], []),
    "another length": ([1, 2], [2], []),
    "one item": ([1], [1], []),
    "inside": ({"a": [{"b": [1, 2]}]}, {"a": [{"b": [2, 1]}]}, [Unordered("$.a[*].b")]),
}


@pytest.mark.parametrize(("old", "new", "rules"), FOUND.values(), ids=FOUND)
def test_a_list_in_another_order_is_found(old: object, new: object, rules: list[Unordered]) -> None:
    assert list(find_unordered(old, new)) == rules
