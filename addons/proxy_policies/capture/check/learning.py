"""Learning rules of noise from the differences between two runs of one build, as narrow as possible.

A rule has `*` for ids in the path, and for indices of a list, only if every response, or every item, differed there;
if the value stayed the same in one of them, the rules are for the others only. If nothing but values differed, the rule
is a matcher for values of the same JSON type: a missing value, null, or another type remains a change.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from proxy_policies.capture.bodies import json_path, parsed_body
from proxy_policies.capture.check.change import Change, field_locations
from proxy_policies.capture.check.diff import compare
from proxy_policies.capture.check.matchers import PREFIX, allows, parse_match
from proxy_policies.capture.check.noise import NoiseRule, make_rule, request_pattern, rules_for_changes
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.unordered import Unordered, any_index, find_unordered
from proxy_policies.capture.model import Request, Response
from proxy_policies.log_lines import quantity

Exchanges = Callable[[], Iterable[tuple[Request, Response, Response]]]
"""Returns each request with its responses in both runs; called twice."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A rule, and the number of responses that differed, of those for which it is."""

    rule: NoiseRule
    seen: int
    total: int

    def __str__(self) -> str:
        return f"{self.rule}  (differed in {self.seen} of {quantity(self.total, 'response')})"


@dataclass(slots=True)
class _Observed:
    """Responses to requests of one pattern: how many a path had, and at which locations they differed or stayed."""

    responses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    differed: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    stayed: set[str] = field(default_factory=set)
    widely: set[str] = field(default_factory=set)
    """Locations at which a value was added, removed, or of another type."""


def learn_rules(exchanges: Exchanges, exact: bool = False, hide: Callable[[str], str] | None = None) -> list[Learned]:
    """Return rules for the differences; unless `exact`, dynamic values need none. `hide` is passed to `SecretPairs`."""
    observed: dict[tuple[str, str], _Observed] = defaultdict(_Observed)
    for request, one, other in exchanges():
        seen, path = observed[request_pattern(request)], urlsplit(request.url).path or "/"
        seen.responses[path] += 1
        for location, is_wide in _locations(request, one, other, exact, hide).items():
            seen.differed[location][path] += 1
            seen.widely |= {location} if is_wide else set()
    for request, one, other in exchanges():
        seen = observed[request_pattern(request)]
        differing = _locations(request, one, other, exact, hide)
        for location in seen.differed:
            if location not in differing and _has(one, location):
                seen.stayed.add(location)
    return sorted(_rules(observed), key=lambda learned: learned.rule)


def _rules(observed: dict[tuple[str, str], _Observed]) -> Iterator[Learned]:
    for (method, pattern), seen in observed.items():
        for location, paths in seen.differed.items():
            what = location if location in seen.widely else _matching(location)
            if location not in seen.stayed:
                yield Learned(make_rule(method, pattern, what), sum(paths.values()), sum(seen.responses.values()))
                continue
            for path, count in paths.items():
                yield Learned(make_rule(method, path, what), count, seen.responses[path])


def _matching(location: str) -> str:
    """Return a matcher for other values at a location, or the location if there can be no matcher for it."""
    matcher = f"{PREFIX}{location.removeprefix('json:')}={'type' if location.startswith('json:') else 'any'}"
    try:
        return matcher if parse_match(matcher)[0] == location else location
    except ValueError:
        return location


def _locations(
    request: Request, one: Response, other: Response, exact: bool, hide: Callable[[str], str] | None
) -> dict[str, bool]:
    """Return the locations that differ between two responses, as rules name them, and whether not only in value."""
    orders = list(dict.fromkeys(reordered_lists(one, other)))
    found = compare(one, other, SecretPairs(hide), orders)
    changes = [change for change in found if exact or not change.is_dynamic]
    trees = [change for change in changes if change.location.startswith("json:")]
    rest = [change for change in changes if not change.location.startswith("json:")]
    values = {change.location for change in rest if change.kind == "changed"}
    places = {rule.location: rule.location not in values for rule in rules_for_changes(request, rest)}
    return dict.fromkeys(map(str, orders), True) | _json_locations(trees, one) | places


def reordered_lists(one: Response, other: Response) -> Iterator[Unordered]:
    """Yield the lists of two JSON responses that have the same items in another order."""
    old, new = _document(one), _document(other)
    if old is not None and new is not None:
        yield from find_unordered(old, new)


def _document(response: Response) -> Any:
    return parsed_body.parse(response.body, response.headers).document()


def _json_paths(response: Response) -> Iterator[str]:
    """Yield the locations of the leaves of a response that has a document."""
    return (f"json:{path}" for path, _, _ in json_path.written_leaves(_document(response)))


def _json_locations(changes: list[Change], one: Response) -> dict[str, bool]:
    """Return the locations of changes, with `[*]` for the index of a list if all of its items differ."""
    groups: dict[str, dict[str, bool]] = defaultdict(dict)
    for change in changes:
        is_value = change.kind == "changed" and allows(change.location, "type", change)
        groups[any_index(change.location)][change.location] = not is_value
    counts: dict[str, int] = defaultdict(int)
    if any("[*]" in wide for wide in groups):
        for path in _json_paths(one):
            counts[any_index(path)] += 1
    found: dict[str, bool] = {}
    for wide, narrow in groups.items():
        found |= {wide: any(narrow.values())} if len(narrow) >= counts[wide] else narrow
    return found


def _has(response: Response, location: str) -> bool:
    """Return whether a response has a value at a location; if it does not differ there, it stayed the same."""
    if location in ("status", "body", "cache"):
        return True
    if not location.startswith("json:"):
        return location in field_locations(response)
    return any(location in (path, any_index(path)) for path in _json_paths(response))


def rules_text(learned: Iterable[Learned]) -> str:
    """Return rules as lines of a rules file, each below a comment with its counts."""
    return "".join(f"# differed in {found.seen} of {found.total}\n{found.rule}\n" for found in learned)
