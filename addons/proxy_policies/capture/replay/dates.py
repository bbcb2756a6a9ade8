"""Dates in a replayed response, moved so that it is as fresh, and its cookies as valid, as when it was recorded."""

import re
from email.utils import formatdate, parsedate_to_datetime

from proxy_policies.capture.model import Headers

FIELDS = ("date", "expires", "sunset", "retry-after")
_EXPIRES = re.compile(r"(expires=)([^;]+)", re.IGNORECASE)


def shift(headers: Headers, seconds: float) -> Headers:
    """Return the fields with every HTTP date moved by this many seconds."""
    return tuple((name, _moved_field(name.lower(), value, seconds)) for name, value in headers)


def _moved_field(name: str, value: str, seconds: float) -> str:
    if name in FIELDS:
        return _moved_date(value, seconds)
    if name == "set-cookie":
        return _EXPIRES.sub(lambda found: found[1] + _moved_date(found[2], seconds), value)
    return value


def _moved_date(value: str, seconds: float) -> str:
    """Return a date moved; one in the far past or future (`Thu, 01 Jan 1970`: expired on purpose) is unchanged."""
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return value
    if not 946_684_800 < moment < 32_503_680_000:  # the years 2000 to 3000
        return value
    return formatdate(moment + seconds, usegmt=True)
