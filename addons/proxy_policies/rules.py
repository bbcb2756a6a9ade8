"""The grammar of every `*_rules` option: `/flow-filter/action`.

The first character is the separator, which must be neither a letter nor a digit nor white space. The filter is between
the first two separators; an empty one matches every flow. The action is the rest of the text, which may contain
separators.

Rules are applied after a message's head and before its body: then a field can still be changed, and a large body still
be streamed.
"""

import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyparsing
from mitmproxy import flow, flowfilter

pyparsing.ParserElement.enable_packrat()  # before pyparsing 3.3, six parentheses take mitmproxy's grammar seconds

BODY_FILTERS = (flowfilter.FBod, flowfilter.FBodRequest, flowfilter.FBodResponse, flowfilter.FErr)
"""Filters that a rule cannot use: bodies and errors come after heads."""
MAX_DEPTH = 100
"""Levels of `!`, `&` and `|` in a filter: matching recurses once per level, and Python allows 1000 nested calls."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: which flows it matches, and the action for them."""

    filter: flowfilter.TFilter
    action: str
    spec: str
    """The rule as the user wrote it."""
    filter_text: str

    def matches(self, subject: flow.Flow) -> bool:
        """Return whether the rule applies to this flow."""
        return bool(self.filter(subject))


def parse_rule(spec: str) -> Rule:
    """Return a rule; raise ValueError that says what is wrong and how to write it."""
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
        raise ValueError(f"{spec!r} would never match: rules apply to heads, before ~{late[0]} can be evaluated")
    return Rule(matching, action, spec, filter_text)


def parse_filter(text: str) -> flowfilter.TFilter:
    """Return a mitmproxy flow filter; "" matches every flow. Raise ValueError that quotes an invalid one."""
    if not text.strip():
        return flowfilter.match_all
    try:
        matching = flowfilter.parse(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{text!r} is not a valid flow filter; see https://docs.mitmproxy.org/stable/concepts/filters/"
        ) from error
    if len(list(levels(matching))) > MAX_DEPTH:
        raise ValueError(f"{reprlib.repr(text)} is not a valid flow filter: nested more than {MAX_DEPTH} deep")
    return matching


def walk_filter(node: Any) -> Iterator[Any]:
    """Return all parts of a flow filter."""
    return chain.from_iterable(levels(node))


def levels(node: Any) -> Iterator[list[Any]]:
    """Return a flow filter's parts, level by level: `&` and `|` have a list of operands, `!` has one."""
    level = [node]
    while level:
        yield level
        level = [part for node in level for part in (*getattr(node, "lst", ()), *_negated(node))]


def _negated(node: Any) -> list[Any]:
    return [node.itm] if hasattr(node, "itm") else []


def parse_rules[T](read: Callable[[Rule], T]) -> Callable[[Sequence[str]], tuple[T, ...]]:
    """Return the parser of a `*_rules` option, given the parser of one rule."""

    def parse(specs: Sequence[str]) -> tuple[T, ...]:
        return tuple(_read_one(read, spec) for spec in specs)

    return parse


def _read_one[T](read: Callable[[Rule], T], spec: str) -> T:
    try:
        return read(parse_rule(spec))
    except ValueError as error:
        raise ValueError(f"{error}{_other_separator(spec)}") from error


def _other_separator(spec: str) -> str:
    """Return the rule with another separator, as a suggestion, if its separator may be part of its filter; else ""."""
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
