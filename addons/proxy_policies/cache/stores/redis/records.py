"""What an entry is on the server: the names it has there, how long it is kept, and its head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import OWN, without_own
from proxy_policies.cache.stores.redis.purge_log import PREFIX
from proxy_policies.cache.stores.store import VARIANTS_MOST, supersedes

KEPT_STALE = 86400
"""Seconds that an entry is kept after it stopped to be fresh: to be validated, or to stand in for a failure."""


def to_go(entry: StoredResponse, heads: Sequence[StoredResponse], used: Sequence[str]) -> list[str]:
    """Return the ids that go for a new entry: what it supersedes, and beyond the bound what was not used for longest.

    `used` are ids, in the order of their use; one that is not among them was not used for longer.
    """
    superseded = [old.id for old in heads if supersedes(entry, old)]
    order = {id: at for at, id in enumerate(used)}
    staying = sorted({old.id for old in heads}.difference(superseded), key=lambda id: order.get(id, -1))
    return superseded + staying[: max(len(staying) + 1 - VARIANTS_MOST, 0)]


def later(entry: StoredResponse, seconds: float) -> StoredResponse:
    """Return an entry as a clock has it that is ahead by so many seconds."""
    if not seconds:
        return entry
    return entry.replace(requested_at=entry.requested_at + seconds, received_at=entry.received_at + seconds)


def lists_of(entry: StoredResponse) -> list[str]:
    """Name the sorted sets that an entry's key is in."""
    own = [f"{PREFIX}own:{without_own(entry.key)}"] if OWN in entry.key else []
    return [*(f"{PREFIX}tagged:{tag}" for tag in entry.tags), *own]


def list_key(pipe: Any, entry: StoredResponse, seconds: int, now: float) -> None:
    """List an entry's key for as long as the entry is kept, and leave out what is gone."""
    for name in lists_of(entry):
        pipe.zadd(name, {entry.key: now + seconds}, gt=True)
        pipe.zremrangebyscore(name, 0, now)
        pipe.expire(name, seconds, nx=True)
        pipe.expire(name, seconds, gt=True)


def quoted(text: str) -> str:
    """Write text as a pattern that it alone matches (Redis' KEYS)."""
    return "".join(f"\\{char}" if char in "*?[]^-\\" else char for char in text)


def body_name(id: str, coding: str = "") -> str:
    """Name the key of a body, or of an encoded form of it."""
    return f"{PREFIX}coded:{id}:{coding}" if coding else f"{PREFIX}body:{id}"


def seconds_kept(entry: StoredResponse) -> int:
    """Return for how long an entry is of use, stale or not."""
    windows = (entry.freshness.stale_while_revalidate, entry.freshness.stale_if_error or 0.0, KEPT_STALE)
    return int(max(entry.freshness.lifetime - entry.freshness.initial_age, 0) + max(windows)) + 1
