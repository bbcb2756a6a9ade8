"""Noise: what differs between two runs of the same build, kept as rules that people can read and edit.

    GET /orders/*      header:x-node
    GET /orders/*      json:$.items[*].updated
    GET /              text:^Rendered in .* ms$
    GET /tags          unordered:$.tags
    GET /orders/*      match:$.total=number±0.01

A rule is a method, a path in which `*` stands for any segment, and a location; it is for requests like these only.
A JSON location covers all that is inside it; `[*]` is any index, `[3]` that one. Lines with `#` first are comments.
A matcher (see `matchers.py`) says what a value may be, and nothing else is passed over at its path.
"""

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.check import matchers
from proxy_policies.capture.check.diff import Change
from proxy_policies.capture.check.unordered import PREFIX, Unordered, any_index, parse_unordered
from proxy_policies.capture.model import Request

HEAD = "# What differs by itself, learned by sending everything twice to the same build. Edit as you like.\n"
_VALUE = string.ascii_letters + string.digits + "-_:.,+/"
"""What a value may be made of: 10:59:58 and 10:59:59 differ as wholes, not in their last digit."""
_KINDS = ("status", "cache", "header:", "cookie:", "trailer:", "json:", "text:", "body", "time", "unordered:", "match:")


@dataclass(frozen=True, slots=True, order=True)
class NoiseRule:
    """One rule of noise."""

    method: str
    path: str
    location: str
    _pattern: "re.Pattern[str] | None" = field(default=None, compare=False, repr=False)
    matcher: tuple[str, str] | None = field(default=None, compare=False, repr=False)
    """The location and the matcher of a rule that has one."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.location}"

    def verdict(self, change: Change) -> bool | None:
        """Return whether a matcher lets this change pass; None when the rule is not one for it."""
        if self.matcher and matchers.covers(*self.matcher, change):
            return matchers.allows(*self.matcher, change)
        return None

    def matches(self, change: Change) -> bool:
        """Return whether this change is noise, for a request the rule is for."""
        if self.location.startswith("text:"):
            return change.location.startswith("text:") and self._matches_lines(change)
        if not self.location.startswith("json:"):
            return self.location == change.location
        return bool(_inside(self.location).match(change.location))

    def _matches_lines(self, change: Change) -> bool:
        pattern = self._pattern or re.compile(self.location[5:])
        lines = [*_lines(change.old), *_lines(change.new)]
        return all(pattern.search(line) for line in lines)


@lru_cache(1024)
def _inside(location: str) -> re.Pattern[str]:
    """Return a pattern for a JSON location, in which `[*]` is any index, and for all that is inside it."""
    return re.compile(r"\[\d+\]".join(re.escape(part) for part in location.split("[*]")) + r"(?:[.\[].*)?\Z", re.DOTALL)


def parse_rules(text: str, source: str = "noise") -> list[NoiseRule]:
    """Read rules, one to a line. Raises ValueError naming the line."""
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        rules.append(_parse(line.split(None, 2), f"{source}, line {number}"))
    return rules


def _parse(parts: list[str], source: str) -> NoiseRule:
    if len(parts) != 3 or not parts[2].startswith(_KINDS):
        raise ValueError(f"{source}: write METHOD PATH LOCATION, as: GET /orders/* json:$.updated")
    location = parts[2].rstrip()
    try:
        pattern = re.compile(location[5:]) if location.startswith("text:") else None
    except re.error as error:
        raise ValueError(f"{source}: {location[5:]!r} is not a valid regular expression: {error}") from None
    try:
        if location.startswith(PREFIX):
            parse_unordered(location)
        matcher = matchers.parse_match(location) if location.startswith(matchers.PREFIX) else None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return NoiseRule(parts[0], parts[1], location, pattern, matcher)


def match_rule(spec: str) -> NoiseRule:
    """Read `PATH=MATCHER` as a rule for all requests. Raises ValueError."""
    return _parse(["*", "**", f"{matchers.PREFIX}{spec}"], "--match")


def make_rule(method: str, path: str, location: str) -> NoiseRule:
    """Return a rule that was learned."""
    return _parse([method, path.replace(" ", "%20"), location], "learned")


def request_pattern(request: Request) -> tuple[str, str]:
    """Return the method, and the path with `*` for every segment that is a number or differs each time."""
    segments = urlsplit(request.url).path.split("/") or ["", ""]
    return request.method, "/".join(_shape(segment) for segment in segments) or "/"


def _shape(segment: str) -> str:
    return "*" if segment.isdigit() or dynamic_values.kind_of(segment) else segment.replace(" ", "%20")


def learn(request: Request, changes: Iterable[Change]) -> list[NoiseRule]:
    """Return the rules that take these changes, seen between two runs of one build, for noise."""
    method, path = request_pattern(request)
    locations = {location for change in changes for location in _locations(change)}
    return sorted(_parse([method, path, location], "learned") for location in locations)


def _locations(change: Change) -> list[str]:
    if change.location.startswith("json:"):
        return [any_index(change.location)]
    if not change.location.startswith("text:"):
        return [change.location]
    old, new = _lines(change.old), _lines(change.new)
    if len(old) == len(new):
        return [f"text:{_common(one, other)}" for one, other in zip(old, new, strict=True)]
    return [f"text:^{re.escape(line)}$" for line in (*old, *new)]


def _lines(text: object) -> list[str]:
    return [] if text is None else str(text).split("\n")


def _common(one: str, other: str) -> str:
    """Return a pattern for what two lines have in common at their beginning and end."""
    head = 0
    while head < min(len(one), len(other)) and one[head] == other[head]:
        head += 1
    tail = 0
    while tail < min(len(one), len(other)) - head and one[-1 - tail] == other[-1 - tail]:
        tail += 1
    return f"^{_escape(_before_value(one[:head]))}.*{_escape(_after_value(one[len(one) - tail :]))}$"


def _before_value(head: str) -> str:
    """Cut what two lines begin with where a value that differs each time may begin, though these two shared a part."""
    spans = dynamic_values.spans(head)
    return head[: spans[0][0]] if spans else head.rstrip(_VALUE)


def _after_value(tail: str) -> str:
    spans = dynamic_values.spans(tail)
    return tail[spans[-1][1] :] if spans else tail.lstrip(_VALUE)


def _escape(text: str) -> str:
    """Escape for a pattern, leaving spaces readable."""
    return re.escape(text).replace("\\ ", " ").replace("\\-", "-")


class Noise:
    """Rules by the requests they are for."""

    def __init__(self, rules: Iterable[NoiseRule] = ()) -> None:
        self.rules = sorted(set(rules))
        self._patterns = [(rule, _path_pattern(rule.path)) for rule in self.rules]

    def split(
        self, request: Request, changes: Iterable[Change], exact: bool = True
    ) -> tuple[list[Change], list[Change]]:
        """Return the changes that count, and those that are noise; unless `exact` what differs each time is, too."""
        rules = self._rules_for(request)
        counted: list[Change] = []
        noisy: list[Change] = []
        changes = list(changes)
        dynamic = {change.location for change in (() if exact else _differing_each_time(changes))}
        for change in changes:
            (noisy if _is_noise(change, rules, change.location in dynamic) else counted).append(change)
        return counted, noisy

    def _rules_for(self, request: Request) -> list[NoiseRule]:
        path = urlsplit(request.url).path or "/"
        return [
            rule for rule, found in self._patterns if rule.method in (request.method, "*") and found.fullmatch(path)
        ]

    def unordered(self, request: Request) -> list[Unordered]:
        """Return the lists whose order means nothing in the answers to this request."""
        rules = self._rules_for(request)
        return [parse_unordered(rule.location) for rule in rules if rule.location.startswith(PREFIX)]

    def text(self) -> str:
        """Return the rules as the text of a rules file."""
        return HEAD + "".join(f"{rule}\n" for rule in self.rules)


def _is_noise(change: Change, rules: Iterable[NoiseRule], is_dynamic: bool) -> bool:
    """Return what the matchers for a change say, all of them; where there is none, what the other rules do."""
    verdicts = [verdict for rule in rules if (verdict := rule.verdict(change)) is not None]
    if verdicts:
        return all(verdicts)
    return is_dynamic or any(rule.matches(change) for rule in rules)


def _differing_each_time(changes: Iterable[Change]) -> Iterator[Change]:
    """Yield the changes between values that differ each time: an id that was at another place before has moved."""
    dynamic = [change for change in changes if change.is_dynamic]
    before = {change.old for change in dynamic if change.old != change.new and not dynamic_values.has_time(change.old)}
    yield from (change for change in dynamic if change.new not in before)


def _path_pattern(path: str) -> "re.Pattern[str]":
    return re.compile("[^/]*".join(re.escape(part) for part in path.split("*")).replace("[^/]*[^/]*", ".*"))
