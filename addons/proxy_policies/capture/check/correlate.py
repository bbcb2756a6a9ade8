"""Values of responses that later requests send back: found in a recording, and replaced by live ones when it is sent.

A session cookie, a token or the id of a new object is the same text in both. When the recording is sent again, the
value at the same location of the live response replaces it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache

from proxy_policies.capture import dynamic_values, locations
from proxy_policies.capture.check.link_table import Link, LinkTable
from proxy_policies.capture.check.request_value_index import RequestValueIndex
from proxy_policies.capture.files.temporary_database import SpilledMapping
from proxy_policies.capture.locations import Location
from proxy_policies.capture.model import Entries, Entry, Request, Response
from proxy_policies.capture.secrets.names import is_secret_name, words
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, identity
from proxy_policies.capture.secrets.values import is_random
from proxy_policies.capture.websocket.transcript import as_requests, comparable_response

_ID_WORDS = frozenset(
    ["id", "ids", "uuid", "guid", "key", "slug", "number", "no", "ref", "code", "handle", "cursor", "etag"]
)
_DISTINCTIVE = re.compile(r"(?=.*\d)\S{6,}\Z")  # long enough, and with a digit: not equal by chance


@dataclass(frozen=True, slots=True)
class CarryRule:
    """A rule of the user: each request that has the location `target` gets the latest live value of `source` there."""

    source: str
    target: str


def parse_carry_rules(specs: Iterable[str]) -> tuple[CarryRule, ...]:
    """Read `LOCATION=LOCATION`, as `json:$.csrf=header:x-csrf-token`. Raise ValueError."""
    rules = []
    for spec in specs:
        source, equals, target = spec.partition("=")
        if not equals or ":" not in source or ":" not in target:
            raise ValueError(f"{spec!r}: write its source and its target: json:$.csrf=header:x-csrf-token")
        rules.append(CarryRule(source, target))
    return tuple(rules)


def find_links(
    order: Sequence[int], entries: Entries, identity_of: Callable[[str], str] = identity, within_texts: bool = False
) -> LinkTable:
    """Return the links of entries in this order, guessed: each from the latest earlier response with the value.

    `identity_of(value)` returns the identity of a value's placeholder: a recording may have the value in one place, the
    placeholder in another. Identifiers `within_texts` are used for requests whose value is nowhere by itself. Entries
    are read from the last, so that only values of later requests are kept.
    """
    search = _Search(order, identity_of, within_texts)
    with closing(search.later_values), closing(search.later_ids):
        for at in reversed(range(len(order))):
            entry = entries[order[at]]
            if search.later_values:
                search.add_response(at, comparable_response(entry))
            search.add_request(at, entry)
    return search.links


@dataclass(slots=True)
class _Search:
    """The links found, and the values of later requests by which more may be found."""

    order: Sequence[int]
    identity_of: Callable[[str], str]
    within_texts: bool
    links: LinkTable = field(default_factory=LinkTable)
    later_values: RequestValueIndex = field(default_factory=RequestValueIndex)
    later_ids: RequestValueIndex = field(default_factory=RequestValueIndex)
    """Those that may be within texts."""

    def add_response(self, at: int, response: Response) -> None:
        """Add links from the response of an entry; one from within a text only if there is no other."""
        for source in locations.values_in_response(response, self.within_texts):
            is_within = source.where.startswith(locations.WITHIN)
            if not (_is_unique(source.value) if is_within else _is_correlatable(source)):
                continue
            is_probable = _is_named_alike if is_within else _is_probable
            for position, target in (self.later_ids if is_within else self.later_values).pop(
                self.identity_of(source.value)
            ):
                if is_probable(source, target):
                    link = Link(self.order[at], source.where, self.order[position[0]], target.where, target.value)
                    self.links.add(position, link, is_fallback=is_within)

    def add_request(self, at: int, entry: Entry) -> None:
        """Add the values of an entry's request."""
        for index, target in enumerate(_request_locations(entry)):
            if _may_be_linked(target):
                key = self.identity_of(target.value)
                self.later_values.add(key, (at, index), target)
                if self.within_texts and _is_unique(target.value):
                    self.later_ids.add(key, (at, index), target)


def _is_unique(value: str) -> bool:
    """Return whether a value within a text may be an identifier: a number, a placeholder, or random."""
    return value.isdigit() or bool(PLACEHOLDER.fullmatch(value)) or is_random(value)


def _is_named_alike(source: Location, target: Location) -> bool:
    """Return whether an identifier within a text, named by the word before it, was probably sent back.

    A number must follow the same noun in both: `order 17` and `/orders/17`.
    """
    if not source.value.isdigit():
        return True
    noun, name = words(source.name), words(target.name)
    return bool(noun and name) and target.where.startswith("path:") and noun[-1].rstrip("s") == name[-1].rstrip("s")


def _may_be_linked(target: Location) -> bool:
    return _is_id(target.name) or target.where.startswith("path:") or _is_distinctive(target.value)


def _request_locations(entry: Entry) -> Iterator[Location]:
    """Yield the locations of an entry's request, and of messages from a WebSocket client, each once."""
    return iter(
        dict.fromkeys(location for request in as_requests(entry) for location in locations.values_in_request(request))
    )


def _is_correlatable(location: Location) -> bool:
    """Return whether requests may send a value back: it is a secret, an identifier, or unlikely to recur by chance."""
    value = location.value
    if len(value) > 4096 or not value:
        return False
    return _is_id(location.name) or is_secret_name(location.name) or _is_distinctive(value)


def _is_distinctive(value: str) -> bool:
    """Return whether a value is unlikely to be in two places by chance."""
    return bool(
        PLACEHOLDER.search(value) or _DISTINCTIVE.match(value) or dynamic_values.dynamic_kind(value)
    ) or is_random(value)


@lru_cache(4096)  # the documents of an API have the same names
def _is_id(name: str) -> bool:
    parts = words(name)
    return bool(parts) and parts[-1] in _ID_WORDS


def _is_probable(source: Location, target: Location) -> bool:
    """Return whether a value that is at both locations was probably sent back, and is not there by chance."""
    if any(_is_distinctive(location.value) for location in (source, target)):
        return not source.where.startswith("cookie:") or target.where.startswith(("cookie:", "header:", "form:"))
    return _is_id(source.name) and (_is_id(target.name) or target.where.startswith("path:"))


class Correlator:
    """Replaces linked values of requests by those of live responses, while a recording is sent again."""

    def __init__(self, links: LinkTable, carry_rules: tuple[CarryRule, ...] = ()) -> None:
        self._links = links
        self._carry_rules = carry_rules
        self._values = SpilledMapping()  # by the number of an entry and the location in its response
        self._latest: dict[str, str] = {}

    def learn(self, number: int, live: Response) -> None:
        """Remember the linked values of the live response of an entry."""
        linked_sources = self._links.sources_in(number)
        sources = {rule.source for rule in self._carry_rules}
        if not linked_sources and not sources:
            return
        within_texts = any(source.startswith(locations.WITHIN) for source in linked_sources)
        for location in locations.values_in_response(live, within_texts):
            if location.where in linked_sources:
                linked_sources.remove(location.where)  # the first one counts
                self._values.put(f"{number} {location.where}", location.value)
            if location.where in sources:
                self._latest[location.where] = location.value

    def apply(self, number: int, request: Request) -> Request:
        """Return the request with live values at its linked locations."""
        values = {}
        for link in self._links.to_entry(number):
            value = self._values.get(f"{link.source_entry} {link.source}")
            if value is not None:
                values[link.target] = value
        values |= {rule.target: self._latest[rule.source] for rule in self._carry_rules if rule.source in self._latest}
        return locations.set_values(request, values)

    def needs(self, number: int) -> set[int]:
        """Return the numbers of the entries whose live responses this one needs."""
        return {link.source_entry for link in self._links.to_entry(number)}
