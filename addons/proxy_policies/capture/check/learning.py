"""Learning rules of noise from the differences between two runs of one build, as narrow as possible.

A rule has `*` for ids in the path, and for indices of a list, only if every response, or every item, differed there;
if the value stayed the same in one of them, the rules are for the others only.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from proxy_policies.capture import json_path, parsed_body
from proxy_policies.capture.check.diff import Change, compare
from proxy_policies.capture.check.noise import NoiseRule, make_rule, request_pattern, rules_for_changes
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.unordered import Unordered, any_index, find_unordered
from proxy_policies.capture.model import Request, Response

Exchanges = Callable[[], Iterable[tuple[Request, Response, Response]]]
"""Returns each request with its responses in both runs; called twice."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A rule, and the number of responses that differed, of those for which it is."""

    rule: NoiseRule
    seen: int
    total: int

    def __str__(self) -> str:
        return f"{self.rule}  (differed in {self.seen} of {self.total} answer{'' if self.total == 1 else 's'})"


@dataclass(slots=True)
class _Observed:
    """Responses to requests of one pattern: how many a path had, and at which locations they differed or stayed."""

    responses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    differed: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    stayed: dict[str, bool] = field(default_factory=dict)


def learn_rules(exchanges: Exchanges, exact: bool = False, hide: Callable[[str], str] | None = None) -> list[Learned]:
    """Return rules for the differences; unless `exact`, dynamic values need none. `hide` is passed to `SecretPairs`."""
    observed: dict[tuple[str, str], _Observed] = defaultdict(_Observed)
    for request, one, other in exchanges():
        seen, path = observed[request_pattern(request)], urlsplit(request.url).path or "/"
        seen.responses[path] += 1
        for location in _locations(request, one, other, exact, hide):
            seen.differed[location][path] += 1
    for request, one, other in exchanges():
        seen = observed[request_pattern(request)]
        differing = set(_locations(request, one, other, exact, hide))
        for location in seen.differed:
            if location not in differing and _has(one, location):
                seen.stayed[location] = True
    return sorted(_rules(observed), key=lambda learned: learned.rule)


def _rules(observed: dict[tuple[str, str], _Observed]) -> Iterator[Learned]:
    for (method, pattern), seen in observed.items():
        for location, paths in seen.differed.items():
            if location not in seen.stayed:
                yield Learned(make_rule(method, pattern, location), sum(paths.values()), sum(seen.responses.values()))
                continue
            for path, count in paths.items():
                yield Learned(make_rule(method, path, location), count, seen.responses[path])


def _locations(
    request: Request, one: Response, other: Response, exact: bool, hide: Callable[[str], str] | None
) -> list[str]:
    """Return the locations that differ between two responses, as rules name them."""
    orders = list(dict.fromkeys(reordered_lists(one, other)))
    found = compare(one, other, SecretPairs(hide), orders)
    changes = [change for change in found if exact or not change.is_dynamic]
    trees = [change for change in changes if change.location.startswith("json:")]
    rest = rules_for_changes(request, (change for change in changes if not change.location.startswith("json:")))
    return [*map(str, orders), *_json_locations(trees, one), *(rule.location for rule in rest)]


def reordered_lists(one: Response, other: Response) -> Iterator[Unordered]:
    """Yield the lists of two JSON responses that have the same items in another order."""
    old, new = _document(one), _document(other)
    if old is not None and new is not None:
        yield from find_unordered(old, new)


def _document(response: Response) -> Any:
    parsed = parsed_body.parse(response.body, response.headers)
    return parsed.value if parsed.is_document else None


def _json_locations(changes: list[Change], one: Response) -> list[str]:
    """Return the locations of changes, with `[*]` for the index of a list if all of its items differ."""
    groups: dict[str, set[str]] = defaultdict(set)
    for change in changes:
        groups[any_index(change.location)].add(change.location)
    counts: dict[str, int] = defaultdict(int)
    if any("[*]" in wide for wide in groups):
        for steps, _ in json_path.leaves(_document(one)):
            counts[any_index(f"json:{json_path.write(steps)}")] += 1
    return [
        location
        for wide, narrow in groups.items()
        for location in ([wide] if len(narrow) >= counts[wide] else sorted(narrow))
    ]


def _has(response: Response, location: str) -> bool:
    """Return whether a response has a value at a location; if it does not differ there, it stayed the same."""
    kind, _, name = location.partition(":")
    if kind == "header":
        return any(field.lower() == name for field, _ in response.headers)
    if kind == "cookie":
        return any(f.lower() == "set-cookie" and v.partition("=")[0].strip() == name for f, v in response.headers)
    if kind != "json":
        return kind in ("status", "body")
    document = _document(response)
    paths = (f"json:{json_path.write(steps)}" for steps, _ in json_path.leaves(document))
    return any(path == location or any_index(path) == location for path in paths)


def rules_text(learned: Iterable[Learned]) -> str:
    """Return rules as lines of a rules file, each below a comment with its counts."""
    return "".join(f"# differed in {found.seen} of {found.total}\n{found.rule}\n" for found in learned)
