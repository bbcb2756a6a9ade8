"""Bounds on strangers, sessions, bytes and retries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.reverse_tunnel import limits, options
from proxy_policies.reverse_tunnel.limits import Gate, Limits, Pacer, Seldom, Sessions, retry_delay
from proxy_policies.reverse_tunnel.messages import Refusal


@given(st.integers(0, 5000), st.floats(0, 1, exclude_max=True))
def test_retries_come_later_and_later_up_to_a_bound(failures: int, chance: float) -> None:
    delay = retry_delay(failures, chance)
    assert limits.FIRST_RETRY / 2 <= delay <= limits.LAST_RETRY
    assert retry_delay(failures + 1, chance) >= delay


def test_sessions_are_bounded_per_service_and_per_client() -> None:
    sessions = Sessions(Limits(service=2, client=1))
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


def test_without_limits_everybody_may() -> None:
    sessions = Sessions()
    for _ in range(1000):
        sessions.enter("ssh", "a")


def test_the_proxy_itself_is_no_client_but_uses_a_service() -> None:
    sessions = Sessions(Limits(service=3, client=1))
    for _ in range(3):
        sessions.enter("wiki", "")
    with pytest.raises(Refusal, match="wiki has 3"):
        sessions.enter("wiki", "")


@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 3)), min_size=1))
def test_a_paced_stream_keeps_to_its_rate(reads: list[tuple[int, float]]) -> None:
    rate, now, total = 1000, 0.0, 0
    pacer = Pacer(rate, now)
    for size, idle in reads:
        now += idle
        total += size
        now += pacer.pause(size, now)
        assert total <= rate * (now + 1) + 0.001


def test_pacing_does_not_slow_the_slow() -> None:
    pacer = Pacer(1000, 0)
    assert [pacer.pause(100, t) for t in range(1, 20)] == [0] * 19


def test_the_gate_bounds_strangers_from_one_address() -> None:
    gate = Gate(total=10, per_address=2)
    first, second = gate.enter("a"), gate.enter("a")
    assert first
    assert second
    assert gate.enter("a") is None
    assert gate.enter("a", expected=1)
    assert gate.enter("b")
    gate.leave(first[0])
    gate.leave(second[0])
    assert gate.enter("a")


def test_over_the_total_the_oldest_stranger_goes() -> None:
    gate = Gate(total=2, per_address=2)
    first = gate.enter("a")
    assert first is not None
    assert gate.enter("b") == (2, None)
    assert gate.enter("c") == (3, first[0])
    assert len(gate) == 2
    gate.leave(first[0])
    assert len(gate) == 2


def test_what_happens_often_is_said_seldom() -> None:
    seldom = Seldom(every=10)
    assert [seldom.due(now) for now in (100, 101, 109, 110, 111, 121, 140)] == [0, None, None, 2, None, 1, 0]


GOOD: dict[str, tuple[Callable[[str], Any], str, Any]] = {
    "no limits": (options.parse_limits, "", Limits()),
    "all limits": (options.parse_limits, "service=100, client=10,rate=10m", Limits(100, 10, 10 << 20)),
    "heartbeat": (options.parse_heartbeat, "500ms", 0.5),
    "spares": (options.parse_spares, "0", 0),
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_good_options(case: tuple[Callable[[str], Any], str, Any]) -> None:
    parse, text, expected = case
    assert parse(text) == expected


BAD: dict[str, tuple[Callable[[str], Any], str]] = {
    "unknown limit": (options.parse_limits, "speed=1"),
    "limit twice": (options.parse_limits, "rate=1,rate=2"),
    "limit without value": (options.parse_limits, "rate"),
    "limit no size": (options.parse_limits, "rate=fast"),
    "heartbeat of nothing": (options.parse_heartbeat, "0"),
    "heartbeat of hours": (options.parse_heartbeat, "2h"),
    "spares negative": (options.parse_spares, "-1"),
    "spares too many": (options.parse_spares, "17"),
    "spares no number": (options.parse_spares, "few"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_options(case: tuple[Callable[[str], Any], str]) -> None:
    parse, text = case
    with pytest.raises(ValueError):
        parse(text)
