"""The differences between two JSON texts: changed, added and removed values, and what parsers do not show.

A placeholder equals another of its kind that replaces it everywhere (`secret_pairs.py`).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy_policies.capture.bodies import json_path
from proxy_policies.capture.bodies.json_path import PathStep
from proxy_policies.capture.check.alignment import opcodes
from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.unordered import Unordered, align
from proxy_policies.capture.json_text import document_of
from proxy_policies.capture.secrets.placeholders import as_digits, may_be_number

MAX_LIST_ITEMS = 2000  # longer lists are compared index by index


def json_changes(
    old: Any, new: Any, steps: tuple[PathStep, ...] = (), secrets: SecretPairs | None = None
) -> Iterator[Change]:
    """Yield the differences between two JSON values; equal parts cost one comparison."""
    secrets = secrets or SecretPairs()
    if old == new and (text := repr(old)) == repr(new) and secrets.learn_unchanged(text):  # in Python, True == 1
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _member(old, new, name, steps, secrets)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, steps, secrets)
    elif not _same_text(old, new, secrets):
        yield Change(f"json:{json_path.write(steps)}", old, new)


def _same_text(old: Any, new: Any, secrets: SecretPairs) -> bool:
    """Compare texts; also a number with a placeholder: it may have been too short to be redacted."""
    values = (old, new)
    if any(type(value) not in (str, int) for value in values):
        return False
    if int not in map(type, values):
        return secrets.are_equal(old, new)
    if not any(map(may_be_number, values)):
        return False
    return secrets.are_equal(as_digits(str(old)), as_digits(str(new)))


def _member(
    old: dict[str, Any], new: dict[str, Any], name: str, steps: tuple[PathStep, ...], secrets: SecretPairs
) -> Iterator[Change]:
    location = f"json:{json_path.write((*steps, name))}"
    if name not in new:
        yield Change(location, old[name], None, "removed")
    elif name not in old:
        yield Change(location, None, new[name], "added")
    else:
        yield from json_changes(old[name], new[name], (*steps, name), secrets)


def _list_changes(
    old: list[Any], new: list[Any], steps: tuple[PathStep, ...], secrets: SecretPairs
) -> Iterator[Change]:
    """Compare lists of equal length index by index; align others by their equal items."""
    if len(old) == len(new) or max(len(old), len(new)) > MAX_LIST_ITEMS:
        yield from _side_by_side(old, new, 0, steps, secrets)
        return
    before, after = ([json.dumps(item, sort_keys=True) for item in items] for items in (old, new))
    for tag, i1, i2, j1, j2 in opcodes(before, after):
        if tag != "equal":
            yield from _side_by_side(old[i1:i2], new[j1:j2], max(i1, j1) if i1 == i2 else i1, steps, secrets)


def _side_by_side(
    old: Sequence[Any], new: Sequence[Any], start: int, steps: tuple[PathStep, ...], secrets: SecretPairs
) -> Iterator[Change]:
    for index in range(max(len(old), len(new))):
        inner = (*steps, start + index)
        location = f"json:{json_path.write(inner)}"
        if index >= len(new):
            yield Change(location, old[index], None, "removed")
        elif index >= len(old):
            yield Change(location, None, new[index], "added")
        else:
            yield from json_changes(old[index], new[index], inner, secrets)


class _DecimalText(str):
    """A number with a fraction, as it is written."""

    __slots__ = ()

    def differs_beyond_float(self, number: "_DecimalText") -> bool:
        """Return whether the numbers differ, but not as 64-bit floats (IEEE 754)."""
        return float(self) == float(number) and Decimal(self) != Decimal(number)


def digit_changes(old: bytes, new: bytes, unordered: Sequence[Unordered]) -> Iterator[Change]:
    """Yield the differences between numbers with more digits than a float has; none if either text is not JSON."""
    try:
        before, after = (document_of(text, _DecimalText) for text in (old, new))
    except ValueError:
        return
    for change in json_changes(before, align(before, after, unordered)):
        one, other = change.old, change.new
        if isinstance(one, _DecimalText) and isinstance(other, _DecimalText) and one.differs_beyond_float(other):
            yield replace(change, old=str(one), new=str(other))


def repetition_changes(old: bytes, new: bytes) -> Iterator[Change]:
    """Yield a change if other members are repeated: parsers use the first, the last, or none (RFC 8259 section 4)."""
    before, after = map(_repeated_members, (old, new))
    if before != after:
        yield Change("body", *(f"repeated members: {', '.join(names) or 'none'}" for names in (before, after)))


def _repeated_members(content: bytes) -> list[str]:
    """Return the sorted names that any object of a JSON text has more than once; empty if it is not JSON."""
    found: set[str] = set()

    def collect(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            (found if name in seen else seen).add(name)

    try:
        json.loads(content, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return []
    return sorted(found)
