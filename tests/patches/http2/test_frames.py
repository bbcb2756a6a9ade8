"""What HTTP/2 frames cost.

So many at once, and so many a second after that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.patches.http2.frames import IDLE_FRAMES, RESETS, FrameBudget, FrameReader, Http2Frame, TokenBucket

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40)), max_size=20)


def wire(frames: list[tuple[int, int, bytes]]) -> bytes:
    return b"".join(len(load).to_bytes(3) + bytes((kind, flags)) + b"\0\0\0\1" + load for kind, flags, load in frames)


@given(FRAMES, st.lists(st.integers(1, 30), max_size=50), st.sampled_from([0, 24]))
def test_frames_are_found_however_they_are_cut(
    frames: list[tuple[int, int, bytes]], cuts: list[int], preface: int
) -> None:
    reader, data, found = FrameReader(preface), b"p" * preface + wire(frames), []
    for size in [*cuts, len(data)]:
        piece, data = data[:size], data[size:]
        found += list(reader.read(piece))
    assert [(frame.type, frame.flags, frame.length) for frame in found] == [(t, f, len(load)) for t, f, load in frames]


def test_a_frame_says_where_its_head_ends() -> None:
    data = wire([(0, 0, b"abc"), (6, 0, b"12345678")])
    assert [frame.head_end for frame in FrameReader().read(data)] == [9, 9 + 3 + 9]


def spent(frame: Http2Frame, count: int, budget: FrameBudget | None = None) -> int:
    """Count how many such frames are let through at one moment."""
    budget = budget or FrameBudget()
    return sum(not budget.spend(frame, 0.0) for _ in range(count))


@pytest.mark.parametrize(
    ("frame", "most"),
    [
        (Http2Frame(3, 0, 4, 9), RESETS),
        (Http2Frame(6, 0, 8, 9), IDLE_FRAMES),
        (Http2Frame(2, 0, 5, 9), IDLE_FRAMES),
        (Http2Frame(0xFA, 0, 70, 9), IDLE_FRAMES),
        (Http2Frame(0, 0, 0, 9), IDLE_FRAMES),
        (Http2Frame(4, 0, 600, 9), IDLE_FRAMES // 100),
    ],
    ids=["reset", "ping", "priority", "unknown", "empty data", "settings of 100 values"],
)
def test_what_carries_nothing_is_bounded(frame: Http2Frame, most: int) -> None:
    assert spent(frame, 5000) == most


@pytest.mark.parametrize(
    "frame", [Http2Frame(0, 0, 1, 9), Http2Frame(0, 1, 0, 9), Http2Frame(1, 5, 30, 9)], ids=["data", "end", "head"]
)
def test_messages_are_not(frame: Http2Frame) -> None:
    assert spent(frame, 5000) == 5000


def test_a_field_block_is_bounded() -> None:
    """hyper-h2 would keep 8 MiB, and search all that is left of it for each field line."""
    budget, (head, more) = FrameBudget(), (Http2Frame(kind, 0, 1 << 16, 9) for kind in (1, 9))
    assert [bool(budget.spend(frame, 0.0)) for frame in (head, more, more, more, more)] == [False] * 4 + [True]
    assert not budget.spend(head, 0.0)


def test_messages_pay_for_window_updates() -> None:
    budget = FrameBudget()
    assert spent(Http2Frame(8, 0, 4, 9), 5000, budget) == IDLE_FRAMES
    budget.earn(100 * 1024)
    assert spent(Http2Frame(8, 0, 4, 9), 5000, budget) == 100


def test_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(burst=3, rate=2)
    assert [bucket.take(1, 0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1, 1) for _ in range(3)] == [True, True, False]


def test_no_more_is_saved_than_the_burst() -> None:
    bucket = TokenBucket(burst=3, rate=2)
    assert bucket.take(0, 0)
    bucket.put(100)
    assert not bucket.take(4, 1000)
    assert bucket.take(3, 1000)


@given(st.lists(st.floats(0, 100), max_size=200).map(sorted))
def test_never_more_than_burst_and_rate_allow(times: list[float]) -> None:
    bucket = TokenBucket(burst=5, rate=1)
    taken = sum(bucket.take(1, now) for now in times)
    assert taken <= 5 + (times[-1] - times[0] if times else 0)
