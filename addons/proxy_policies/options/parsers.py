"""Parses the values of options, converts those of the command line and of YAML, and tells which are secret. Pure.

Each parser raises ValueError that says how to write a valid value.
"""

import re
from dataclasses import dataclass
from typing import Any

from proxy_policies.addresses import parse_address
from proxy_policies.fields import TOKEN
from proxy_policies.worker_number import worker_number

_SIZE = re.compile(r"(\d+)\s*([bkmgt]?)b?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

SECRET_MARKERS = ("secret", "auth", "pass", "token", "purge")
"""Parts of option names whose values are never shown."""


def parse_size(text: str) -> int:
    """Return a size in bytes: `512`, `64k`, `10m`, `1g`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a size such as 512, 64k, 10m or 1g")
    return int(match[1]) << 10 * " kmgt".index(match[2].lower().replace("b", "") or " ")


def parse_duration(text: str) -> float:
    """Return a duration in seconds: `60`, `500ms`, `5m`, `1h`, `2d`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a duration such as 60, 500ms, 5m, 1h or 2d")
    return float(match[1]) * _SECONDS[match[2].lower()]


def parse_switch(value: str | bool) -> bool:
    """Return the boolean for `on` or `off`, or for mitmproxy's forms: `true`, `false`, and the booleans themselves."""
    switch = {True: True, False: False, "on": True, "true": True, "off": False, "false": False}.get(value)
    if switch is None:
        raise ValueError("choose one of off, on")
    return switch


@dataclass(frozen=True)
class OneOf:
    """A parser that accepts only certain words."""

    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Return the text if it is one of the words, else raise ValueError."""
        if text not in self.choices:
            raise ValueError(f"choose one of {', '.join(self.choices)}")
        return text


def one_of(*words: str) -> OneOf:
    """Return a parser that accepts only these words; mitmweb and the console offer them as a list."""
    return OneOf(words)


def as_text(text: str) -> str:
    """Return any text unchanged."""
    return text


def require_one_name(spec: str, name: str, *, is_field: bool = False) -> None:
    """Raise ValueError if the name in an item of a list cannot be one: such an item would never match, silently."""
    if not TOKEN.fullmatch(name) if is_field else "," in name:
        raise ValueError(f"{spec!r} must have a single name; repeat the option for each")


def parse_page_address(text: str) -> tuple[str, int] | None:
    """Return the host and port on which one of our pages is served, from PORT, HOST:PORT or *:PORT; None for `off`.

    The host is "" for `*`. With several workers, the Nth uses the port plus N-1. Raise ValueError.
    """
    if text == "off":
        return None
    try:
        host, port = parse_address(text)
    except ValueError as error:
        raise ValueError(f"{error}, PORT, *:PORT or off") from None
    return "" if host == "*" else host, port + max(0, worker_number() - 1)


def is_secret(name: str) -> bool:
    """Return whether an option's value must not be shown, going by its name."""
    return any(part in name for part in SECRET_MARKERS)


def coerce(strings: list[str] | None, raw: Any, is_list: bool) -> str | list[str]:
    """Convert a deferred value to an option's type.

    `strings` are the values of repeated `--set name=value`; None if the value is from YAML, where it is `raw` and may
    be any scalar or list. Raise ValueError.
    """
    if strings is None:
        values = raw if isinstance(raw, list | tuple) else [raw]
        strings = [scalar_text(value) for value in values]
    if is_list:
        return strings
    if len(strings) != 1:
        raise ValueError("needs a value" if not strings else f"takes one value, not {len(strings)}")
    return strings[0]


def scalar_text(value: Any) -> str:
    """Return a YAML scalar as the text of an option. Raise ValueError for anything else."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"{value!r} is neither text nor a number")
