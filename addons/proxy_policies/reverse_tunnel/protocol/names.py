"""What home, works and services are called. Pure."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 section 2.1; names become host names


def is_name(text: str) -> bool:
    """Return whether the text can name a home, a work or a service: one label of a host name, in lower case."""
    return _LABEL.fullmatch(text) is not None
