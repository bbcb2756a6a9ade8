"""Values that a response handed out and later requests handed back: found in a recording, carried over when re-sending.

A session cookie, a token, the id of what was just created: in the recording they are the same text in both
places. When the recording is sent again, the live response's value at the same location takes its place.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from proxy_policies.capture import dynamic_values, locations
from proxy_policies.capture.check.handed_back import HandedBack
from proxy_policies.capture.check.link_table import Link, LinkTable
from proxy_policies.capture.check.spilled_mapping import SpilledMapping
from proxy_policies.capture.locations import Location
from proxy_policies.capture.model import Entry, Request, Response
from proxy_policies.capture.secrets.names import is_secret_name, words
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, identity
from proxy_policies.capture.secrets.values import is_random
from proxy_policies.capture.websocket.transcript import as_requests, comparable_response


class Entries(Protocol):
    """Entries by number."""

    def __getitem__(self, number: int, /) -> Entry: ...


_ID_WORDS = frozenset(
    ["id", "ids", "uuid", "guid", "key", "slug", "number", "no", "ref", "code", "handle", "cursor", "etag"]
)
_FREE = re.compile(r"(?=.*\d)\S{6,}\Z")  # long enough, and with a digit: not equal by chance


@dataclass(frozen=True, slots=True)
class CarryRule:
    """A rule of the user's: whatever was last handed out at one location is handed back at another, if it is there."""

    source: str
    target: str


def parse_carries(specs: Iterable[str]) -> tuple[CarryRule, ...]:
    """Read `LOCATION=LOCATION`, as `json:$.csrf=header:x-csrf-token`. Raises ValueError."""
    carries = []
    for spec in specs:
        source, equals, target = spec.partition("=")
        if not equals or ":" not in source or ":" not in target:
            raise ValueError(f"{spec!r}: write where it comes from and where it goes: json:$.csrf=header:x-csrf-token")
        carries.append(CarryRule(source, target))
    return tuple(carries)


def find_links(order: Sequence[int], entries: Entries, hide: Callable[[str], str] = str) -> LinkTable:
    """Return the guessed links of entries in this order, each from the latest response that handed the value out.

    `hide(value)` returns the placeholder of a value: one place may have the value, another what stands for it.
    The last entry is looked at first: what no later request hands back need not be remembered.
    """
    links = LinkTable()
    with closing(HandedBack()) as handed_back:
        for at in reversed(range(len(order))):
            entry = entries[order[at]]
            for source in locations.values_in_response(comparable_response(entry)) if handed_back else ():
                if _is_correlatable(source):
                    for place, target in handed_back.pop(identity(hide(source.value))):
                        if _fit(source, target):
                            where = Link(order[at], source.where, order[place[0]], target.where, target.value)
                            links.add(place, where)
            for index, target in enumerate(_handed_back(entry)):
                if _may_be_carried(target):
                    handed_back.add(identity(hide(target.value)), (at, index), target)
    return links


def _may_be_carried(target: Location) -> bool:
    return _is_id(target.name) or target.where.startswith("path:") or _is_telling(target.value)


def _handed_back(entry: Entry) -> Iterator[Location]:
    """Yield the locations of a request and of what a WebSocket client says; each once."""
    return iter(
        dict.fromkeys(location for request in as_requests(entry) for location in locations.values_in_request(request))
    )


def _is_correlatable(location: Location) -> bool:
    """Return whether a value may well be handed back: a secret, an identifier, or too odd to be there by chance."""
    value = location.value
    if len(value) > 4096 or not value:
        return False
    return _is_telling(value) or is_secret_name(location.name) or _is_id(location.name)


def _is_telling(value: str) -> bool:
    """Return whether a value is in two places because it went from one to the other, wherever they are."""
    return bool(PLACEHOLDER.search(value) or _FREE.match(value) or dynamic_values.kind_of(value)) or is_random(value)


def _is_id(name: str) -> bool:
    parts = words(name)
    return bool(parts) and parts[-1] in _ID_WORDS


def _fit(source: Location, target: Location) -> bool:
    """Return whether the value went from one location to the other, rather than being there by chance."""
    if any(_is_telling(location.value) for location in (source, target)):
        return not source.where.startswith("cookie:") or target.where.startswith(("cookie:", "header:", "form:"))
    return _is_id(source.name) and (_is_id(target.name) or target.where.startswith("path:"))


class Correlator:
    """Carries live values over while a recording is sent again."""

    def __init__(self, links: LinkTable, carries: tuple[CarryRule, ...] = ()) -> None:
        self._links = links
        self._carries = carries
        self._values = SpilledMapping()  # by the number of an entry and the location in its response
        self._latest: dict[str, str] = {}

    def learn(self, number: int, live: Response) -> None:
        """Remember what the live response of an entry handed out."""
        wanted = {link.source for link in self._links.from_entry(number)}
        sources = {carry.source for carry in self._carries}
        if not wanted and not sources:
            return
        for location in locations.values_in_response(live):
            if location.where in wanted:
                wanted.remove(location.where)  # the first one counts
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
        values |= {carry.target: self._latest[carry.source] for carry in self._carries if carry.source in self._latest}
        return locations.set_values(request, values)

    def needs(self, number: int) -> set[int]:
        """Return the entries whose live responses this one needs."""
        return {link.source_entry for link in self._links.to_entry(number)}
