"""Byte ranges (RFC 9110, section 14; RFC 9111, sections 3.3 and 3.4)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.fields import Fields, parse_date, parse_entity_tag

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(?P<first>\d{0,18})-(?P<last>\d{0,18})[ \t]*", re.IGNORECASE)
_CONTENT_RANGE = re.compile(
    r"bytes[ \t]+(?P<first>\d{1,18})-(?P<last>\d{1,18})/(?P<length>\d{1,18}|\*)[ \t]*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class RangeSpec:
    """One requested range: `first` to `last`, or the last `last` bytes if `first` is None."""

    first: int | None
    last: int | None


def parse_range(value: str | None) -> RangeSpec | None:
    """Parse a Range field with one byte range; None for anything else, which may be ignored (section 14.2)."""
    match = _RANGE.fullmatch(value) if value else None
    if match is None or match["first"] == match["last"] == "":
        return None
    first = int(match["first"]) if match["first"] else None
    last = int(match["last"]) if match["last"] else None
    return None if first is not None and last is not None and last < first else RangeSpec(first, last)


def parse_content_range(value: str | None, size: int, *, is_exact: bool = False) -> Span | None:
    """Parse the Content-Range of a body of `size` bytes; None if it does not describe such a part.

    A last position that is off by one, a common error, is corrected by the body; if the part claims to reach the end,
    the representation then ends with the body. `is_exact`: return None for this, too.
    """
    match = _CONTENT_RANGE.fullmatch(value) if value else None
    if match is None or size == 0:
        return None
    first, claimed = int(match["first"]), int(match["last"])
    length = None if match["length"] == "*" else int(match["length"])
    if claimed < first or (length is not None and claimed >= length):
        return None
    last = first + size - 1
    if abs(last - claimed) > (0 if is_exact else 1):
        return None
    if last != claimed and claimed + 1 == length:
        length = last + 1
    return Span(first, last, length) if length is None or last < length else None


def describes(value: str | None, size: int | None) -> bool:
    """Return whether a Content-Range describes a part whose body has `size` bytes, None if not known yet."""
    match = _CONTENT_RANGE.fullmatch(value) if value else None
    if match is None:
        return False
    expected = int(match["last"]) - int(match["first"]) + 1
    return parse_content_range(value, expected if size is None else size) is not None


def within(wanted: RangeSpec, length: int) -> tuple[int, int] | None:
    """Resolve a range against `length` bytes as (start, stop); None if it is not satisfiable."""
    if wanted.first is None:
        count = min(wanted.last or 0, length)
        return (length - count, length) if count else None
    if wanted.first >= length:
        return None
    return wanted.first, length if wanted.last is None else min(wanted.last + 1, length)


def within_span(wanted: RangeSpec, span: Span) -> tuple[int, int] | None:
    """Resolve a range to (start, stop) positions in a stored part's body; None unless fully within it."""
    if span.length is not None:
        resolved = within(wanted, span.length)
    elif wanted.first is not None and wanted.last is not None:
        resolved = (wanted.first, wanted.last + 1)
    else:
        resolved = None
    if resolved is None or resolved[0] < span.first or resolved[1] > span.last + 1:
        return None
    return resolved[0] - span.first, resolved[1] - span.first


def if_range_matches(request: Fields, entry: StoredResponse, now: float) -> bool:
    """Evaluate If-Range: a range of another version of the representation is not served (RFC 9110, section 13.1.5)."""
    value = request.get("if-range")
    if value is None:
        return True
    tag = parse_entity_tag(value)
    if tag is not None:
        held = parse_entity_tag(entry.freshness.etag)
        return held is not None and held.matches_strongly(tag)
    date = parse_date(value, now)
    return date is not None and entry.freshness.last_modified == date and entry.freshness.is_dated_strongly


# RFC 9111, section 3.4: combining partial content


def strong_validator(entry: StoredResponse) -> str | None:
    """Return the entity tag that proves two parts to be of one whole; None if there is none."""
    tag = parse_entity_tag(entry.freshness.etag)
    return None if tag is None or tag.weak else str(tag)


def adjoining(entries: Sequence[StoredResponse], part: StoredResponse) -> StoredResponse | None:
    """Find a stored part, provably of the same whole, that a new one continues, precedes or overlaps."""
    span, tag = part.span, strong_validator(part)
    if span is None or tag is None:
        return None
    return next((old for old in entries if strong_validator(old) == tag and _touches(old.span, span)), None)


def _touches(old: Span | None, new: Span) -> bool:
    if old is None or (None not in (old.length, new.length) and old.length != new.length):
        return False
    return old.first <= new.last + 1 and new.first <= old.last + 1


def joined(old: Span, new: Span) -> Span:
    """Return the span of two parts that touch."""
    length = new.length if new.length is not None else old.length
    return Span(min(old.first, new.first), max(old.last, new.last), length)


def remaining(span: Span) -> str | None:
    """Return the Range that completes a stored beginning; None if it is not one, or is complete."""
    if span.first != 0 or span.length is None or span.last + 1 >= span.length:
        return None
    return f"bytes={span.last + 1}-"
