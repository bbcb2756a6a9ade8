"""Lays the file's options over what was there before, and takes them off again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """What to set now, and what to go back to when an option leaves the file."""

    updates: Mapping[str, Any]
    before: Mapping[str, Any]
    returned: frozenset[str]
    """Names that left the file and go back to what they were."""


def plan(current: Mapping[str, Any], before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Plan:
    """Compare what holds, what held before the file spoke, and what the file wants. Pure; all by option name.

    Options that nobody declares any longer (not in `current`) are passed over.
    """
    returned = frozenset(before.keys() - wanted.keys()) & current.keys()
    target = {**{name: before[name] for name in returned}, **wanted}
    return Plan(
        updates={name: value for name, value in target.items() if current[name] != value},
        before={name: before.get(name, current[name]) for name in wanted},
        returned=returned,
    )
