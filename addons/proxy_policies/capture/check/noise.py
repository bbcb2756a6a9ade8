"""Noise: differences between two runs of the same build, kept as rules that people can read and edit.

    GET /orders/*      header:x-node
    GET /orders/*      json:$.items[*].updated
    GET /              text:^Rendered in .* ms$
    GET /tags          unordered:$.tags
    GET /orders/*      match:$.total=number±0.01

A rule is a method, a path in which `*` is any segment, and a location; it is for requests with that method and path.
A JSON location includes everything inside it; `[*]` is any index, `[3]` that one. Lines that start with `#` are
comments. If there are matchers for a location (see `matchers.py`), they alone decide which changes are noise.
"""

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.check import matchers
from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.unordered import PREFIX, Unordered, any_index, parse_unordered
from proxy_policies.capture.model import Request
from proxy_policies.capture.secrets import word_model

FILE_HEADER = "# What differs by itself, learned by sending everything twice to the same build. Edit as you like.\n"
_VALUE_CHARACTERS = string.ascii_letters + string.digits + "-_:.,+/"
"""The characters of a value: 10:59:58 and 10:59:59 differ as a whole, not in the last digit."""
_VALUE = re.compile("[A-Za-z0-9_:.,+/-]+")
_ANY_VALUE = "[A-Za-z0-9_:.,+/-]*"
MAX_VALUES = 100
"""Maximum number of values in a pattern for a line; of a longer line, it has the beginning and the end."""
_LOCATION_PREFIXES = (
    "status",
    "cache",
    "header:",
    "cookie:",
    "trailer:",
    "json:",
    "text:",
    "body",
    "time",
    "unordered:",
    "match:",
)


@dataclass(frozen=True, slots=True, order=True)
class NoiseRule:
    """One rule of noise."""

    method: str
    path: str
    location: str
    _pattern: "re.Pattern[str] | None" = field(default=None, compare=False, repr=False)
    matcher: tuple[str, str] | None = field(default=None, compare=False, repr=False)
    """Location and matcher, if the rule has one."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.location}"

    def verdict(self, change: Change) -> bool | None:
        """Return whether the rule's matcher accepts this change; None if it has none for it."""
        if self.matcher and matchers.covers(*self.matcher, change):
            return matchers.allows(*self.matcher, change)
        return None

    def matches(self, change: Change) -> bool:
        """Return whether this change is noise, if the rule is for its request."""
        if self.location.startswith("text:"):
            return change.location.startswith("text:") and self._matches_lines(change)
        if not self.location.startswith("json:"):
            return self.location == change.location
        return bool(_location_pattern(self.location).match(change.location))

    def _matches_lines(self, change: Change) -> bool:
        pattern = self._pattern or re.compile(self.location[5:])
        lines = [*_lines(change.old), *_lines(change.new)]
        return all(pattern.search(line) for line in lines)


@lru_cache(1024)
def _location_pattern(location: str) -> re.Pattern[str]:
    """Return a pattern for a JSON location, in which `[*]` is any index, and for everything inside it."""
    return re.compile(r"\[\d+\]".join(re.escape(part) for part in location.split("[*]")) + r"(?:[.\[].*)?\Z", re.DOTALL)


def parse_rules(text: str, source: str = "noise") -> list[NoiseRule]:
    """Return the rules of a text, one per line. Raise ValueError with the number of the line."""
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        rules.append(_parse(line.split(None, 2), f"{source}, line {number}"))
    return rules


def _parse(parts: list[str], source: str) -> NoiseRule:
    if len(parts) != 3 or not parts[2].startswith(_LOCATION_PREFIXES):
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
    """Return `PATH=MATCHER` as a rule for all requests. Raise ValueError."""
    return _parse(["*", "**", f"{matchers.PREFIX}{spec}"], "--match")


def make_rule(method: str, path: str, location: str) -> NoiseRule:
    """Return a learned rule."""
    return _parse([method, path.replace(" ", "%20"), location], "learned")


def request_pattern(request: Request) -> tuple[str, str]:
    """Return the method, and the path with `*` for each segment that is a number or a dynamic value."""
    segments = urlsplit(request.url).path.split("/") or ["", ""]
    return request.method, "/".join(_segment_pattern(segment) for segment in segments) or "/"


def _segment_pattern(segment: str) -> str:
    return "*" if segment.isdigit() or dynamic_values.dynamic_kind(segment) else segment.replace(" ", "%20")


def rules_for_changes(request: Request, changes: Iterable[Change]) -> list[NoiseRule]:
    """Return rules for which these changes, between two runs of one build, are noise."""
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
        return [f"text:{_common_pattern(one, other)}" for one, other in zip(old, new, strict=True)]
    return [f"text:^{re.escape(line)}$" for line in (*old, *new)]


def _lines(text: object) -> list[str]:
    return [] if text is None else str(text).split("\n")


def _common_pattern(one: str, other: str) -> str:
    """Return a pattern for what two lines have in common: with the same text between their values, each equal word.

    Anything else that was the same twice, such as a time or a node's name, may differ next time.
    """
    before, after = (list(_VALUE.finditer(line)) for line in (one, other))
    dynamic = dynamic_values.spans(one)
    is_stable = [
        value[0] == new[0]
        and word_model.is_known_word(value[0].strip("-_:.,+/"))
        and not any(start < value.end() and value.start() < end for start, end in dynamic)
        for value, new in zip(before, after, strict=False)
    ]
    if _VALUE.split(one) != _VALUE.split(other) or len(before) > MAX_VALUES or is_stable.count(False) == 1:
        return _common_ends(one, other)
    pieces, done = [], 0
    for value, stays in zip(before, is_stable, strict=True):
        pieces += [_escape(one[done : value.start()]), _escape(value[0]) if stays else _ANY_VALUE]
        done = value.end()
    return f"^{''.join(pieces)}{_escape(one[done:])}$"


def _common_ends(one: str, other: str) -> str:
    """Return a pattern for the beginning and end that two lines have in common."""
    head = 0
    while head < min(len(one), len(other)) and one[head] == other[head]:
        head += 1
    tail = 0
    while tail < min(len(one), len(other)) - head and one[-1 - tail] == other[-1 - tail]:
        tail += 1
    return f"^{_escape(_before_value(one[:head]))}.*{_escape(_after_value(one[len(one) - tail :]))}$"


def _before_value(head: str) -> str:
    """Return the common beginning of two lines, without the beginning of a dynamic value."""
    spans = dynamic_values.spans(head)
    return head[: spans[0][0]] if spans else head.rstrip(_VALUE_CHARACTERS)


def _after_value(tail: str) -> str:
    """Return the common end of two lines, without the end of a dynamic value."""
    spans = dynamic_values.spans(tail)
    return tail[spans[-1][1] :] if spans else tail.lstrip(_VALUE_CHARACTERS)


def _escape(text: str) -> str:
    """Return a text escaped for a pattern, with spaces and hyphens as they are."""
    return re.escape(text).replace("\\ ", " ").replace("\\-", "-")


class NoiseRules:
    """Sorted rules, of which each request has its own."""

    def __init__(self, rules: Iterable[NoiseRule] = ()) -> None:
        self.rules = sorted(set(rules))
        self._patterns = [(rule, _path_pattern(rule.path)) for rule in self.rules]

    def split(
        self, request: Request, changes: Iterable[Change], exact: bool = True
    ) -> tuple[list[Change], list[Change]]:
        """Return the changes that count, and those that are noise; so are dynamic values unless `exact`."""
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
        """Return the lists of the response to this request whose order is ignored."""
        rules = self._rules_for(request)
        return [parse_unordered(rule.location) for rule in rules if rule.location.startswith(PREFIX)]

    def text(self) -> str:
        """Return the rules as the text of a rules file."""
        return FILE_HEADER + "".join(f"{rule}\n" for rule in self.rules)


def _is_noise(change: Change, rules: Iterable[NoiseRule], is_dynamic: bool) -> bool:
    """Return whether all matchers for a change accept it; without any, whether another rule makes it noise."""
    verdicts = [verdict for rule in rules if (verdict := rule.verdict(change)) is not None]
    if verdicts:
        return all(verdicts)
    return is_dynamic or any(rule.matches(change) for rule in rules)


def _differing_each_time(changes: Iterable[Change]) -> Iterator[Change]:
    """Yield the changes between values that differ each time, if each id replaces one other id, wherever it is.

    An id that was at another place before has moved. An id in place of two, or two in place of one, is a broken link.
    """
    dynamic = [change for change in changes if change.is_dynamic]
    before = {change.old for change in dynamic if change.old != change.new and not dynamic_values.has_time(change.old)}
    new_of: dict[object, object] = {}
    old_of: dict[object, object] = {}
    for change in dynamic:
        is_time = dynamic_values.has_time(change.old)
        is_pair = new_of.setdefault(change.old, change.new) == change.new
        is_pair &= old_of.setdefault(change.new, change.old) == change.old
        if change.new not in before and (is_time or is_pair):
            yield change


def _path_pattern(path: str) -> "re.Pattern[str]":
    return re.compile("[^/]*".join(re.escape(part) for part in path.split("*")).replace("[^/]*[^/]*", ".*"))
