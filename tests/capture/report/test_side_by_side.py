"""Two texts laid side by side."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.report.side_by_side import MAX_LINES, rows

lines = st.lists(st.sampled_from(["a", "b", "", "at 2026-01-02T03:04:05Z", "at 2027-01-02T03:04:05Z"]), max_size=8)


@given(lines, lines)
def test_every_line_is_there_once_in_its_order(old: list[str], new: list[str]) -> None:
    found = rows(old, new)
    assert [before for _, before, _ in found if before is not None] == old
    assert [after for _, _, after in found if after is not None] == new


@given(lines, lines)
def test_a_tag_says_how_two_lines_differ(old: list[str], new: list[str]) -> None:
    for tag, before, after in rows(old, new):
        if before is None or after is None:
            assert tag == ("+" if before is None else "-")
        elif tag == "=":
            assert before == after
        else:
            assert (tag == "~") is (dynamic_values.mask(before) == dynamic_values.mask(after))
            assert before != after


def test_only_the_beginning_of_what_is_very_long_is_shown() -> None:
    many = [str(number) for number in range(MAX_LINES + 1)]
    assert rows(many, many) == [("=", line, line) for line in many[:-1]]
