"""Parsers of options that several policies share. Each raises ValueError with what would be right."""

import re
from collections.abc import Callable

_SIZE = re.compile(r"(\d+)\s*([bkmgt]?)b?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_size(text: str) -> int:
    """Read a size in bytes: `512`, `64k`, `10m`, `1g`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a size such as 512, 64k, 10m or 1g")
    return int(match[1]) << 10 * " kmgt".index(match[2].lower().replace("b", "") or " ")


def parse_duration(text: str) -> float:
    """Read a duration in seconds: `60`, `500ms`, `5m`, `1h`, `2d`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a duration such as 60, 500ms, 5m, 1h or 2d")
    return float(match[1]) * _SECONDS[match[2].lower()]


def parse_switch(text: str) -> bool:
    """Read `on` or `off` (`true` and `false` too, as mitmproxy's own options have them)."""
    return one_of("off", "false", "on", "true")(text) in ("on", "true")


def one_of(*words: str) -> Callable[[str], str]:
    """Make a parser for one of a few words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"choose one of {', '.join(words)}")
        return text

    return parse


def as_text(text: str) -> str:
    """Take any text."""
    return text
