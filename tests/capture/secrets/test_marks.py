"""A mark is found where it is, whichever of its characters is looked for first."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.marks import has_any, has_mark

TEXTS = st.text("ab(%\\", max_size=8)
MARKS = st.text("ab(%\\", min_size=1, max_size=3)


@given(TEXTS, st.lists(MARKS, max_size=3))
def test_a_mark_is_found_where_it_is(text: str, marks: list[str]) -> None:
    assert [has_mark(text, mark) for mark in marks] == [mark in text for mark in marks]
    assert has_any(text, marks) is any(mark in text for mark in marks)
