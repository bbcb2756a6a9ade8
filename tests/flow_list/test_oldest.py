"""Which flows go, and which columns there are."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.flow_list.oldest import oldest, with_comments


@dataclass(frozen=True)
class Listed:
    number: int
    marked: str
    live: bool


@given(st.lists(st.tuples(st.sampled_from(["", ":red_circle:"]), st.booleans())), st.integers(0, 20))
def test_the_oldest_go_that_are_neither_marked_nor_under_way(flows: list[tuple[str, bool]], count: int) -> None:
    listed = [Listed(number, *flow) for number, flow in enumerate(flows)]
    gone = oldest(listed, count)
    may_go = [flow for flow in listed if not flow.marked and not flow.live]
    assert gone == may_go[:count]


@pytest.mark.parametrize(
    ("columns", "with_them"),
    [
        (["icon", "path", "method"], ["icon", "path", "comment", "method"]),
        (["icon", "path"], ["icon", "path", "comment"]),
        (["comment", "method"], ["comment", "method"]),
        ([], ["comment"]),
    ],
)
def test_the_comments_stand_beside_the_path(columns: list[str], with_them: list[str]) -> None:
    assert with_comments(columns) == with_them
