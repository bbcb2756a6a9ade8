"""Sequences are aligned as difflib does it, and those of few different items in bounded time."""

import difflib
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check import alignment
from proxy_policies.capture.check.alignment import opcodes

Matcher = difflib.SequenceMatcher
texts = st.text("abc", max_size=12)


@given(texts, texts, st.sampled_from([0, 3, 10**6]), st.sampled_from([0, 3, 10**6]))
def test_what_is_equal_is_equal_and_all_is_in_order(old: str, new: str, most: int, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "MAX_PAIRS", most)
        patch.setattr(alignment, "MAX_ITEMS", longest)
        found = opcodes(old, new)
    assert "".join(old[i1:i2] for _, i1, i2, _, _ in found) == old
    assert "".join(new[j1:j2] for _, _, _, j1, j2 in found) == new
    assert all(old[i1:i2] == new[j1:j2] for tag, i1, i2, j1, j2 in found if tag == "equal")
    assert all(i1 < i2 or j1 < j2 for _, i1, i2, j1, j2 in found)
    if most > 144 and longest > 12:
        assert found == difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["a"] * 4000, ["b", *["a"] * 3998, "b"], {"insert": 1, "equal": 3998, "replace": 2}),
        (["x", *["a"] * 4000, "y"], ["x", *["a"] * 2000, "b", *["a"] * 2000, "y"], {"equal": 4002, "insert": 1}),
        (["a", "b"] * 2000, ["b", "a"] * 2000, None),
    ],
)
def test_what_comes_again_and_again_is_no_pair_with_each_other(
    old: Sequence[str], new: Sequence[str], expected: dict[str, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def matcher(junk: None, one: Sequence[str], other: Sequence[str], autojunk: bool) -> difflib.SequenceMatcher[str]:
        counts = Counter(other)
        assert sum(counts[item] for item in one) <= 2 * len(one), "steps of difflib's, each time it looks"
        return Matcher(junk, one, other, autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", matcher)
    sizes: dict[str, int] = {}
    for tag, i1, i2, j1, j2 in opcodes(old, new):
        sizes[tag] = sizes.get(tag, 0) + max(i2 - i1, j2 - j1)
    assert expected is None or sizes == expected
