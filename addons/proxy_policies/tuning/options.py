"""Reads options without copying immutable values. Tested with mitmproxy 12.2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mitmproxy import optmanager

from proxy_policies.patch import Replacement

ATOMS = frozenset({type(None), bool, int, float, str})
"""Types whose values a deep copy returns unchanged."""


def quick_current(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that returns an option's value, copied only if it is mutable."""

    def current(option: Any) -> Any:
        value = option._default if option.value is optmanager.unset else option.value
        kind = type(value)
        if kind in ATOMS:
            return value
        if kind is list and all(type(member) is str for member in value):
            return value.copy()
        return original(option)

    return current


def quick_get(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Return a function that returns an option's value in one step if it is immutable."""

    def __getattr__(options: Any, name: str) -> Any:
        option = options._options.get(name)
        if option is None:
            return original(options, name)
        value = option._default if option.value is optmanager.unset else option.value
        return value if type(value) in ATOMS else option.current()

    return __getattr__


OPTIONS = (
    Replacement(
        owner=optmanager._Option,
        attribute="current",
        wrap=quick_current,
        seen_on="12.2",
        why="an option is deep-copied, twice if it is at its default, each time it is read",
    ),
    Replacement(
        owner=optmanager.OptManager,
        attribute="__getattr__",
        wrap=quick_get,
        seen_on="12.2",
        why="an option is looked up twice, and read by another function",
    ),
)
