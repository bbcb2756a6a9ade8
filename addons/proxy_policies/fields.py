"""The fields of a message, and the syntax of their values: lists, weights, dates, directives, entity tags (RFC 9110).

Pure. No function raises on anything a peer sends: of a malformed value it returns None, or the valid part.
"""

import re
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache, wraps
from typing import NamedTuple, Protocol

RawFields = tuple[tuple[bytes, bytes], ...]
"""Field lines as received: (name, value), in order, with repetitions and case kept."""

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# Possessive quantifiers, so that no text takes more than one pass; an unclosed quote extends to the end.
_LIST_MEMBER = re.compile(r"""(?:[^",]++|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))*+""", re.DOTALL)

_TAG = re.compile(r'(?:W/)?"[^"]*"|[^\s,][^,]*')


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


_Index = dict[str, list[bytes]]


def cached_by_fields[T, R](function: Callable[[RawFields, T], R]) -> Callable[[RawFields, T], R]:
    """Cache the results of a pure function of a message's fields: a client sends the same fields repeatedly."""
    cached = lru_cache(maxsize=64)(function)

    @wraps(function)
    def cached_call(raw: RawFields, argument: T) -> R:
        try:
            return cached(raw, argument)
        except TypeError:  # lines that an addon has set, and which are not tuples
            return function(raw, argument)

    return cached_call


def _index(raw: RawFields) -> _Index:
    """Return the values of each name, lower-cased, in order."""
    index: _Index = {}
    for name, value in raw:
        index.setdefault(_text(name.lower()), []).append(value)
    return index


# Some ten policies look at each message, one after the other, and a client sends the same fields repeatedly.
_cached_index = lru_cache(maxsize=64)(_index)


class Fields:
    """A read-only view on field lines; names are case-insensitive (RFC 9110, section 5.1).

    Values are text in UTF-8 with surrogate escapes, as in `mitmproxy.http.Headers`, so that any byte survives a round
    trip. Every policy reads every message through this class: it decodes only the values that are read, and methods
    that change nothing return the same object.
    """

    __slots__ = ("_index", "raw")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.raw: RawFields = tuple(raw)
        self._index: _Index | None = None

    @classmethod
    def of(cls, *lines: tuple[str, str]) -> "Fields":
        """Return fields made from text: `Fields.of(("Vary", "*"))`."""
        return cls((_bytes(name), _bytes(value)) for name, value in lines)

    def _indexed(self) -> _Index:
        try:
            self._index = _cached_index(self.raw)
        except TypeError:  # lines that an addon has set, and which are not tuples
            self._index = _index(self.raw)
        return self._index

    def lines(self, name: str) -> list[str]:
        """Return the value of each field line with this name, in order."""
        values = (self._index or self._indexed()).get(name.lower())
        return [value.decode("utf-8", "surrogateescape") for value in values] if values else []

    def raw_lines(self, name: str) -> Sequence[bytes]:
        """Return the value of each field line with this name, in order, as received."""
        return (self._index or self._indexed()).get(name.lower(), ())

    def get(self, name: str) -> str | None:
        """Return the field's value, its lines joined with commas (RFC 9110, section 5.3); None if absent."""
        values = (self._index or self._indexed()).get(name.lower())
        if values is None:
            return None
        return b", ".join(values).decode("utf-8", "surrogateescape")

    def single(self, name: str) -> str | None:
        """Return the value of a field that is not a list; None if absent, or if its lines differ.

        A sender must not generate several lines for such a field (RFC 9110, section 5.3), so none can be relied on.
        """
        values = (self._index or self._indexed()).get(name.lower())
        if values is None or (len(values) > 1 and len(set(values)) > 1):
            return None
        return _text(values[0])

    def __contains__(self, name: str) -> bool:
        return name.lower() in (self._index or self._indexed())

    def has_any(self, names: frozenset[str]) -> bool:
        """Return whether any of these names, which are lower-case, is present."""
        return not names.isdisjoint(self._index or self._indexed())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, value in self.raw:
            yield name.decode("latin-1"), _text(value)

    def __len__(self) -> int:
        return len(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"Fields({list(self)})"

    def without(self, names: Iterable[str]) -> "Fields":
        """Return the fields without all lines of these names, which in a frozenset must be lower-case."""
        gone = names if isinstance(names, frozenset) else {name.lower() for name in names}
        if gone.isdisjoint(self._index or self._indexed()):
            return self
        return Fields([line for line in self.raw if _text(line[0].lower()) not in gone])

    def adding(self, name: str, value: str) -> "Fields":
        """Return the fields with one line added at the end."""
        line = name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape")
        added = Fields((*self.raw, line))
        if self._index is not None:
            key = name.lower()
            added._index = {**self._index, key: [*self._index.get(key, ()), line[1]]}
        return added

    def replacing(self, name: str, value: str) -> "Fields":
        """Return the fields with one line instead of all of this name, at the place of the first, else at the end."""
        if name not in self:
            return self.adding(name, value)
        wanted, line = _bytes(name.lower()), (_bytes(name), _bytes(value))
        at = next(i for i, (key, _) in enumerate(self.raw) if key.lower() == wanted)
        rest = [old for old in self.raw if old[0].lower() != wanted]
        return Fields((*rest[:at], line, *rest[at:]))


NO_FIELDS = Fields()


class HasFields(Protocol):
    """The header section of a message, as `mitmproxy.http.Headers`."""

    fields: RawFields


def fields_of(headers: HasFields) -> Fields:
    """Return a view on a message's present fields; the same object until they change."""
    try:
        view: Fields = headers.policy_fields  # type: ignore[attr-defined]
        if view.raw is headers.fields:
            return view
    except AttributeError:
        pass
    view = headers.policy_fields = Fields(headers.fields)  # type: ignore[attr-defined]
    return view


def set_fields(headers: HasFields, fields: Fields) -> None:
    """Set a message's fields, and keep the view with what it has already decoded."""
    headers.fields = fields.raw
    headers.policy_fields = fields  # type: ignore[attr-defined]


# RFC 9110, section 5.6.1: lists


def split_list(value: str) -> list[str]:
    """Return the members of a comma-separated list, except empty ones; quoted strings are not split."""
    if '"' not in value:
        return [member for part in value.split(",") if (member := part.strip(" \t"))]
    found = (match[0].strip(" \t") for match in _LIST_MEMBER.finditer(value))
    return [member for member in found if member]


def split_tags(value: str) -> list[str]:
    """Return the members of a list of entity tags, in which a backslash escapes nothing (RFC 9110, section 8.8.3)."""
    return [member.strip(" \t") for member in _TAG.findall(value)]


def tokens(value: str | None) -> list[str]:
    """Return a list of case-insensitive tokens, lower-cased (`Connection`, `Vary`)."""
    return [] if not value else [member.lower() for member in split_list(value)]


def unquote(value: str) -> str:
    """Return the content of a quoted-string (RFC 9110, section 5.6.4); a token is returned unchanged."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
    return value


# RFC 9110, sections 8.3.1 and 8.6: media types and lengths


def media_type_of(content_type: str | None) -> str:
    """Return a media type without parameters, lower-cased; "" if there is none."""
    return content_type.partition(";")[0].strip().lower() if content_type else ""


def parse_length(value: str | None) -> int | None:
    """Return a length in bytes; None if it is absent or invalid."""
    return int(value) if value and len(value) < 20 and value.isascii() and value.isdigit() else None


# RFC 9110, section 12.4.2: weights

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def parse_weights(value: str) -> list[tuple[str, float]]:
    """Parse `name;q=0.5, …` into (lower-cased name, weight), in order; a malformed weight counts as 0."""
    weights = []
    for member in split_list(value):
        name, *parameters = (part.strip(" \t") for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, text = parameter.partition("=")
            if key.strip().lower() == "q":
                weight = float(text.strip()) if _WEIGHT.fullmatch(text.strip()) else 0.0
        weights.append((name.lower(), weight))
    return weights


# RFC 9110, section 5.6.7: dates

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_DATE_FORMS = (
    # Sun, 06 Nov 1994 08:49:37 GMT
    rf"{_DAY}, (?P<day>\d\d) (?P<month>[a-z]{{3}}) (?P<year>(?!0000)\d{{4}}) (?P<time>\d\d:\d\d:\d\d) gmt",
    # Sunday, 06-Nov-94 08:49:37 GMT
    rf"{_DAY}[a-z]*, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) (?P<time>\d\d:\d\d:\d\d) gmt",
    # Sun Nov  6 08:49:37 1994
    rf"{_DAY} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) (?P<time>\d\d:\d\d:\d\d) (?P<year>(?!0000)\d{{4}})",
)
_DATES = tuple(re.compile(form, re.ASCII) for form in _DATE_FORMS)
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


LONGEST_DATE = 64
"""Characters; the longest has 33."""


def parse_date(value: str, now: float) -> float | None:
    """Return an HTTP-date, in any of its three forms, as seconds since the epoch; None if it is invalid.

    `now`, in seconds since the epoch, determines the century of the two-digit year in the obsolete form.
    """
    text = value.strip()
    return _parse_date(text, 1970 + int(now // 31_556_952)) if len(text) <= LONGEST_DATE else None


@lru_cache(maxsize=64)  # all responses of a second have the same Date
def _parse_date(text: str, this_year: int) -> float | None:
    text = text.lower()
    match = _DATES[0].fullmatch(text) or _DATES[1].fullmatch(text) or _DATES[2].fullmatch(text)
    if match is None or match["month"] not in _MONTHS:
        return None
    month, day, year = _MONTHS.index(match["month"]) + 1, int(match["day"]), int(match["year"])
    hour, minute, second = map(int, match["time"].split(":"))
    if not 1 <= day <= _MONTH_DAYS[month - 1] or hour > 23 or minute > 59 or second > 60:
        return None
    if len(match["year"]) == 2:
        year = _century(year, this_year)
    return float(timegm((year, month, day, hour, minute, second)))


def _century(two_digits: int, this_year: int) -> int:
    """Return the year; one more than 50 years in the future is in the past century (RFC 9110, section 5.6.7)."""
    year = this_year - this_year % 100 + two_digits
    return year - 100 if year > this_year + 50 else year


@lru_cache(maxsize=8)
def _format_second(second: int) -> str:
    return formatdate(second, usegmt=True)


def format_date(timestamp: float) -> str:
    """Return seconds since the epoch as an IMF-fixdate."""
    return _format_second(int(timestamp))


# RFC 9111, section 5.2: directives


_DIRECTIVE = re.compile(rf'{TOKEN.pattern}(?:=(?:{TOKEN.pattern}|"(?:[^"\\]|\\.)*+"))?', re.DOTALL)


class Directive(NamedTuple):
    """One directive of `Cache-Control` or a field with the same syntax."""

    name: str
    """Lower-cased."""
    argument: str | None
    """Unquoted; None if there is none."""
    is_valid: bool = True
    """False if it was found in a list member that does not match the grammar; its argument is then unknown."""
    is_quoted: bool = False
    """True if its argument was a quoted-string."""


def parse_directives(value: str | None) -> list[Directive]:
    """Return the directives of `Cache-Control` or a similar field, in order, with repetitions.

    Of a member that is not `name[=argument]`, every token is returned: `private` between semicolons, spaces or stray
    quotes still counts.
    """
    directives = []
    for member in split_list(value or ""):
        if _DIRECTIVE.fullmatch(member):
            name, equals, argument = member.partition("=")
            is_quoted = argument.startswith('"')
            directives.append(Directive(name.lower(), unquote(argument) if equals else None, is_quoted=is_quoted))
        else:
            directives += [Directive(name.lower(), "", False) for name in TOKEN.findall(member)]
    return directives


# RFC 9110, section 8.8.3: entity tags

_ENTITY_TAG = re.compile(r'(?P<weak>W/)?"(?P<opaque>[^\x00-\x20"\x7f]*)"')


@dataclass(frozen=True, slots=True)
class EntityTag:
    """An entity tag: its opaque text without quotes, and whether it is weak."""

    opaque: str
    weak: bool = False

    def __str__(self) -> str:
        return f'{"W/" if self.weak else ""}"{self.opaque}"'

    def matches_weakly(self, other: "EntityTag") -> bool:
        """Return whether the tags match by weak comparison, which If-None-Match uses (RFC 9110, section 8.8.3.2)."""
        return self.opaque == other.opaque

    def matches_strongly(self, other: "EntityTag") -> bool:
        """Return whether the tags match by strong comparison, which If-Match and If-Range use."""
        return self.opaque == other.opaque and not self.weak and not other.weak


def parse_entity_tag(value: str | None) -> EntityTag | None:
    """Return one entity tag; None if it is invalid."""
    match = _ENTITY_TAG.fullmatch(value.strip()) if value else None
    return EntityTag(match["opaque"], match["weak"] is not None) if match else None
