"""Opens the stores under test by name, fills and reads them."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.disk.store import DiskStore
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.stores.redis.store import RedisStore
from proxy_policies.cache.stores.store import Checkpoint, Store
from tests.support.waiting import free_port

LIMIT = 1 << 30
REDIS = shutil.which("redis-server") or shutil.which("valkey-server")


def redis_url(port: int, database: int = 0, credentials: str = "") -> str:
    """Return the URL of a server on 127.0.0.1, with time-outs for a loaded machine."""
    return f"redis://{credentials}127.0.0.1:{port}/{database}?socket_timeout=100&socket_connect_timeout=100"


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[int]:
    """Run a Redis server while the context is open; yield its port."""
    assert REDIS
    port = port or free_port()
    command = [REDIS, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout
        os_lines = iter(process.stdout.readline, b"")
        assert any(b"Ready to accept connections" in line for line in os_lines)
        yield port
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def opened(kind: str, folder: Path, port: int = 0, limit: int = LIMIT) -> AsyncIterator[Store]:
    """Open a store of a kind."""
    stores: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(limit),
        "disk": lambda: DiskStore(folder, limit),
        "redis": lambda: RedisStore(redis_url(port)),
    }
    store = stores[kind]()
    yield store
    await store.close()


async def checkpoint(store: Store) -> Checkpoint:
    """Return the present checkpoint of a store's purges."""
    await store.lookup("")
    await store.read_checkpoint()
    return store.checkpoint


async def keep(
    store: Store, entry: StoredResponse, body: bytes, since: Checkpoint | None = None, coding: str = ""
) -> None:
    """Store a body in pieces."""
    writing = store.write(await checkpoint(store) if since is None else since, coding)
    for at in range(0, len(body), 50_000):
        writing.feed(body[at : at + 50_000])
    writing.commit(entry.replace(size=len(body)) if not coding else entry)


async def content(store: Store, entry: StoredResponse, coding: str = "") -> bytes | None:
    """Return a whole body, None if it is not stored."""
    body = await store.body(entry, coding)
    return None if body is None else b"".join([piece async for piece in body.chunks(0, body.size)])
