"""Lists whose order is ignored: found between two runs of one build, and compared as multisets or by a key.

GET /orders    unordered:$.tags             the same items in any order
GET /orders    unordered:$.items[key=id]    items with the same `id` are compared with each other
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.bodies import json_path
from proxy_policies.capture.bodies.json_path import PathStep

PREFIX = "unordered:"
KEYS = ("id", "uuid", "guid", "key", "slug", "code", "name", "sku", "href", "url")
"""Members that may identify items: the first is used that all items have, with values that all differ."""
_SPEC = re.compile(r"unordered:(?P<path>\$.*?)(?:\[key=(?P<key>[^\]]+)\])?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Unordered:
    """A list at this path, in which `[*]` is any index; without a key it is a multiset."""

    path: str
    key: str = ""

    def __str__(self) -> str:
        return f"{PREFIX}{self.path}" + (f"[key={self.key}]" if self.key else "")


def parse_unordered(location: str) -> Unordered:
    """Read `unordered:PATH` or `unordered:PATH[key=NAME]`. Raise ValueError."""
    found = _SPEC.match(location)
    if found is None:
        raise ValueError(f"{location!r}: write unordered:$.path, or unordered:$.path[key=id]")
    return Unordered(any_index(found["path"]), found["key"] or "")


def any_index(path: str) -> str:
    """Return the path with `[*]` for every index."""
    return re.sub(r"\[\d+\]", "[*]", path)


def align(old: Any, new: Any, rules: Iterable[Unordered]) -> Any:
    """Return the new document with the items of unordered lists in the order of the old document."""
    found = {rule.path: rule for rule in rules}
    return _aligned(old, new, (), found) if found else new


def _aligned(old: Any, new: Any, steps: tuple[PathStep, ...], rules: dict[str, Unordered]) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {name: _aligned(old.get(name), item, (*steps, name), rules) for name, item in new.items()}
    if not isinstance(old, list) or not isinstance(new, list):
        return new
    rule = rules.get(any_index(json_path.write(steps)))
    items = reorder(old, new, rule.key) if rule else new
    return [_aligned(old[at] if at < len(old) else None, item, (*steps, at), rules) for at, item in enumerate(items)]


def reorder(old: Sequence[Any], new: Sequence[Any], key: str) -> list[Any]:
    """Return the new items in the order of the old ones; new items without a match fill the gaps."""
    unplaced: dict[str, list[Any]] = {}
    for item in new:
        unplaced.setdefault(_identity(item, key), []).append(item)
    placed = [unplaced[name].pop(0) if unplaced.get(name) else None for name in (_identity(item, key) for item in old)]
    taken = {id(item) for item in placed}
    rest = iter([item for item in new if id(item) not in taken or item is None])
    filled = [item if item is not None else next(rest, _NOTHING) for item in placed]
    return [*(item for item in filled if item is not _NOTHING), *rest]


_NOTHING = object()


def _identity(item: Any, key: str) -> str:
    value = item.get(key) if key and isinstance(item, dict) else item
    return dynamic_values.mask(json.dumps(value, sort_keys=True)) if not key else json.dumps(value, sort_keys=True)


def find_unordered(old: Any, new: Any, steps: tuple[PathStep, ...] = ()) -> Iterator[Unordered]:
    """Yield the lists of two JSON values that have the same items in another order."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() & new.keys():
            yield from find_unordered(old[name], new[name], (*steps, name))
    elif isinstance(old, list) and isinstance(new, list):
        rule = _rule_of(old, new, any_index(json_path.write(steps)))
        if rule is not None:
            yield rule
            new = reorder(old, new, rule.key)
        for at, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from find_unordered(one, other, (*steps, at))


def _rule_of(old: list[Any], new: list[Any], path: str) -> Unordered | None:
    """Return a rule for two lists if they are permutations of each other; None if they are equal or unrelated."""
    if len(old) != len(new) or len(old) < 2:
        return None
    for key in KEYS:
        one, other = _keys(old, key), _keys(new, key)
        if one and other and set(one) == set(other):
            return Unordered(path, key) if one != other else None
    one, other = ([_identity(item, "") for item in items] for items in (old, new))
    return Unordered(path) if one != other and Counter(one) == Counter(other) else None


def _keys(items: list[Any], key: str) -> list[str]:
    """Return the values of a member as JSON, if every item has it and all differ; else an empty list."""
    values = [
        json.dumps(item[key]) for item in items if isinstance(item, dict) and isinstance(item.get(key), str | int)
    ]
    return values if len(values) == len(items) == len(set(values)) else []
