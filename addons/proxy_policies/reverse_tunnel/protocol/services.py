"""The services that works offer, and the names of services, works and homes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy_policies.addresses import Address

MAX_SERVICES = 240  # of one work: with the longest names they fit into one message of 16 KiB
MAX_SPARES = 16  # spare data connections that home keeps for one work
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""The name of a home, a work or a service: a host name's label (RFC 1123, section 2.1), in lower case."""


@dataclass(frozen=True)
class Service:
    """A server that work offers under a name."""

    name: str
    address: Address
    proxy: bool = False
