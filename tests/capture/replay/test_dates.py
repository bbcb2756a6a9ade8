"""Dates in a replayed answer are moved, and nothing else is."""

import pytest

from proxy_policies.capture.replay.dates import shift

DATE, NEXT_DAY = "Sat, 28 Nov 2026 10:00:00 GMT", "Sun, 29 Nov 2026 10:00:00 GMT"
FIELDS = {
    "date": ("Date", DATE, NEXT_DAY),
    "expires": ("Expires", DATE, NEXT_DAY),
    "no date": ("Expires", "0", "0"),
    "retry after seconds": ("Retry-After", "120", "120"),
    "expired on purpose": ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"),
    "cookie": ("Set-Cookie", f"a=b; Expires={DATE}; Path=/", f"a=b; Expires={NEXT_DAY}; Path=/"),
    "cookie without": ("Set-Cookie", "a=b; Max-Age=3", "a=b; Max-Age=3"),
    "validator": ("Last-Modified", DATE, DATE),
}


@pytest.mark.parametrize(("name", "value", "moved"), FIELDS.values(), ids=FIELDS)
def test_dates_are_moved_by_a_day(name: str, value: str, moved: str) -> None:
    assert shift(((name, value),), 86400) == ((name, moved),)
