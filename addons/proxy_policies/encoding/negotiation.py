"""Which content coding a client gets (RFC 9110, section 12.5.3)."""

from functools import lru_cache

from proxy_policies.fields import parse_weights

IDENTITY = "identity"
_ALIASES = {"x-gzip": "gzip"}
"""RFC 9110, section 8.4.1.3: x-gzip is gzip."""


class Accepted:
    """An Accept-Encoding field: the weight of every coding, 0 to 1."""

    __slots__ = ("_others", "_weights", "identity")

    def __init__(self, accept_encoding: str | None) -> None:
        weights: dict[str, float] = {}
        for name, weight in parse_weights(accept_encoding or ""):
            weights.setdefault(_ALIASES.get(name, name), weight)
        self._others = weights.pop("*", None)
        self._weights = weights
        self.identity = weights.get(IDENTITY, 1.0 if self._others is None else self._others) > 0
        """The plain form is acceptable: it is, unless excluded by name or by `*;q=0`."""

    def weight(self, coding: str) -> float:
        """Return a coding's weight; 0 means that it must not be used."""
        return self._weights.get(coding, self._others or 0.0)

    def prefers_identity(self, weight: float) -> bool:
        """Return whether identity was requested by name with a higher weight."""
        return self._weights.get(IDENTITY, 0.0) > weight


@lru_cache(maxsize=256)
def accepted_by(accept_encoding: str | None) -> Accepted:
    """Parse an Accept-Encoding field; cached, as there are few different ones."""
    return Accepted(accept_encoding)


@lru_cache(maxsize=256)
def choose(accepted: Accepted, ours: tuple[str, ...]) -> str:
    """Choose, among our codings in order of preference, the client's highest-weighted one; else identity.

    A coding of weight 0 is never chosen. Between equal weights our order decides.
    """
    best = max(ours, key=accepted.weight, default=IDENTITY)  # max keeps the first of equals
    weight = accepted.weight(best)
    return best if weight > 0 and not accepted.prefers_identity(weight) else IDENTITY
