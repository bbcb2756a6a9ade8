"""The one grammar of every `*_rules` option: `/flow-filter/action`.

The first character is the separator and must be neither letter nor digit nor
white space; the filter stands between the first two of them and may be empty
(it then matches every flow); the action is the rest of the text, separators
included.

Rules act when a head has come, before its body: that is when a field can still
be changed and a large body still be streamed.
"""

import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyparsing
from mitmproxy import flow, flowfilter

pyparsing.ParserElement.enable_packrat()  # before pyparsing 3.3 mitmproxy's grammar takes seconds for six parentheses

BODY_FILTERS = (flowfilter.FBod, flowfilter.FBodRequest, flowfilter.FBodResponse, flowfilter.FErr)
"""What no rule can ask for: bodies and errors come after heads."""
DEEPEST = 100
"""Levels of `!`, `&` and `|` in a filter: matching takes one call a level, of which Python allows a thousand in all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: which flows it is for, and what is to be done with them."""

    filter: flowfilter.TFilter
    action: str
    spec: str
    """The rule as the user wrote it."""
    filter_text: str

    def matches(self, subject: flow.Flow) -> bool:
        """Return whether the rule is for this flow."""
        return bool(self.filter(subject))


def parse_rule(spec: str) -> Rule:
    """Read one rule; raises ValueError with what is wrong and what would be right."""
    separator = spec[:1]
    if not separator or separator.isalnum() or separator.isspace():
        raise ValueError(f"{spec!r} is not a valid rule; write /flow-filter/action, for example //{spec or 'action'}")
    filter_text, found, action = spec[1:].partition(separator)
    if not found:
        raise ValueError(f"{spec!r} lacks its second {separator!r}; write {separator}flow-filter{separator}action")
    if not action:
        raise ValueError(f"{spec!r} lacks its action; write {separator}flow-filter{separator}action")
    matching = parse_filter(filter_text)
    if late := [part.code for part in walk_filter(matching) if isinstance(part, BODY_FILTERS)]:
        raise ValueError(f"{spec!r} would never act: rules are for heads, which come before what ~{late[0]} looks at")
    return Rule(matching, action, spec, filter_text)


def parse_filter(text: str) -> flowfilter.TFilter:
    """Read a mitmproxy flow filter, "" matching everything; raises ValueError quoting it."""
    if not text.strip():
        return flowfilter.match_all
    try:
        matching = flowfilter.parse(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{text!r} is not a valid flow filter; see https://docs.mitmproxy.org/stable/concepts/filters/"
        ) from error
    if len(list(levels(matching))) > DEEPEST:
        raise ValueError(f"{reprlib.repr(text)} is not a valid flow filter: it is nested more than {DEEPEST} deep")
    return matching


def walk_filter(node: Any) -> Iterator[Any]:
    """Walk a flow filter."""
    return chain.from_iterable(levels(node))


def levels(node: Any) -> Iterator[list[Any]]:
    """Return a flow filter's parts, level by level: `&` and `|` hold a list, `!` one item."""
    level = [node]
    while level:
        yield level
        level = [part for node in level for part in (*getattr(node, "lst", ()), *_negated(node))]


def _negated(node: Any) -> list[Any]:
    return [node.itm] if hasattr(node, "itm") else []


def parse_rules[T](read: Callable[[Rule], T]) -> Callable[[Sequence[str]], tuple[T, ...]]:
    """Make the parser of a `*_rules` option from what reads one rule."""

    def parse(specs: Sequence[str]) -> tuple[T, ...]:
        return tuple(_read_one(read, spec) for spec in specs)

    return parse


def _read_one[T](read: Callable[[Rule], T], spec: str) -> T:
    try:
        return read(parse_rule(spec))
    except ValueError as error:
        raise ValueError(f"{error}{_other_separator(spec)}") from error


def _other_separator(spec: str) -> str:
    """Return how the rule may have been meant, where its separator may well be part of its filter; "" elsewhere."""
    separator, (filter_text, _, action) = spec[:1], spec[1:].rpartition(spec[:1])
    other = next((char for char in "|:!;#" if char not in spec), "")
    if separator not in filter_text[1:] or spec[1] == separator or not other or not _is_filter(filter_text):
        return ""
    return f"; if {separator!r} is part of the filter, choose another separator: {other}{filter_text}{other}{action}"


def _is_filter(text: str) -> bool:
    try:
        return bool(text.strip() and parse_filter(text))
    except ValueError:
        return False
