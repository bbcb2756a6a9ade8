"""What the cache rules that match a flow add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES, Overrides
from proxy_policies.cache.rfc9111.key import OWN, without_query


@dataclass(frozen=True, slots=True)
class Ttl:
    """How long a rule has answers be fresh, seconds, and answers of which statuses."""

    seconds: float
    statuses: frozenset[int]


@dataclass(frozen=True, slots=True)
class RuleEffects:
    """What the rules that match a flow add up to; the later rule wins."""

    overrides: Overrides = NO_OVERRIDES
    """But for `ttl`, which depends on the status: see `overrides_for`."""
    ttls: tuple[Ttl, ...] = ()
    bypass: bool = False
    ignore_query: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ()

    def overrides_for(self, status: int) -> Overrides:
        """Return what goes before the origin's word in an answer of this status."""
        if not self.ttls:
            return self.overrides
        seconds = next((ttl.seconds for ttl in reversed(self.ttls) if status in ttl.statuses), None)
        return self.overrides if seconds is None else replace(self.overrides, ttl=seconds)

    def key(self, key: str, headers: Mapping[str, str], own_fields: str = "") -> str:
        """Compute the key under these rules; what a key-header holds is part of it, quoted so that nothing else is.

        `own_fields` is the digest of what we say ourselves, which no rule leaves out; it comes last.
        """
        if self.ignore_query:
            key = without_query(key, self.ignore_query)
        for name in self.key_headers:
            key += f" {name}={quote(headers.get(name, ''), safe='')}"
        return key + OWN + own_fields if own_fields else key


NO_EFFECTS = RuleEffects()
