"""Values that a response handed out and later requests handed back: found in a recording, carried over when re-sending.

A session cookie, a token, the id of what was just created: in the recording they are the same text in both
places. When the recording is sent again, the live response's value at the same spot takes its place.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from proxy_policies.capture import dynamic, spots
from proxy_policies.capture.model import Entry, Request, Response
from proxy_policies.capture.secrets import PLACEHOLDER, is_secret_name, words
from proxy_policies.capture.spots import Spot
from proxy_policies.capture.transcript import asked, recorded

_ID_WORDS = frozenset(
    ["id", "ids", "uuid", "guid", "key", "slug", "number", "no", "ref", "code", "handle", "cursor", "etag"]
)
_FREE = re.compile(r"(?=.*\d)\S{6,}\Z")  # long enough, and with a digit: not equal by chance


@dataclass(frozen=True, slots=True)
class Link:
    """What entry `source` handed out at one spot is handed back by entry `target` at another."""

    source: int
    out: str
    target: int
    back: str
    value: str

    def __str__(self) -> str:
        return f"entry {self.source + 1} {self.out} → entry {self.target + 1} {self.back}"


@dataclass(frozen=True, slots=True)
class Carry:
    """A rule of the user's: whatever was last handed out at one spot is handed back at another, if it is there."""

    out: str
    back: str


def parse_carries(specs: Iterable[str]) -> tuple[Carry, ...]:
    """Read `SPOT=SPOT`, as `json:$.csrf=header:x-csrf-token`. Raises ValueError."""
    carries = []
    for spec in specs:
        out, equals, back = spec.partition("=")
        if not equals or ":" not in out or ":" not in back:
            raise ValueError(f"{spec!r}: write where it comes from and where it goes: json:$.csrf=header:x-csrf-token")
        carries.append(Carry(out, back))
    return tuple(carries)


def find_links(entries: Iterable[tuple[int, Entry]]) -> list[Link]:
    """Return the guessed links of numbered entries, each from the latest response that handed the value out."""
    handed_out: dict[str, tuple[int, Spot]] = {}
    links = []
    for number, entry in entries:
        links += [
            Link(handed_out[spot.value][0], handed_out[spot.value][1].where, number, spot.where, spot.value)
            for spot in _handed_back(entry)
            if spot.value in handed_out and _fit(handed_out[spot.value][1], spot)
        ]
        for spot in spots.in_response(recorded(entry)):
            if _is_telling(spot):
                known = handed_out.get(spot.value)
                if known is None or known[0] != number:  # the first spot of a response is as good as its others
                    handed_out[spot.value] = (number, spot)
    return links


def _handed_back(entry: Entry) -> Iterator[Spot]:
    """Yield the spots of a request and of what a WebSocket client says; each once."""
    return iter(dict.fromkeys(spot for request in asked(entry) for spot in spots.in_request(request)))


def _is_telling(spot: Spot) -> bool:
    """Say whether a value may well be handed back: a secret, an identifier, or too odd to be there by chance."""
    value = spot.value
    if len(value) > 4096 or not value:
        return False
    if PLACEHOLDER.search(value) or dynamic.kind_of(value) or is_secret_name(spot.name):
        return True
    return _is_id(spot.name) or bool(_FREE.match(value))


def _is_id(name: str) -> bool:
    parts = words(name)
    return bool(parts) and parts[-1] in _ID_WORDS


def _fit(out: Spot, back: Spot) -> bool:
    """Say whether the value went from one spot to the other, rather than being there by chance."""
    value = out.value
    if PLACEHOLDER.search(value) or dynamic.kind_of(value) or _FREE.match(value):
        return out.where.partition(":")[0] != "cookie" or back.where.partition(":")[0] in ("cookie", "header", "form")
    return _is_id(out.name) and (_is_id(back.name) or back.where.startswith("path:"))


@dataclass(slots=True)
class Carrier:
    """Carries live values over while a recording is sent again."""

    links: list[Link]
    carries: tuple[Carry, ...] = ()
    _by_target: Mapping[int, list[Link]] = field(init=False)
    _wanted: Mapping[int, set[str]] = field(init=False)
    _values: dict[tuple[int, str], str] = field(init=False, default_factory=dict)
    _latest: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        by_target: dict[int, list[Link]] = defaultdict(list)
        wanted: dict[int, set[str]] = defaultdict(set)
        for link in self.links:
            by_target[link.target].append(link)
            wanted[link.source].add(link.out)
        self._by_target, self._wanted = by_target, wanted

    def learn(self, number: int, live: Response) -> None:
        """Remember what the live response of an entry handed out."""
        wanted = self._wanted.get(number, ())
        outs = {carry.out for carry in self.carries}
        if not wanted and not outs:
            return
        for spot in spots.in_response(live):
            if spot.where in wanted:
                self._values.setdefault((number, spot.where), spot.value)
            if spot.where in outs:
                self._latest[spot.where] = spot.value

    def apply(self, number: int, request: Request) -> Request:
        """Return the request with live values at its linked spots."""
        values = {
            link.back: self._values[link.source, link.out]
            for link in self._by_target.get(number, ())
            if (link.source, link.out) in self._values
        }
        values |= {carry.back: self._latest[carry.out] for carry in self.carries if carry.out in self._latest}
        return spots.write(request, values)

    def needs(self, number: int) -> set[int]:
        """Return the entries whose live responses this one needs."""
        return {link.source for link in self._by_target.get(number, ())}
