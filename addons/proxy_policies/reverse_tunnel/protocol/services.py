"""The services that works offer, and what these, works and homes may be called. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy_policies.addresses import Address

MAX_SERVICES = 240  # of one work: with names of whatever length they fit one message, of 16 KiB at most
MAX_SPARES = 16  # data connections home keeps ready for one work at most, whatever work would like
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123 section 2.1; names become host names


def is_name(text: str) -> bool:
    """Return whether the text can name a home, a work or a service: one label of a host name, in lower case."""
    return _LABEL.fullmatch(text) is not None


@dataclass(frozen=True)
class Service:
    """A third-party server that work offers under a name."""

    name: str
    address: Address
    proxy: bool = False
