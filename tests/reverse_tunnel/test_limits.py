"""Limits on unauthenticated peers, sessions, bytes and retries."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.reverse_tunnel import limits
from proxy_policies.reverse_tunnel.limits import (
    HandshakeLimiter,
    PeerStage,
    RateLimiter,
    SessionLimiter,
    SessionLimits,
    network_of,
    retry_delay,
)
from proxy_policies.reverse_tunnel.protocol.messages import Refusal


@given(st.integers(0, 5000), st.floats(0, 1, exclude_max=True))
def test_retries_come_later_and_later_up_to_a_bound(failures: int, chance: float) -> None:
    delay = retry_delay(failures, chance)
    assert limits.FIRST_RETRY / 2 <= delay <= limits.LAST_RETRY
    assert retry_delay(failures + 1, chance) >= delay


def test_sessions_are_bounded_per_service_and_per_client() -> None:
    sessions = SessionLimiter(SessionLimits(service=2, client=1))
    sessions.enter("ssh", "a")
    with pytest.raises(Refusal, match="client a has 1"):
        sessions.enter("wiki", "a")
    sessions.enter("ssh", "b")
    with pytest.raises(Refusal, match="ssh has 2"):
        sessions.enter("ssh", "c")
    sessions.leave("ssh", "a")
    sessions.enter("ssh", "c")
    for client in "bc":
        sessions.leave("ssh", client)
    assert not sessions.services
    assert not sessions.clients


def test_without_limits_all_are_admitted() -> None:
    sessions = SessionLimiter()
    for _ in range(1000):
        sessions.enter("ssh", "a")


def test_the_proxy_itself_is_no_client_but_uses_a_service() -> None:
    sessions = SessionLimiter(SessionLimits(service=3, client=1))
    for _ in range(3):
        sessions.enter("wiki", "")
    with pytest.raises(Refusal, match="wiki has 3"):
        sessions.enter("wiki", "")


@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 3)), min_size=1))
def test_a_paced_stream_keeps_to_its_rate(reads: list[tuple[int, float]]) -> None:
    rate, now, total = 1000, 0.0, 0
    pacer = RateLimiter(rate, now)
    for size, idle in reads:
        now += idle
        total += size
        now += pacer.pause(size, now)
        assert total <= rate * (now + 1) + 0.001


def test_pacing_does_not_slow_the_slow() -> None:
    pacer = RateLimiter(1000, 0)
    assert [pacer.pause(100, t) for t in range(1, 20)] == [0] * 19


def test_a_home_that_was_there_is_tried_often_for_a_while() -> None:
    assert all(retry_delay(failures, 0, gone=30) <= limits.RETRY_RESTART for failures in range(50))
    assert retry_delay(50, 0, gone=90) == limits.LAST_RETRY


def test_the_peer_least_far_in_its_handshake_is_closed_first() -> None:
    gate = HandshakeLimiter(most=4)
    numbers = [gate.enter("a", 0)[0] for _ in range(4)]
    for number, stage in zip(
        numbers, (PeerStage.ENCRYPTED, PeerStage.SENT_DATA, PeerStage.SILENT, PeerStage.SENT_DATA), strict=True
    ):
        gate.advance(number, stage)
    assert gate.enter("a", 0)[1] == numbers[2]
    silent, evicted = gate.enter("a", 0, expected=1)
    assert evicted is None
    assert gate.enter("a", 0.99)[1] == silent, "the last of those that are alike"
    assert len(gate) == 5


def test_over_the_total_the_network_with_most_peers_is_reduced() -> None:
    gate = HandshakeLimiter(most=4)
    gate.enter("a", 0)
    crowd = [gate.enter("b", 0)[0] for _ in range(3)]
    for number in crowd:
        gate.advance(number, PeerStage.ENCRYPTED)
    assert gate.enter("c", 0.5)[1] == crowd[1]
    assert len(gate) == 4
    gate.leave(crowd[1])
    assert len(gate) == 4


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.floats(0, 1, exclude_max=True)), max_size=60))
def test_the_limiter_is_bounded_and_admits_every_new_peer(comings: list[tuple[str, int, float]]) -> None:
    gate, inside = HandshakeLimiter(most=5), list[int]()
    for address, expected, chance in comings:
        number, evicted = gate.enter(address, chance, expected)
        assert evicted is None or evicted in inside
        inside = [n for n in inside if n != evicted] + [number]
        assert len(gate) == len(inside) <= 5 + 3


@given(st.integers(100, 10_000), st.randoms())
def test_a_work_among_unauthenticated_peers_is_admitted(others: int, random: Random) -> None:
    """Who has spoken is safe from any number who have not."""
    gate = HandshakeLimiter(most=16)
    work = gate.enter("a", random.random())[0]
    gate.advance(work, PeerStage.SENT_DATA)
    assert work not in [gate.enter("a", random.random())[1] for _ in range(others)]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network
