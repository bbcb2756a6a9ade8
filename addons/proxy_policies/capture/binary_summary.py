"""Binary data in a comparison: its size, and the beginning of its hash."""

import hashlib

from proxy_policies.log_lines import quantity

HASH_DIGITS = 12
"""Digits of a hash that are shown. Those of 16 and more are taken for an identifier that differs each time."""


def summary(data: bytes) -> str:
    """Return a text that differs if the data does: `2 bytes, sha256 06eb7d6a69ee…`."""
    return summary_of(len(data), hashlib.sha256(data).hexdigest())


def summary_of(size: int, sha256: str) -> str:
    """Return the same for data with this size and hash."""
    return f"{quantity(size, 'byte')}, sha256 {sha256[:HASH_DIGITS]}…"
