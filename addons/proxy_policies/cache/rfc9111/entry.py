"""A stored response: everything but its body (RFC 9111, section 3)."""

from dataclasses import dataclass, field, replace
from typing import Self

from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES, Freshness, Overrides, current_age, evaluate
from proxy_policies.cache.rfc9111.key import VaryKey
from proxy_policies.fields import Fields


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `first` to `last`, both included, of a representation of `length` bytes (RFC 9110, section 14.4)."""

    first: int
    last: int
    length: int | None = None
    """None if the origin does not know it."""

    @property
    def size(self) -> int:
        """Its number of bytes."""
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        """Its Content-Range value."""
        return f"bytes {self.first}-{self.last}/{'*' if self.length is None else self.length}"


_JUDGED = frozenset({"status", "fields", "requested_at", "received_at", "overrides", "personal"})
"""Attributes on which freshness depends."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The head of a stored response, and how it was stored. Times are epoch seconds."""

    key: str
    status: int
    reason: str
    fields: Fields
    """The origin's fields, without those excluded by section 3.1."""
    vary_key: VaryKey
    requested_at: float
    received_at: float
    size: int
    """Bytes of body held."""
    id: str
    """Names the body in its store."""
    span: Span | None = None
    """The part of the representation held, if not the whole (section 3.3)."""
    tags: frozenset[str] = frozenset()
    overrides: Overrides = NO_OVERRIDES
    personal: bool = False
    """It set a cookie or its request had one, and nothing says that it may be shared."""
    freshness: Freshness = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        fields = Fields(self.fields.raw)  # a copy, because the index that Fields caches would double an entry's memory
        freshness = evaluate(self.status, fields, self.requested_at, self.received_at, self.overrides, self.personal)
        object.__setattr__(self, "freshness", freshness)

    def age(self, now: float) -> float:
        """Return its current age in seconds."""
        return current_age(self.freshness, self.received_at, now)

    def ttl(self, now: float) -> float:
        """Return the seconds it stays fresh; negative once it is stale."""
        return self.freshness.lifetime - self.age(now)

    def as_stale(self) -> Self:
        """Return a copy that is no longer fresh, whatever its fields say."""
        return self.replace(overrides=replace(self.overrides, ttl=0.0))

    def replace(self, **changes: object) -> Self:
        """Return a copy with some attributes changed; its freshness is evaluated again if it depends on them."""
        if any(name in _JUDGED and value != getattr(self, name) for name, value in changes.items()):
            return replace(self, **changes)  # type: ignore[arg-type]
        copy = object.__new__(type(self))
        for name in self.__slots__:
            object.__setattr__(copy, name, getattr(self, name))
        for name, value in changes.items():
            object.__setattr__(copy, name, value)
        return copy
