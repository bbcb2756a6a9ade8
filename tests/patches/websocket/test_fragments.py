"""The frames of a WebSocket message: put together, and cut up again."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.patches.websocket.fragments import MODIFIED, Fragments, Whole, cut


def put_together(frames: Sequence[str | bytes]) -> Whole:
    """Return the message assembled from frames, each received in two parts."""
    made = Fragments()
    for number, frame in enumerate(frames, 1):
        middle, is_last = len(frame) // 2, number == len(frames)
        assert made.add(frame[:middle], False, False) is None
        whole = made.add(frame[middle:], True, is_last)
        assert (whole is not None) is is_last
    assert whole
    return whole


@given(st.lists(st.text(), min_size=1) | st.lists(st.binary(), min_size=1))
def test_what_is_put_together_is_cut_up_as_it_came(frames: Sequence[str | bytes]) -> None:
    whole = put_together(frames)
    assert list(cut(whole)) == [(frame, number == len(frames)) for number, frame in enumerate(frames, 1)]


def test_messages_do_not_run_into_each_other() -> None:
    made = Fragments()
    assert made.add(b"a", True, True)
    second = made.add(b"bc", True, True)
    assert second
    assert (second.content, list(second.lengths)) == (b"bc", [2])


@pytest.mark.parametrize("content", ["", "x", "é" * 5000, "a" + "🙂" * 3000, "z" * MODIFIED, "z" * (MODIFIED + 1)])
@pytest.mark.parametrize("lengths", [(), (3,), (1, 2, 3)])
def test_a_changed_text_keeps_its_characters(content: str, lengths: Sequence[int]) -> None:
    frames = list(cut(Whole(content.encode(), True, lengths)))
    assert "".join(str(text) for text, _ in frames) == content
    assert [is_last for _, is_last in frames] == [False] * (len(frames) - 1) + [True]
    assert all(len(str(text).encode()) <= MODIFIED + 3 for text, _ in frames)


def test_a_text_of_the_same_length_keeps_its_characters() -> None:
    frames = list(cut(Whole("ééé".encode(), True, (3, 3))))
    assert frames == [("é", False), ("éé", True)]


def seconds_for(parts: int) -> float:
    """Return the CPU time for a message of so many parts of one frame."""
    made, part, begun = Fragments(), bytes(64), time.process_time()
    for _ in range(parts):
        made.add(part, False, False)
    assert made.add(b"", True, True)
    return time.process_time() - begun


def test_the_time_is_linear_in_the_length() -> None:
    """16 times as much takes 16 times as long, and not 256 times."""
    assert any(seconds_for(16 * 16_384) < 64 * seconds_for(16_384) for _ in range(5))
