"""Parses `cache=`, and opens the store that it names."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from proxy_policies.cache.stores.failsafe_store import FailSafeStore
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.stores.store import Store
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.files import parse_path

with lazy_imports():
    from proxy_policies.cache.stores.disk import store as disk
    from proxy_policies.cache.stores.redis import store as redis

SYNTAX = "off, memory, disk:FOLDER or redis://HOST:PORT/DB"


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """A kind of store, and its location."""

    kind: str
    place: str = ""


def parse_backend(text: str) -> BackendSpec:
    """Parse `cache`. Raise ValueError for an invalid form, or a missing dependency."""
    kind, _, place = text.partition(":")
    if text in ("off", "memory"):
        return BackendSpec(text)
    if kind == "disk" and place.strip():
        return BackendSpec("disk", str(parse_path(place)))
    if kind in ("redis", "rediss", "valkey") and place.startswith("//"):
        return _redis(text)
    raise ValueError(f"choose {SYNTAX}")


def _redis(text: str) -> BackendSpec:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 -- raises ValueError for a port that is none
    except ValueError as error:
        raise ValueError(f"choose {SYNTAX}: {error}") from None
    if not parts.hostname or not (parts.path.strip("/") or "0").isdecimal():
        raise ValueError(f"choose {SYNTAX}")
    return BackendSpec("redis", text.replace("valkey://", "redis://", 1))


def open_store(choice: BackendSpec, limit: int) -> Store | None:
    """Open the chosen store, None for off. Raise OSError for a folder that cannot be used, ValueError for a URL."""
    match choice.kind:
        case "memory":
            return MemoryStore(limit)
        case "disk":
            return FailSafeStore(disk.DiskStore(Path(choice.place), limit), choice.place)
        case "redis":
            return FailSafeStore(redis.RedisStore(choice.place), urlsplit(choice.place).netloc.rpartition("@")[2])
        case _:
            return None
