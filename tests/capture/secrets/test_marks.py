"""A mark is found where it is, whichever of its characters is looked for first."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.marks import compile_marks, has_any

TEXTS = st.text("ab(%\\", max_size=8)
MARKS = st.text("ab(%\\", min_size=1, max_size=3)


@given(TEXTS, st.lists(MARKS, max_size=3))
def test_a_mark_is_found_where_it_is(text: str, marks: list[str]) -> None:
    assert has_any(text, compile_marks(*marks)) is any(mark in text for mark in marks)
