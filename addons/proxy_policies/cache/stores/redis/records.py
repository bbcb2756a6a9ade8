"""An entry's representation on the server: key names, expiry, and head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import OWN, without_own
from proxy_policies.cache.stores.redis.purge_log import PREFIX
from proxy_policies.cache.stores.store import MAX_VARIANTS, supersedes

KEPT_STALE = 86400
"""Seconds that an entry is kept after its freshness ends, for validation or failures of the origin."""


def to_go(entry: StoredResponse, heads: Sequence[StoredResponse], used: Sequence[str]) -> list[str]:
    """Return the ids to remove for a new entry: those it supersedes, and the least recently used beyond the bound.

    `used` has ids in order of use; ids missing from it count as used before these.
    """
    superseded = [old.id for old in heads if supersedes(entry, old)]
    order = {id: at for at, id in enumerate(used)}
    staying = sorted({old.id for old in heads}.difference(superseded), key=lambda id: order.get(id, -1))
    return superseded + staying[: max(len(staying) + 1 - MAX_VARIANTS, 0)]


def later(entry: StoredResponse, seconds: float) -> StoredResponse:
    """Return an entry with its times shifted to a clock that is ahead by `seconds`."""
    if not seconds:
        return entry
    return entry.replace(requested_at=entry.requested_at + seconds, received_at=entry.received_at + seconds)


def lists_of(entry: StoredResponse) -> list[str]:
    """Return the names of the sorted sets that contain an entry's key."""
    own = [f"{PREFIX}own:{without_own(entry.key)}"] if OWN in entry.key else []
    return [*(f"{PREFIX}tagged:{tag}" for tag in entry.tags), *own]


def list_key(pipe: Any, entry: StoredResponse, seconds: int, now: float) -> None:
    """List an entry's key for as long as the entry is kept, and remove expired keys."""
    for name in lists_of(entry):
        pipe.zadd(name, {entry.key: now + seconds}, gt=True)
        pipe.zremrangebyscore(name, 0, now)
        pipe.expire(name, seconds, nx=True)
        pipe.expire(name, seconds, gt=True)


def quoted(text: str) -> str:
    """Escape text as a pattern that matches only itself (Redis' KEYS)."""
    return "".join(f"\\{char}" if char in "*?[]^-\\" else char for char in text)


def body_name(id: str, coding: str = "") -> str:
    """Return the key of a body, or of an encoded form of it."""
    return f"{PREFIX}coded:{id}:{coding}" if coding else f"{PREFIX}body:{id}"


def seconds_kept(entry: StoredResponse) -> int:
    """Return the seconds for which an entry is useful, including while stale."""
    windows = (entry.freshness.stale_while_revalidate, entry.freshness.stale_if_error or 0.0, KEPT_STALE)
    return int(max(entry.freshness.lifetime - entry.freshness.initial_age, 0) + max(windows)) + 1
