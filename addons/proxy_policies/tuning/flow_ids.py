"""The names of flows: random UUIDs as they were, written without making an object of each. Tried on mitmproxy 12.2."""

from __future__ import annotations

import os
from types import ModuleType, SimpleNamespace

from mitmproxy import flow

from proxy_policies.patches.patch import Replacement

VARIANTS = "89ab"
"""The digit after the third dash, by the lowest two bits that are random there (RFC 9562, section 4.1)."""


def written(random: bytes) -> str:
    """Write 16 random octets as a UUID of version 4 (RFC 9562, section 5.4)."""
    digits = random.hex()
    variant = VARIANTS[random[8] >> 4 & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def quick_module(original: ModuleType) -> SimpleNamespace:
    """Stand in for the module `uuid` where only the text of what its `uuid4` gives is used."""
    return SimpleNamespace(uuid4=lambda: written(os.urandom(16)))


IDS = Replacement(
    owner=flow,
    attribute="uuid",
    wrap=quick_module,
    seen_on="12.2",
    why="each flow's random name is taken apart and put together as a number",
)
