"""Notes put into words."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.explain.formatting import (
    NOTHING,
    WIDTH,
    format_notes,
    wrapped,
)
from proxy_policies.explain.verdicts import VERDICT_LIMIT, summary
from proxy_policies.log_lines import printable

HIT = {"policy": "cache", "verdict": "hit", "why": "fresh for 57 s", "age": 3, "key": "http://a/"}
PLAIN = {"policy": "encoding", "verdict": "plain", "why": ""}

NOTES = st.lists(
    st.fixed_dictionaries(
        {"policy": st.text(max_size=9), "verdict": st.text(max_size=99), "why": st.text(max_size=9)},
        optional={"fact": st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)},
    ),
    max_size=5,
)


def test_a_story_has_every_decision_with_its_reason() -> None:
    assert format_notes([HIT, PLAIN]) == ["cache     hit: fresh for 57 s (age 3, key http://a/)", "encoding  plain"]
    assert format_notes([]) == [NOTHING]


def test_facts_are_written_as_people_do() -> None:
    facts = {"retried": True, "told": False, "seconds": 0.1234567, "name": None, "max_age": 3}
    assert format_notes([{**PLAIN, **facts}]) == [
        "encoding  plain (retried yes, told no, seconds 0.123457, name none, max age 3)",
    ]


def test_a_peer_cannot_write_on_the_terminal() -> None:
    assert r"a\x1b[2Jb\x0d\x0a\x9b\u202ec" in "".join(format_notes([{**PLAIN, "why": "a\x1b[2Jb\r\n\x9b\u202ec"}]))


def test_long_lines_are_folded_under_their_words_and_urls_stay_whole() -> None:
    url = "http://origin.test/" + "x" * 80
    folded = wrapped([{**HIT, "why": "words " * 20 + "end", "key": url}, PLAIN]).splitlines()
    assert folded[0].startswith("cache     hit: words")
    assert folded[-1] == "encoding  plain"
    assert all(line.startswith(" " * 10) for line in folded[1:-1])
    assert all(len(line) <= WIDTH or url in line for line in folded)


@given(NOTES)
def test_every_line_is_one_line(notes: list[dict[str, str]]) -> None:
    assert len(summary(notes)) <= VERDICT_LIMIT
    assert all(line == printable(line) for line in [summary(notes), *format_notes(notes)])
    assert all(len(line.splitlines()) <= 1 for line in [summary(notes), *format_notes(notes)])
