"""Values that requests hand back are found by what they are, whatever they are, and once."""

from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check import request_value_index
from proxy_policies.capture.check.request_value_index import RequestValueIndex
from proxy_policies.capture.locations import Location

TEXTS = st.text(st.characters(exclude_categories=()), max_size=3)
STEPS = st.lists(st.tuples(st.sampled_from("ab\0\ud800"), st.one_of(st.none(), TEXTS)), max_size=20)


@given(STEPS)
def test_what_was_added_is_popped_once_in_its_order(steps: list[tuple[str, str | None]]) -> None:
    expected: dict[str, list[Any]] = {}
    with closing(RequestValueIndex()) as table:
        assert not table
        for number, (key, value) in enumerate(steps):
            if value is None:
                assert [*table.pop(key)] == expected.pop(key, [])
                continue
            found = ((number, 1), Location(f"json:$.{value}", "", value))
            expected.setdefault(key, []).append(found)
            table.add(key, *found)
            assert table
        assert [[*table.pop(key)] for key in expected] == list(expected.values())


def test_values_with_one_bit_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_value_index, "FILTER_BITS", 8)
    with closing(RequestValueIndex()) as table:
        for number in range(100):
            table.add(str(number), (number, 0), Location("path:1", "", str(number)))
        assert [next(table.pop(str(number)))[0] for number in range(100)] == [(number, 0) for number in range(100)]
