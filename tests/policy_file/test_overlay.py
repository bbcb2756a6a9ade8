"""The file's options over what was there before."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.policy_file.overlay import plan

NAMES = st.sampled_from("abcd")
FILE = st.dictionaries(NAMES, st.integers(0, 3))
FULL = st.fixed_dictionaries({name: st.integers(0, 3) for name in "abcd"})


def test_sets_what_differs_and_remembers_what_was() -> None:
    planned = plan({"a": 1, "b": 2, "c": 3}, {}, {"a": 1, "b": 5})
    assert planned.updates == {"b": 5}
    assert planned.before == {"a": 1, "b": 2}


def test_an_option_that_leaves_returns() -> None:
    planned = plan({"a": 1, "b": 5}, {"a": 1, "b": 2}, {"a": 1})
    assert planned.updates == {"b": 2}
    assert planned.before == {"a": 1}
    assert planned.returned == {"b"}


def test_an_option_that_no_longer_exists_is_skipped() -> None:
    assert plan({"a": 1}, {"gone": 2}, {}).updates == {}


@given(FULL, st.lists(FILE, max_size=5))
def test_taking_the_file_away_leaves_no_trace(start: dict[str, Any], files: list[dict[str, Any]]) -> None:
    options = dict(start)
    before: dict[str, Any] = {}
    for wanted in [*files, {}]:
        planned = plan(options, before, wanted)
        options, before = {**options, **planned.updates}, dict(planned.before)
        assert wanted.items() <= options.items()
    assert options == start
