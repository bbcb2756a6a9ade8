"""Which lines of texts differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check.text_diff import text_changes

texts = st.lists(st.sampled_from(["a", "b", "c 1", ""]), max_size=8).map("\n".join)


@given(texts, texts)
def test_no_difference_of_texts_is_passed_over(old: str, new: str) -> None:
    assert bool(list(text_changes(old, new))) is (old != new)


LINES = [f"line {number} of a text" for number in range(5000)]
LONG = {
    "a line": (["x", *LINES[1:4000], "y", *LINES[4001:]], ["text:1", "text:4001"]),
    "a line more": ([*LINES[:4500], "x", *LINES[4500:]], ["text:4501"]),
    "a line less": ([*LINES[:4500], *LINES[4501:]], ["text:4501"]),
    "lines more at two places": (["x", *LINES, "y"], ["text:1"]),
    "all lines": ([line.upper() for line in LINES], [f"text:{number}" for number in range(1, 5001)]),
}


@pytest.mark.parametrize(("lines", "places"), LONG.values(), ids=LONG)
def test_a_long_text_is_compared_by_lines(lines: list[str], places: list[str]) -> None:
    changes = list(text_changes("\n".join(LINES), "\n".join(lines)))
    assert [change.location for change in changes] == places
    assert not any(change.is_dynamic for change in changes)
