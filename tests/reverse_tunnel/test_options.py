"""Limits, heartbeats and pools, as users write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy_policies.reverse_tunnel import options
from proxy_policies.reverse_tunnel.limits import Limits

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
