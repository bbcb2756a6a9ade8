"""Plans which options to set from the file, and which to restore."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """The options to set now, and the values to restore when an option is removed from the file."""

    updates: Mapping[str, Any]
    before: Mapping[str, Any]
    returned: frozenset[str]
    """Options that were removed from the file, and are restored."""


def plan(current: Mapping[str, Any], before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Plan:
    """Return the plan, given present values, those before the file was applied, and the file's. Pure; by option name.

    Options that are no longer declared (not in `current`) are ignored.
    """
    returned = frozenset(before.keys() - wanted.keys()) & current.keys()
    target = {**{name: before[name] for name in returned}, **wanted}
    return Plan(
        updates={name: value for name, value in target.items() if current[name] != value},
        before={name: before.get(name, current[name]) for name in wanted},
        returned=returned,
    )
