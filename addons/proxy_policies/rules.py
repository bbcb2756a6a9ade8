"""The one grammar of every `*_rules` option: `/flow-filter/action`.

The first character is the separator and must be neither letter nor digit nor
white space; the filter stands between the first two of them and may be empty
(it then matches every flow); the action is the rest of the text, separators
included.

Rules act when a head has come, before its body: that is when a field can still
be changed and a large body still be streamed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mitmproxy import flow, flowfilter

NOT_YET_KNOWN = (flowfilter.FBod, flowfilter.FBodRequest, flowfilter.FBodResponse, flowfilter.FErr)
"""What no rule can ask for: bodies and errors come after heads."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: which flows it is for, and what is to be done with them."""

    filter: flowfilter.TFilter
    action: str
    spec: str
    """The rule as the user wrote it."""
    filter_text: str

    def matches(self, subject: flow.Flow) -> bool:
        """Say whether the rule is for this flow."""
        return bool(self.filter(subject))


def parse_rule(spec: str) -> Rule:
    """Read one rule; raises ValueError with what is wrong and what would be right."""
    separator = spec[:1]
    if not separator or separator.isalnum() or separator.isspace():
        raise ValueError(f"{spec!r} is no rule; write /flow-filter/action, for example //{spec or 'action'}")
    filter_text, found, action = spec[1:].partition(separator)
    if not found:
        raise ValueError(f"{spec!r} lacks its second {separator!r}; write {separator}flow-filter{separator}action")
    if not action:
        raise ValueError(f"{spec!r} lacks its action; write {separator}flow-filter{separator}action")
    matching = parse_filter(filter_text)
    if late := [part.code for part in parts(matching) if isinstance(part, NOT_YET_KNOWN)]:
        raise ValueError(f"{spec!r} would never act: rules are for heads, which come before what ~{late[0]} looks at")
    return Rule(matching, action, spec, filter_text)


def parse_filter(text: str) -> flowfilter.TFilter:
    """Read a mitmproxy flow filter, "" matching everything; raises ValueError quoting it."""
    if not text.strip():
        return flowfilter.match_all
    try:
        return flowfilter.parse(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{text!r} is no flow filter; see https://docs.mitmproxy.org/stable/concepts/filters/"
        ) from error


def parts(node: Any) -> Iterator[Any]:
    """Walk a flow filter: `&` and `|` hold a list, `!` one item."""
    yield node
    for part in getattr(node, "lst", ()):
        yield from parts(part)
    if (negated := getattr(node, "itm", None)) is not None:
        yield from parts(negated)


def parse_rules[T](read: Callable[[Rule], T]) -> Callable[[Sequence[str]], tuple[T, ...]]:
    """Make the parser of a `*_rules` option from what reads one rule."""

    def parse(specs: Sequence[str]) -> tuple[T, ...]:
        return tuple(read(parse_rule(spec)) for spec in specs)

    return parse
