"""Values with something of the exchange in them: `{client_ip}`."""

import re
from collections.abc import Mapping

PLACEHOLDERS = ("client_ip", "host", "method", "status", "cache")
"""What is replaced in braces. Other braces stay as they are."""
UNKNOWN_IN_REQUESTS = ("status", "cache")

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_UNSENDABLE = re.compile(r"[\r\n\0]")
"""What would end the field line or be refused by its receiver (RFC 9110, section 5.5)."""


def placeholders(value: str) -> list[str]:
    """Return the names of the placeholders in a value."""
    return _PLACEHOLDER.findall(value)


def is_sendable(value: str) -> bool:
    """Return whether a text can be a field's value."""
    return not _UNSENDABLE.search(value)


def fill(value: str, facts: Mapping[str, str]) -> str:
    """Put facts in the place of placeholders; one that has none becomes empty."""
    return _PLACEHOLDER.sub(lambda match: _UNSENDABLE.sub("", facts.get(match[1], "")), value)
