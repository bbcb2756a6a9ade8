"""A mapping that is the same however many of its items are in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.files import spilled_mapping
from proxy_policies.capture.files.spilled_mapping import SpilledMapping

NAMES = st.sampled_from(["a", "b", "c", "d", "\ud800", ""])


@given(st.lists(st.tuples(NAMES, st.none() | st.text(max_size=2))), st.integers(0, 3))
def test_it_is_a_mapping(steps: list[tuple[str, str | None]], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spilled_mapping, "MAX_IN_MEMORY", kept)
        mapping, expected = SpilledMapping(), dict[str, str]()
        for name, value in steps:
            if value is None:
                assert mapping.get(name) == expected.get(name)
            else:
                mapping.put(name, value)
                expected[name] = value
        assert {name: mapping.get(name) for name in expected} == expected
