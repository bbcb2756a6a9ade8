"""Frames are the same however the bytes are cut."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.reverse_tunnel.protocol.frames import (
    MAX_CONTROL_PAYLOAD,
    MAX_LENGTH,
    FrameError,
    FrameKind,
    Keepalive,
    KeepaliveAction,
    Parser,
    frame,
    frame_header,
)

FRAMES = st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=40)), max_size=8)


def parse(pieces: list[bytes]) -> list[tuple[int, bytes]]:
    """Parse, with adjacent DATA joined: how it was split does not matter."""
    parser, found = Parser(), list[tuple[int, bytes]]()
    for piece in pieces:
        for kind, payload in parser.feed(piece):
            if kind == FrameKind.DATA and found and found[-1][0] == FrameKind.DATA:
                found[-1] = kind, found[-1][1] + bytes(payload)
            else:
                found.append((kind, bytes(payload)))
    return found


@given(FRAMES, st.lists(st.integers(0, 400), max_size=12))
def test_cutting_does_not_matter(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    wire = b"".join(frame(kind, payload) for kind, payload in frames)
    edges = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    pieces = [wire[start:end] for start, end in itertools.pairwise(edges)]
    assert parse(pieces) == parse([wire]) == parse([wire[i : i + 1] for i in range(len(wire))])


@given(FRAMES)
def test_every_payload_comes_out(frames: list[tuple[int, bytes]]) -> None:
    wire = b"".join(frame(kind, payload) for kind, payload in frames)
    assert [f for f in parse([wire]) if f[0] != FrameKind.DATA] == [f for f in frames if f[0] != FrameKind.DATA]
    data = b"".join(payload for kind, payload in frames if kind == FrameKind.DATA)
    assert b"".join(payload for kind, payload in parse([wire]) if kind == FrameKind.DATA) == data


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_garbage_is_frames_or_a_frame_error(pieces: list[bytes]) -> None:
    parser = Parser(limit=64)
    with contextlib.suppress(FrameError):
        for piece in pieces:
            for _, payload in parser.feed(piece):
                assert len(payload) <= 200


def test_a_long_control_frame_is_refused_by_its_head() -> None:
    with pytest.raises(FrameError, match="16385"):
        list(Parser().feed(frame_header(16, MAX_CONTROL_PAYLOAD + 1)))


def test_data_of_any_length_is_given_out_as_it_comes() -> None:
    parser = Parser()
    assert [bytes(p) for _, p in parser.feed(frame_header(FrameKind.DATA, MAX_LENGTH) + b"abc")] == [b"abc"]
    assert [bytes(p) for _, p in parser.feed(b"de")] == [b"de"]


def test_a_payload_too_long_to_say() -> None:
    with pytest.raises(ValueError, match="16777216"):
        frame_header(FrameKind.DATA, MAX_LENGTH + 1)


def heart() -> Keepalive:
    return Keepalive(interval=4, timeout=12, received=100, sent=100)


def test_heart_pings_after_an_interval_of_saying_nothing() -> None:
    h = heart()
    assert h.check(103, received=False, sent=False) is KeepaliveAction.NONE
    assert h.check(104, received=False, sent=False) is KeepaliveAction.PING
    assert h.check(105, received=False, sent=False) is KeepaliveAction.NONE
    assert h.check(108, received=False, sent=True) is KeepaliveAction.NONE
    assert h.check(111.9, received=False, sent=False) is KeepaliveAction.NONE


def test_heart_gives_up_after_its_patience_of_hearing_nothing() -> None:
    h = heart()
    assert lost_at(h, range(101, 120)) == 112
    h = heart()
    assert h.check(103, received=True, sent=True) is KeepaliveAction.NONE
    assert lost_at(h, range(104, 120)) == 115


@pytest.mark.parametrize("stood_still", [5, 60, 100_000])
def test_a_paused_process_does_not_mistake_its_pause_for_the_peers_silence(stood_still: int) -> None:
    """A suspended machine, or a process that had no time: the peer may have waited likewise."""
    h = heart()
    assert lost_at(h, range(101, 105)) is None
    woken = 104 + stood_still
    assert lost_at(h, range(woken, woken + 20)) == woken + 4  # eight seconds of silence were counted, an interval in it


def lost_at(h: Keepalive, moments: range) -> int | None:
    for now in moments:
        if h.check(now, received=False, sent=True) is KeepaliveAction.LOST:
            return now
    return None
