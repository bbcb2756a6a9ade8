"""Parsers of the options that hold sizes and durations. Each raises ValueError saying what is valid."""

from __future__ import annotations

from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.option_parsers import parse_duration, parse_size

with lazy_imports():
    from proxy_policies.reverse_tunnel import limits

MAX_SPARES = 16


def parse_limits(text: str) -> limits.Limits:
    """Read `service=100,client=10,rate=10m`, or some of them."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in ("service", "client", "rate") or not equals or name in found:
            raise ValueError("write service=SESSIONS,client=SESSIONS,rate=BYTES, or some of them")
        found[name] = parse_size(value)
    return limits.Limits(**found)


def parse_heartbeat(text: str) -> float:
    """Read a heartbeat's interval in seconds."""
    seconds = parse_duration(text)
    if not 0.05 <= seconds <= 60:
        raise ValueError("a heartbeat takes between 50ms and 1m")
    return seconds


def parse_spares(text: str) -> int:
    """Read how many data connections to keep ready."""
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_SPARES:
        raise ValueError(f"write a number from 0 to {MAX_SPARES}")
    return int(text)
